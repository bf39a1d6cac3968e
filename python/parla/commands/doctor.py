"""``parla doctor``: what is wrong with this machine or this launch, and what mends it; ``mpirun -n 8 parla doctor`` looks at all ranks."""

from __future__ import annotations

import argparse
import ctypes.util
import importlib.util
import json
import os
import re
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import parla

from ._common import add_command, add_json

_LAUNCHERS = (
    ("mpirun of Open MPI", "OMPI_COMM_WORLD_SIZE"),
    ("mpiexec of MPICH or Intel MPI", "PMI_SIZE"),
    ("MVAPICH", "MV2_COMM_WORLD_SIZE"),
    ("srun", "SLURM_STEP_NUM_TASKS"),
)
_MIN_SHM = 64 << 20
_MIN_FILES = 1024
_LOG_LINE = re.compile(r"parla: (?:\[[^\]]*\] )?(error|warn): (.*)")


@dataclass(frozen=True)
class Finding:
    """Something that is wrong: an "error" keeps programs from running, a "warn" makes them slow or fragile."""

    level: str
    what: str
    mend: str


# --- One process ------------------------------------------------------------------------------------------------------------------------------


def _limits() -> Iterator[Finding]:
    free = shutil.disk_usage("/dev/shm").free if os.path.isdir("/dev/shm") else 0
    if free < _MIN_SHM:
        yield Finding(
            "warn",
            f"/dev/shm has {free >> 20} MiB free: MPI and UCX put the memory that ranks of a node share there",
            "containers: run with --shm-size=1g or more; else remove what old jobs have left in /dev/shm",
        )
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < _MIN_FILES:
        yield Finding("warn", f"at most {soft} files may be open", f"ulimit -n {hard if hard > 0 else _MIN_FILES}")


def _blas(n_cores: int) -> Iterator[Finding]:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        value = os.environ.get(name, "").split(",")[0]
        if value.isdigit() and int(value) > n_cores:
            yield Finding(
                "warn",
                f"{name}={value}, but this process may use {n_cores} core{'s' * (n_cores > 1)}",
                f"unset {name}: tasks that call BLAS run with one thread unless they ask for cores=",
            )


