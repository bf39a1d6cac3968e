"""Makes the examples importable and runnable from the tests."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(EXAMPLES / "python"))


@pytest.fixture
def command():
    """A function that gives the command line which runs examples/python/NAME with arguments."""

    def line(name, *arguments):
        return [sys.executable, "-u", str(EXAMPLES / "python" / name), *map(str, arguments)]

    return line


@pytest.fixture
def program(command, tmp_path):
    """A function that runs examples/python/NAME with arguments in an empty folder and returns the finished process."""

    def run(name, *arguments, timeout=120):
        return subprocess.run(
            command(name, *arguments), cwd=tmp_path, capture_output=True, text=True, timeout=timeout, check=False
        )

    return run


@pytest.fixture
def co2_csv():
    """The record that the main example reads."""
    return EXAMPLES / "data" / "co2.csv"
