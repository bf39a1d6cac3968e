"""What is printed: plain text on standard output, one function for each section."""

from __future__ import annotations

import os


def series(data):
    """Tell what the model is conditioned on."""
    _title(f"{data.label}: Gaussian-process regression")
    print(f"  {len(data.train_time)} values condition the model, {len(data.test_time)} are held out.")
    print(f"  Values are centred by their mean, {data.offset:.2f} ppm.")


def devices(runtime, ranks, note):
    """Tell what there is to run on, and `note`: why these devices."""
    _title("Devices")
    each = "" if ranks.size == 1 else f"{ranks.size} ranks, each with "
    n_workers = runtime.stats()["tasks"]["n_workers"]
    on = f"{n_workers} worker{'s'[: n_workers > 1]} on {n_cores()} core{'s'[: n_cores() > 1]}"
    print(f"  {each}{', '.join(map(repr, runtime.devices))}; {on}")
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
    _title("MiB moved per link")
    links = sorted({link for phase in rows for link in phase.moved})
    moving = [phase for phase in rows if phase.moved]
    table = [[" → ".join(link), *(_mebibytes(phase.moved.get(link)) for phase in moving)] for link in links]
    table.append(["from one device to another", *(_mebibytes(phase.crossed) for phase in moving)])
    table.append(["needed where the tasks run", *(_mebibytes(phase.least) for phase in moving)])
    _table(["link", *(phase.name for phase in moving)], table)
    _between_ranks(rows)


def _between_ranks(rows):
    """Tell the bytes that the transport has counted beside those that the plans need: each version of a tile once to each reading rank."""
    pairs = sorted({pair for phase in rows for pair in phase.sent})
    sending = [phase for phase in rows if phase.sent]
    if not pairs:
        return
    _title("MiB sent between ranks")
    table = [[" → ".join(pair), *(_mebibytes(phase.sent.get(pair)) for phase in sending)] for pair in pairs]
    table.append(["together", *(_mebibytes(sum(phase.sent.values())) for phase in sending)])
    table.append(["needed by the plans", *(_mebibytes(phase.needed) for phase in sending)])
    _table(["from → to", *(phase.name for phase in sending)], table)


def speed(n, rows, scipy_seconds, n_repeats):
    """Compare the factorisation as tasks with SciPy's, whose times are given as {BLAS threads: seconds}. All are medians."""
    seconds = next(phase.seconds for phase in rows if phase.name == "factorise")
    times = [("tasks, one BLAS thread each", seconds)]
    times += [(f"SciPy, {count} BLAS thread{'s'[: count > 1]}", measured) for count, measured in scipy_seconds.items()]
    best = min(scipy_seconds.values())
    _title(f"Factorisation of {n} x {n}, medians of {n_repeats}")
    _table(["", "seconds", "GFlop/s"], [[name, f"{time:.4f}", f"{n**3 / 3e9 / time:.1f}"] for name, time in times])
    print(f"  Tasks run at {best / seconds:.2f} times the speed of the faster SciPy run.")


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


def _mebibytes(count):
    return "-" if count is None else f"{count / 2**20:.3f}"


def _cells(values, keys):
    return [values.get(key, "-") for key in keys]
