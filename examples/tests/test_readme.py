"""The programs printed in README.md do what it says."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]


def code(language):
    """Return the only block of README.md in `language`."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", (TOP / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    return blocks[0]


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=100, **options)


def test_python(tmp_path):
    program = tmp_path / "readme.py"
    program.write_text(code("python"))
    done = run([sys.executable, str(program)])
    assert (done.returncode, done.stdout, done.stderr) == (0, "sum of 0 … 3999 is 7998000\n", "")


def test_c(tmp_path):
    import parla._parla

    library = pathlib.Path(parla._parla.__file__).parent
    found = [p for folder in (library / "lib", TOP / "build" / "dev" / "libparla") for p in folder.glob("libparla.so")]
    if not found or shutil.which("cc") is None:
        pytest.skip("needs a C compiler and libparla.so")
    program = tmp_path / "readme.c"
    program.write_text(code("c"))
    sanitizer = os.environ.get("LD_PRELOAD", "")
    if "san" in sanitizer:
        pytest.skip("the program would have to be built with the sanitizer")
    built = run(["cc", "-Wall", "-Wextra", "-Werror", "-I", str(TOP / "libparla" / "include"), str(program), str(found[0]), "-o",
                 str(tmp_path / "readme"), f"-Wl,-rpath,{found[0].parent}"])
    assert built.returncode == 0, built.stderr
    done = run([str(tmp_path / "readme")])
    assert (done.returncode, done.stdout) == (0, "first on device 0\nsecond on device 0\n"), done.stderr
