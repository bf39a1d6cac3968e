"""Sum up the JUnit files of a test run.

usage: summary.py FOLDER      Reads FOLDER/*.xml and FOLDER/steps.tsv (name, passed or failed, seconds), writes the steps as
FOLDER/steps.xml, prints one line for each file and each failure, and at last "N passed, N failed[, N skipped]".
A C test program prints TAP, and its cases are counted one by one. What it counts itself ("# count: 2000 schedule seeds") is added up for each
program over the builds. Rules broken on purpose (ctest/planted.txt) count as caught when each of their tests passed in each build.
"""

import re
import sys
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from pathlib import Path

COUNT = re.compile(r"^# count: (\d+) (.+)$", re.MULTILINE)
TAP = re.compile(r"^(not ok|ok) \d+ - (\S+)(.*)$", re.MULTILINE)
PLANTED = re.compile(r"planted\.(\d+)\.")


def write_steps(folder):
    """Turn steps.tsv into a JUnit file."""
    table = folder / "steps.tsv"
    if not table.exists():
        return
    rows = [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines()]
    n_failed = sum(outcome == "failed" for _, outcome, _ in rows)
    suite = ET.Element("testsuite", name="steps", tests=str(len(rows)), failures=str(n_failed))
    for name, outcome, seconds in rows:
        case = ET.SubElement(suite, "testcase", name=name, classname="ci", time=seconds)
        if outcome == "failed":
            ET.SubElement(case, "failure", message=f"see logs/{name}.log")
    ET.ElementTree(suite).write(folder / "steps.xml", encoding="unicode", xml_declaration=True)


def outcomes(case):
    """Yield (outcome, name) for a test case, or for each case of a C program whose output it holds."""
    name = case.get("name")
    if case.get("classname") not in (None, name):
        name = f"{case.get('classname')}.{name}"
    skip = case.find("skipped")
    is_lost = skip is not None and "Unable to find" in skip.get("message", "")  # CTest calls a missing program skipped
    is_failed = is_lost or case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail"
    found = TAP.findall(case.findtext("system-out") or "")
    if not is_failed and any(verdict == "not ok" for verdict, _, _ in found):
        found = []  # its cases fail on purpose, and it passed because they did
    for verdict, part, rest in found:
        outcome = "failed" if verdict == "not ok" else "skipped" if "# SKIP" in rest else "passed"
        yield outcome, f"{name}: {part}"
    if found and not (is_failed and all(verdict == "ok" for verdict, _, _ in found)):
        return
    yield "failed" if is_failed else "skipped" if skip is not None else "passed", name


def add_counts(case, counts):
    """Add what the programs of a test case have counted; a rule's test that passed has counted what happened until it was noticed."""
    if PLANTED.match(case.get("name")):
        return
    for n, what in COUNT.findall((case.findtext("system-out") or "") + "\n" + (case.findtext("system-err") or "")):
        counts[what][case.get("name")] += int(n)


def print_counts(counts):
    """Print each sum, and where it has several parts, those."""
    for what, by_program in sorted(counts.items()):
        print(f"{sum(by_program.values()):12,} {what}")
        for name, n in sorted(by_program.items()) if len(by_program) > 1 else ():
            print(f"{'':12} {n:12,} {name}")


def print_planted(planted):
    """Print how many of the rules that tests had broken were caught, and which were not."""
    if not planted:
        return
    missed = sorted(rule for rule, is_caught in planted.items() if not is_caught)
    words = f"; not caught: {', '.join(map(str, missed))}" if missed else ""
    print(f"{len(planted) - len(missed)} of {len(planted)} planted bugs caught{words}")


def main():
    """Print the summary; return the exit status."""
    folder = Path(sys.argv[1])
    write_steps(folder)
    total, failed, counts, planted = Counter(), [], defaultdict(Counter), {}
    for path in sorted(folder.glob("*.xml")):
        tally = Counter()
        seconds = 0.0
        for case in ET.parse(path).iter("testcase"):
            seconds += float(case.get("time") or 0)
            add_counts(case, counts)
            rule = PLANTED.match(case.get("name"))
            for outcome, name in outcomes(case):
                tally[outcome] += 1
                if outcome == "failed":
                    failed.append(f"{path.stem}: {name}")
                if rule:
                    planted[int(rule[1])] = planted.get(int(rule[1]), True) and outcome == "passed"
        total += tally
        print(f"{path.stem:28} {tally['passed']:5} passed {tally['failed']:4} failed {tally['skipped']:4} skipped {seconds:8.1f} s")
    print_counts(counts)
    print_planted(planted)
    for name in failed:
        print("FAILED", name)
    skipped = f", {total['skipped']} skipped" if total["skipped"] else ""
    print(f"{total['passed']} passed, {total['failed']} failed{skipped}")
    return int(total["failed"] > 0 or total["passed"] == 0)


if __name__ == "__main__":
    sys.exit(main())
