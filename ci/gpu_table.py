"""usage: gpu_table.py FOLDER CARD LINK      Print what ci/gpu ran and measured there as one table, and write FOLDER/result.json.

FOLDER has rows.tsv (name, outcome, seconds, note) and figures.jsonl (lines of the benchmarks). Figures stand beside the goals; those of the
driver in host memory mean nothing. The exit status is 1 if something failed.
"""

import json
import sys
from pathlib import Path

# case -> (what is compared, how, goal): the goals for an H100.
GOALS = {
    "empty.independent@1": ("value", "<=", 5000),
    "metg.chain@1": ("value", "<=", 10000),
    "pinned.to_device@1": ("ratio", ">=", 0.9),
    "pinned.to_host@1": ("ratio", ">=", 0.9),
    "cholesky.16384@1": ("ratio", ">=", 0.9),
}
# GB/s of one lane, by generation.
LANES = {"1": 0.25, "2": 0.5, "3": 0.985, "4": 1.969, "5": 3.938, "6": 7.563}


def nominal_gb_per_s(link):
    """Return what the slot could carry one way, 0 if it is not known; `link` is "generation, width"."""
    generation, _, width = (part.strip() for part in link.partition(","))
    return LANES.get(generation, 0) * int(width) if width.isdigit() else 0


def judge(figure, is_fake):
    """Return (goal in words, verdict) of a figure; both empty if it has no goal."""
    if figure["case"] not in GOALS:
        return "", ""
    key, how, goal = GOALS[figure["case"]]
    words = f"{key} {how} {goal:g}"
    if is_fake:
        return words, "not measured"
    found = figure[key]
    is_met = found <= goal if how == "<=" else found >= goal
    return words, "met" if is_met else "missed"


def read_figures(folder):
    """Return the figures that were measured."""
    path = folder / "figures.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.startswith("{")]


def main():
    """Print the table; return the exit status."""
    folder, card, link = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    is_fake = card == "fake driver"
    rows = [line.split("\t") for line in (folder / "rows.tsv").read_text(encoding="utf-8").splitlines()]
    for name, outcome, seconds, note in rows:
        print(f"{name:42} {outcome:8} {seconds:>4} s  {note}".rstrip())
    figures = read_figures(folder)
    nominal = nominal_gb_per_s(link)
    if figures:
        print(f"\n{'figure':26} {'value':>12} {'unit':8} {'beside':>12} {'ratio':>7}  goal")
    for figure in figures:
        goal, verdict = judge(figure, is_fake)
        figure.update(goal=goal or None, verdict=verdict or None)
        if nominal and figure["unit"] == "GB/s":
            figure["share_of_nominal_link"] = round(figure["value"] / nominal, 3)
        peer = "" if figure["peer_value"] is None else f"{figure['peer_value']:.1f}"
        ratio = "" if figure["ratio"] is None else f"{figure['ratio']:.3f}"
        line = f"{figure['case']:26} {figure['value']:12.1f} {figure['unit']:8} {peer:>12} {ratio:>7}  {goal} {verdict}"
        print(line.rstrip())
    measured = {figure["case"] for figure in figures}
    for case in GOALS.keys() - measured:
        print(f"{case:26} not measured; goal {' '.join(map(str, GOALS[case]))}")
    if nominal:
        print(f"the slot could carry {nominal:.1f} GB/s one way")
    if is_fake:
        print("on the driver in host memory: no figure means anything")
    steps = [{"name": n, "outcome": o, "seconds": int(s), "note": note} for n, o, s, note in rows]
    result = {"card": card, "nominal_link_gb_per_s": nominal or None, "steps": steps, "figures": figures}
    (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return any(outcome == "failed" for _, outcome, _, _ in rows)


sys.exit(main())
