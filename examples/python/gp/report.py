"""What is printed: plain text on standard output, one function for each section."""

from __future__ import annotations

import os


def series(data):
    """Tell what the model is conditioned on."""
    _title(f"{data.label}: Gaussian-process regression")
    print(f"  {len(data.train_time)} values condition the model, {len(data.test_time)} are held out.")
    print(f"  Values are centred by their mean, {data.offset:.2f} ppm.")


def devices(runtime, note):
    """Tell what there is to run on, and `note`: why these devices."""
    _title("Devices")
    print(f"  {', '.join(map(repr, runtime.devices))}; {runtime.stats()['tasks']['n_workers']} workers on {n_cores()} cores")
    print(f"  {note}")


def n_cores():
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def layout(matrix_layout):
    """Show which device owns which tiles of the matrix."""
    _title("Layout of the matrix")
    for line in [repr(matrix_layout), *matrix_layout.picture().splitlines()]:
        print(f"  {line}")


def phases(rows):
    """Tell the time of each phase, the tasks that ended on each device and the bytes that moved over each link."""
    names = sorted({name for phase in rows for name in phase.tasks})
    _title("Time and tasks per device")
    _table(["phase", "seconds", *names], [[p.name, f"{p.seconds:.3f}", *_cells(p.tasks, names)] for p in rows])
    links = sorted({link for phase in rows for link in phase.moved})
    _title("MiB moved per link")
    _table(
        ["phase", *(f"{source} → {target}" for source, target in links)],
        [[p.name, *_cells({link: f"{count / 2**20:.2f}" for link, count in p.moved.items()}, links)] for p in rows],
    )


def speed(n, rows, reference_seconds, n_repeats):
    """Compare the rates of the two factorisations (medians)."""
    seconds = next(phase.seconds for phase in rows if phase.name == "factorise")
    flops = n**3 / 3.0
    _title(f"Factorisation of {n} x {n}, median of {n_repeats}")
    _table(
        ["", "seconds", "GFlop/s"],
        [
            ["tasks, one BLAS thread each", f"{seconds:.3f}", f"{flops / seconds / 1e9:.1f}"],
            [f"SciPy, {n_cores()} BLAS threads", f"{reference_seconds:.3f}", f"{flops / reference_seconds / 1e9:.1f}"],
            ["ratio (above 1: tasks are faster)", "", f"{reference_seconds / seconds:.2f}"],
        ],
    )


def result(scores, log_likelihood):
    """Tell how good the prediction is."""
    _title("Held-out values")
    print(f"  RMSE {scores.rmse:.3f} ppm")
    print(f"  95 % band covers {100.0 * scores.coverage:.1f} %")
    print(f"  log marginal likelihood {log_likelihood:.3f}")


def checks(done):
    """Tell each check; return True if all passed."""
    _title("Checks")
    for check in done:
        verdict = "ok" if check.passed else "FAILED"
        print(f"  {check.name:30} {check.error:9.2e}  limit {check.limit:8.2e}  {verdict}")
    return all(check.passed for check in done)


def files(*paths):
    """Tell what was written."""
    _title("Files")
    for path in paths:
        print(f"  {path}")


def _title(text):
    print(f"\n{text}")


def _table(header, rows):
    widths = [max(len(str(row[column])) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, *rows]:
        first, *others = (str(cell) for cell in row)
        print(f"  {first:<{widths[0]}}" + "".join(f"  {cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)))


def _cells(values, keys):
    return [values.get(key, "-") for key in keys]
