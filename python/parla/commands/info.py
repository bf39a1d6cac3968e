"""``parla info``: what this installation has and what a runtime would find here."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
from typing import Any

import numpy

import parla

from .. import _parla
from ._common import add_command, add_json


def _variables() -> list[dict[str, str]]:
    rows = [line.split("\t") for line in _parla.environment().splitlines()]
    return [{"name": name, "value": os.environ.get(name, ""), "default": default, "meaning": meaning} for name, default, meaning in rows]


def _runtime(devices: str | None) -> dict[str, Any]:
    """Return what a runtime finds, or why it cannot start."""
    try:
        with parla.Parla(devices=devices) as runtime:
            return {
                "n_workers": runtime.stats()["tasks"]["n_workers"],
                "devices": [{"name": repr(device), **runtime.stats()["devices"].get(repr(device), {})} for device in runtime.devices],
            }
    except parla.ParlaError as error:
        return {"error": str(error)}


def _mpi() -> dict[str, Any]:
    if importlib.util.find_spec("parla._mpi") is None:
        return {"is_built": False, "note": "this build has no parla.mpi: no MPI was found when it was built"}
    try:
        import mpi4py
    except ImportError as error:
        return {"is_built": True, "note": f"mpi4py cannot be imported: {error}"}
    mpi4py.rc.initialize = mpi4py.rc.finalize = False  # the version is known without; a process that is no rank stays none
    from mpi4py import MPI

    return {"is_built": True, "library": MPI.Get_library_version().splitlines()[0].rstrip("\0 ,")}


def _packages() -> dict[str, str]:
    found = {}
    for name in ("crosspy", "cupy", "numba", "torch", "scipy", "mpi4py"):
        found[name] = "yes" if importlib.util.find_spec(name) else "no"
    return found


def find(devices: str | None = None) -> dict[str, Any]:
    """Return what `parla info --json` prints."""
    return {
        "version": parla.__version__,
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "library": _parla.__file__,
        "n_cores": len(os.sched_getaffinity(0)),
        "runtime": _runtime(devices),
        "mpi": _mpi(),
        "packages": _packages(),
        "environment": _variables(),
    }


def _text(found: dict[str, Any]) -> str:
    runtime, mpi = found["runtime"], found["mpi"]
    lines = [
        f"parla {found['version']}, Python {found['python']}, NumPy {found['numpy']}",
        f"  extension   {found['library']}",
        f"  cores       {found['n_cores']} that this process may use",
    ]
    if "error" in runtime:
        lines.append(f"  runtime     cannot start: {runtime['error']}")
    else:
        lines.append(f"  runtime     {runtime['n_workers']} workers; " + ", ".join(device["name"] for device in runtime["devices"]))
    lines.append("  MPI         " + (mpi.get("note") or mpi["library"]))
    lines.append("  packages    " + ", ".join(f"{name}: {there}" for name, there in found["packages"].items()))
    given = [f"{row['name']}={row['value']}" for row in found["environment"] if row["value"]]
    lines.append("  variables   " + (", ".join(given) if given else "none set; parla info --env lists all"))
    return "\n".join(lines)


def _env_text(rows: list[dict[str, str]]) -> str:
    lines = []
    for row in rows:
        lines += [f"{row['name']}" + (f"={row['value']}" if row["value"] else ""), f"    {row['meaning']}"]
        lines.append(f"    default: {row['default'] or 'none'}")
    return "\n".join(lines)


def _run(options: argparse.Namespace) -> int:
    if options.env:
        rows = _variables()
        print(json.dumps(rows, indent=1) if options.json else _env_text(rows))
        return 0
    found = find(options.devices)
    print(json.dumps(found, indent=1) if options.json else _text(found))
    return 0


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser of `parla`."""
    parser = add_command(commands, "info", "say what this installation has, and what a runtime finds here", _run, "--devices sim:2")
    parser.add_argument("--devices", help="as Parla(devices=) takes them; default: PARLA_DEVICES, else cpu")
    parser.add_argument("--env", action="store_true", help="list the PARLA_* variables")
    add_json(parser)
