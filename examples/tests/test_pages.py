"""The pages of docs/ do what they say: programs print what stands below them, and commands run.

Programs are files of examples/, which pages include; the output below one is its file `.out`. Commands in blocks of `sh` run here, one after
the other, in a folder that has examples/; blocks of `console` are commands that other steps of CI run, or that change a machine.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
FOLDERS = ("tutorial", "howto", "coming_from")
PROGRAMS = sorted(path.with_suffix(".py") for folder in FOLDERS for path in (TOP / "examples" / folder).glob("*.out"))
PAGES = sorted(path for path in (TOP / "docs").rglob("*.md") if path.parent.name in ("tutorial", "howto", "coming-from") or
               path.name in ("start.md", "seeing.md", "porting.md"))
BLOCK = re.compile(r"^```(\S+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """A function that runs shell commands in a folder with examples/, with this Python and `parla` in the path."""
    for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "OMPI_MCA_rmaps_base_oversubscribe"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("OMPI_MCA_mpi_yield_when_idle", "1")
    monkeypatch.setenv("OMPI_MCA_hwloc_base_binding_policy", "none")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, command in (("python", ""), ("parla", " -m parla")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{command} "$@"\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    work = tmp_path / "work"
    work.mkdir()
    (work / "examples").symlink_to(TOP / "examples")

    def run(commands):
        return subprocess.run(["bash", "-euo", "pipefail", "-c", commands], cwd=work, capture_output=True, text=True, timeout=100)

    return run


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_program(path, tmp_path):
    done = subprocess.run([sys.executable, str(path)], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout == path.with_suffix(".out").read_text()


@pytest.mark.parametrize("path", [path for path in PROGRAMS if "mpirun" in path.read_text()], ids=lambda path: path.stem)
def test_program_on_two_ranks(path, shell):
    pytest.importorskip("mpi4py")
    done = shell(f"mpirun -n 2 python examples/{path.parent.name}/{path.name}")
    assert done.returncode == 0, done.stderr
    assert done.stdout == path.with_suffix(".out").read_text()


@pytest.mark.parametrize("page", [page for page in PAGES if "```sh\n" in page.read_text()], ids=lambda page: page.stem)
def test_commands(page, shell):
    commands = [code for language, code in BLOCK.findall(page.read_text()) if language == "sh"]
    if any("mpirun" in code for code in commands):
        pytest.importorskip("mpi4py")
    done = shell("".join(commands))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_programs_on_a_page_are_files(page):
    """Whatever is a program on these pages is included from a file that a test runs."""
    found = [language for language, _ in BLOCK.findall(page.read_text())]
    assert not {"python", "c", "fortran"} & set(found)