def _loaded(word: str) -> list[str]:
    """Return the files of libraries in this process whose name contains a word."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as file:
        found = {line.split()[-1] for line in file if f"/{word}" in line and ".so" in line}
    return sorted(found)


def _mpi_libraries() -> Iterator[Finding]:
    libraries = {os.path.realpath(path) for path in _loaded("libmpi.so") + _loaded("libmpich.so")}
    if len(libraries) > 1:
        yield Finding(
            "error",
            f"two MPI libraries are in this process: {', '.join(sorted(libraries))}",
            "build mpi4py against the MPI of this program: pip install --no-binary mpi4py --force-reinstall mpi4py",
        )


def _launcher(n_ranks: int) -> Iterator[Finding]:
    for launcher, name in _LAUNCHERS:
        value = os.environ.get(name, "")
        if value.isdigit() and int(value) > 1 and n_ranks == 1:
            yield Finding(
                "error",
                f"{launcher} started {value} processes, but MPI sees one rank: each of them runs the whole program by itself",
                "launch with the mpirun that belongs to the MPI library of mpi4py (parla info names it)",
            )
            return


def _gpus(devices: list[str]) -> Iterator[Finding]:
    has_driver = ctypes.util.find_library("cuda") is not None and os.path.exists("/dev/nvidiactl")
    if has_driver and not any("cuda" in name for name in devices):
        yield Finding("warn", "this machine has NVIDIA GPUs, and the runtime uses none", "PARLA_DEVICES=cuda, or Parla(devices='auto')")


def _started(is_mpi: bool) -> tuple[list[Finding], dict[str, Any]]:
    """Start a runtime as a program would; return what the library itself complains of, and what it found."""
    found: dict[str, Any] = {"n_workers": 0, "devices": []}
    findings: list[Finding] = []
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as lines:
        os.dup2(lines.fileno(), 2)
        try:
            with parla.Parla(mpi=is_mpi) as runtime:
                found = {"n_workers": runtime.stats()["tasks"]["n_workers"], "devices": [repr(device) for device in runtime.devices]}
                sum_of = parla.spawn(name="doctor")(lambda: 40 + 2)
                if sum_of.result(timeout=60) != 42:
                    raise AssertionError("a task returned something else than its body did")
        except parla.ParlaError as error:
            findings.append(Finding("error", f"a runtime cannot start: {error}", "see the text; parla info --env lists the settings"))
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
        lines.seek(0)
        text = lines.read()
    for line in text.splitlines():
        match = _LOG_LINE.fullmatch(line)
        if match:
            findings.append(Finding(match[1], match[2], "see the text"))
        else:
            print(line, file=sys.stderr)
    return findings, found


def look(is_mpi: bool = False, n_ranks: int = 1) -> tuple[list[Finding], dict[str, Any]]:
    """Return what is wrong on this rank, and what was found: cores, workers, devices. Collective if `is_mpi`."""
    n_cores = len(os.sched_getaffinity(0))
    findings, found = _started(is_mpi)
    findings = [*_limits(), *_blas(n_cores), *_mpi_libraries(), *_launcher(n_ranks), *_gpus(found["devices"]), *findings]
    return findings, {"n_cores": n_cores, **found}


# --- All ranks --------------------------------------------------------------------------------------------------------------------------------


def _is_launched() -> bool:
    return any(os.environ.get(name) for _, name in _LAUNCHERS)


def _world() -> Any:
    """Return MPI.COMM_WORLD if this process was launched as a rank and parla.mpi can be used, else None."""
    if not _is_launched() or importlib.util.find_spec("parla._mpi") is None or importlib.util.find_spec("mpi4py") is None:
        return None
    from mpi4py import MPI

    return MPI.COMM_WORLD


def _ranks(numbers: list[int], n_ranks: int) -> str:
    if n_ranks == 1:
        return ""
    if len(numbers) == n_ranks:
        return "all ranks: "
    return f"rank {numbers[0]}: " if len(numbers) == 1 else f"ranks {', '.join(map(str, numbers))}: "


def _together(answers: list[tuple[list[Finding], dict[str, Any]]]) -> list[tuple[Finding, list[int]]]:
    """Return each finding once, with the ranks that have it; errors first."""
    by_finding: dict[Finding, list[int]] = {}
    for rank, (findings, _) in enumerate(answers):
        for finding in dict.fromkeys(findings):
            by_finding.setdefault(finding, []).append(rank)
    return sorted(by_finding.items(), key=lambda item: item[0].level != "error")


def _run(options: argparse.Namespace) -> int:
    world = _world()
    if world is None:
        answers = [look()]
    else:
        gathered = world.gather(look(is_mpi=True, n_ranks=world.size), root=0)
        if world.rank != 0:
            return 0
        answers = gathered
    found = _together(answers)
    if options.json:
        items = [{**asdict(finding), "ranks": ranks} for finding, ranks in found]
        print(json.dumps({"findings": items, "ranks": [about for _, about in answers]}, indent=1))
    else:
        for finding, ranks in found:
            print(f"{finding.level}: {_ranks(ranks, len(answers))}{finding.what}\n    to mend it: {finding.mend}")
        about = answers[0][1]
        summary = f"{len(answers)} rank{'s' * (len(answers) > 1)}; the first has {about['n_workers']} workers on {about['n_cores']} cores"
        print(f"{summary}, {', '.join(about['devices']) or 'no device'}" + ("" if found else "; nothing is wrong"))
    return int(any(finding.level == "error" for finding, _ in found))


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser of `parla`."""
    parser = add_command(commands, "doctor", "say what is wrong with this launch, and what mends it", _run)
    parser.epilog = "examples:\n  parla doctor\n  mpirun -n 8 parla doctor"
    add_json(parser)
