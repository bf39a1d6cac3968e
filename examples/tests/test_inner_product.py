"""The inner product over GPUs as a program."""

import pytest


@pytest.mark.parametrize(
    ("arguments", "n_gpu"), [([], 4), (["--devices", "sim:4"], 4), (["--devices", "sim:3", "--size", "1001"], 3)]
)
def test_product(program, arguments, n_gpu):
    done = program("inner_product.py", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for i in range(n_gpu):
        assert f"block_{i}" in done.stdout and f"gpu[{i}]" in done.stdout
    assert "reduce" in done.stdout and "(NumPy: " in done.stdout


@pytest.mark.parametrize("arguments", [["--devices", "quantum:2"], ["--devices", "cpu"], ["--size", "0"]])
def test_bad_input(program, arguments):
    done = program("inner_product.py", *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("inner_product")
