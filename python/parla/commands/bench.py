"""``parla bench``: what tasks and copies cost on this machine, for a first look; the repository's bench/ compares with peers."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import parla
from parla import gpu, spawn, spawn_many
from parla.array import asarray
from parla.busy import sleep_nogil

from ._common import add_command, add_json

_GRAINS_US = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def _median(measure: Callable[[], float], repeats: int) -> float:
    measure()  # once for what is only done once
    return statistics.median(measure() for _ in range(repeats))


def _seconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def _spawned(runtime: parla.Parla, body: Callable[[], object], n: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(n):
            spawn(body)
        runtime.wait()

    return run


def _efficiency(runtime: parla.Parla, grain_us: float, n_workers: int) -> float:
    """Return the part of the workers' time that is work, with tasks of one length."""
    n = max(100, round(20_000 / grain_us)) * n_workers
    took_s = _seconds(_spawned(runtime, lambda: sleep_nogil(grain_us), n))
    return min(1.0, n * grain_us * 1e-6 / (n_workers * took_s))


def _grain(runtime: parla.Parla, n_workers: int, repeats: int) -> int | None:
    """Return the shortest task, in microseconds, of which half of the workers' time is work (METG(50 %)); None if it is longer than all."""
    for grain_us in _GRAINS_US:
        if _median(lambda length=grain_us: _efficiency(runtime, length, n_workers), repeats) >= 0.5:
            return grain_us
    return None


def _copy_rate(n_bytes: int) -> float:
    """Return bytes per second of a copy to the first GPU: the array is written on the host before each."""
    x = asarray(np.zeros(n_bytes // 8), name="x")

    def there() -> None:
        @spawn(placement=gpu(0), input=[x])
        def read() -> None:
            pass

        read.result()

    def written() -> None:
        with x.host("w") as local:
            local[:] = 1

    written()
    return n_bytes / _seconds(there)


def measure(devices: str | None, n_workers: int | None, repeats: int) -> dict[str, Any]:
    """Return what `parla bench --json` prints."""
    with parla.Parla(n_workers=n_workers, devices=devices) as runtime:
        workers = runtime.stats()["tasks"]["n_workers"]
        found: dict[str, Any] = {"n_workers": workers, "devices": [repr(device) for device in runtime.devices], "repeats": repeats}
        found["spawn_us"] = 1e6 * _median(lambda: _seconds(_spawned(runtime, lambda: None, 2000)) / 2000, repeats)
        found["spawn_many_us"] = 1e6 * _median(lambda: _seconds(lambda: spawn_many(lambda i: i, 20_000).result()) / 20_000, repeats)
        found["grain_us"] = _grain(runtime, workers, repeats)
        if len(gpu) > 0:
            found["copy_bytes_per_s"] = _median(lambda: _copy_rate(8 << 20), repeats)
    return found


def _text(found: dict[str, Any]) -> str:
    grain = found["grain_us"]
    lines = [
        f"{found['n_workers']} workers on {', '.join(found['devices'])}; medians of {found['repeats']}",
        f"  an empty task, spawned and run          {found['spawn_us']:>10.3g} us",
        f"  an index of spawn_many                  {found['spawn_many_us']:>10.3g} us",
        f"  half of the time is work with tasks of  {grain if grain is not None else f'more than {_GRAINS_US[-1]}':>10} us",
    ]
    if "copy_bytes_per_s" in found:
        lines.append(f"  a copy of 8 MiB to {found['devices'][1]:<21}{found['copy_bytes_per_s'] / 1e9:>10.3g} GB/s")
    return "\n".join(lines)


def _run(options: argparse.Namespace) -> int:
    if options.repeats < 1:
        raise ValueError(f"--repeats {options.repeats}: expected at least 1")
    if not options.json and sys.stderr.isatty():
        print("measuring …", file=sys.stderr)
    found = measure(options.devices, options.workers, options.repeats)
    print(json.dumps(found, indent=1) if options.json else _text(found))
    return 0


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser of `parla`."""
    parser = add_command(commands, "bench", "measure what tasks and copies cost on this machine", _run, "--devices sim:1")
    parser.add_argument("--devices", help="as Parla(devices=) takes them; default: PARLA_DEVICES, else cpu")
    parser.add_argument("--workers", type=int, help="worker threads; default: PARLA_WORKERS, else one for each core")
    parser.add_argument("--repeats", type=int, default=7, help="of each measurement, of which the median counts (7)")
    add_json(parser)
