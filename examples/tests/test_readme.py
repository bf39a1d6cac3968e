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
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    import parla  # noqa: F401  (loads libparla, wherever it is)

    library = pathlib.Path(re.search(r"\S*/libparla\.so\S*", pathlib.Path("/proc/self/maps").read_text()).group())
    program = tmp_path / "readme.c"
    program.write_text(code("c"))
    sanitizer = os.environ.get("LD_PRELOAD", "")
    if "san" in sanitizer:
        pytest.skip("the program would have to be built with the sanitizer")
    built = run(["cc", "-Wall", "-Wextra", "-Werror", "-I", str(TOP / "libparla" / "include"), str(program), str(library), "-o",
                 str(tmp_path / "readme"), f"-Wl,-rpath,{library.parent}"])
    assert built.returncode == 0, built.stderr
    done = run([str(tmp_path / "readme")])
    assert (done.returncode, done.stdout) == (0, "first on device 0\nsecond on device 0\n"), done.stderr
