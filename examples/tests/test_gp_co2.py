"""The main example as a program: its output, its files, its exit status."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import termios

import matplotlib.image
import numpy as np
import pytest


def value_of(pattern, text):
    """The first group of the pattern, as a number."""
    found = re.search(pattern, text)
    assert found, f"{pattern!r} is not in:\n{text}"
    return float(found[1])


def check_picture(path):
    pixels = matplotlib.image.imread(path)
    assert pixels.shape[0] > 800 and pixels.shape[1] > 1000
    assert len(np.unique(pixels[..., :3].reshape(-1, 3), axis=0)) > 50


def check_trace(path, *names):
    trace = json.loads(path.read_text())
    events = trace["traceEvents"] if isinstance(trace, dict) else trace
    seen = {str(event.get("name", "")) for event in events}
    for name in names:
        assert any(name in other for other in seen), f"no {name!r} among {sorted(seen)[:20]}"


def test_the_record(program, tmp_path):
    """The main job on real input: numbers, tables, picture and trace."""
    done = program("gp_co2.py", "--devices", "sim:2", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    out = done.stdout
    assert "1912 values condition the model, 313 are held out" in out
    assert out.count("(sim)") >= 2
    assert value_of(r"RMSE +([\d.]+) ppm", out) == pytest.approx(0.683, abs=0.001)
    assert value_of(r"covers +([\d.]+) %", out) == pytest.approx(98.7, abs=0.1)
    assert value_of(r"log marginal likelihood +(-?[\d.]+)", out) == pytest.approx(-1539.880, abs=0.001)
    assert "FAILED" not in out and out.count(" ok\n") == 4
    for phase in ("covariance", "factorise", "solve", "predict", "gather"):
        assert re.search(rf"^  {phase} +[\d.]+ ", out, re.MULTILINE)
    assert "GFlop/s" in out and "gpu[0] (sim) → gpu[1] (sim)" in out
    check_picture(tmp_path / "out" / "gp_co2.png")
    check_trace(tmp_path / "out" / "gp_co2.trace.json", "potrf", "gemm")


@pytest.mark.parametrize(
    ("size", "block", "devices"), [(500, 128, "sim:2"), (300, 77, "sim:3"), (20, 64, "sim:1"), (200, 50, "cpu")]
)
def test_synthetic(program, size, block, devices):
    """Other sizes, tiles that do not divide them, other devices; files go to the default folder."""
    done = program("gp_co2.py", "--size", size, "--seed", 3, "--block", block, "--devices", devices, "--no-progress")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Synthetic weekly series (seed 3)" in done.stdout
    assert f"{size} values condition the model, 312 are held out" in done.stdout
    assert "FAILED" not in done.stdout


def test_devices_by_default(program):
    """Without --devices the program says what it took."""
    done = program("gp_co2.py", "--size", 50, "--block", 32)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "simulated" in done.stdout


def test_results_do_not_depend_on_devices(program):
    """The same tiles give the same bits, however many devices share them."""
    lines = set()
    for devices in ("sim:1", "sim:2", "sim:4"):
        done = program("gp_co2.py", "--size", 200, "--block", 40, "--devices", devices)
        assert done.returncode == 0, done.stdout + done.stderr
        lines.add(re.search(r"log marginal likelihood.*", done.stdout)[0] + re.search(r"mean, .*", done.stdout)[0])
    assert len(lines) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--csv", "missing.csv"], "missing.csv: No such file or directory"),
        (["--csv", "bad.csv"], "bad.csv:3: expected a finite number of ppm or nothing, found 'x'"),
        (["--size", "50", "--devices", "quantum:2"], "quantum"),
        (["--size", "50", "--devices", "sim:0"], "sim"),
        (["--size", "50", "--output", "bad.csv"], "bad.csv"),
        (["--size", "0"], "must be at least 1"),
        (["--block", "-3"], "must be at least 1"),
    ],
)
def test_bad_input(program, tmp_path, arguments, message):
    """One clear line, exit status 2, no traceback."""
    (tmp_path / "bad.csv").write_text("date,co2\n19580329,316.1\n19580405,x\n")
    done = program("gp_co2.py", *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("gp_co2") and message in last


def test_tiles_that_do_not_fit(program):
    """Tiles go to host memory and back when a device is too small for all of them; for one it must be large enough."""
    done = program("gp_co2.py", "--size", 400, "--block", 100, "--devices", "sim:2,mem=512KiB")
    assert done.returncode == 0, done.stdout + done.stderr
    done = program("gp_co2.py", "--size", 400, "--block", 400, "--devices", "sim:1,mem=512KiB")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "gpu[0] (sim)" in done.stderr and "Traceback" not in done.stderr


def test_progress_bar(command, tmp_path):
    """A terminal on standard error gets a bar for each phase."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 110))
    line = command("gp_co2.py", "--size", 300, "--block", 64, "--devices", "sim:2")
    with subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=theirs) as running:
        os.close(theirs)
        shown = b""
        with open(ours, "rb", buffering=0) as terminal, contextlib.suppress(OSError):  # EIO: the program closed it
            while part := terminal.read(4096):
                shown += part
    assert running.returncode == 0, shown
    for phase in (b"covariance", b"factorise", b"predict"):
        assert phase + b": " in shown


def test_interrupt(command, tmp_path):
    """Ctrl-C ends the program with one line."""
    line = command("gp_co2.py", "--size", 6000, "--devices", "sim:2", "--no-progress")
    with subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        while "Devices" not in running.stdout.readline():
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert errors.strip() == "gp_co2: interrupted"


@pytest.mark.timeout(120)
def test_a_wrong_result_fails_the_program(monkeypatch, capsys, tmp_path):
    """A prediction that is off by more than the tolerance makes the exit status 1."""
    import dataclasses

    import gp_co2
    from gp import pipeline

    def run(*arguments):
        solution = honest(*arguments)
        return dataclasses.replace(solution, mean=solution.mean * (1.0 + 1e-7))

    honest = pipeline.run
    arguments = ["--size", "100", "--block", "40", "--devices", "sim:2", "--output", str(tmp_path), "--no-progress"]
    assert gp_co2.main(arguments) == 0
    monkeypatch.setattr(pipeline, "run", run)
    assert gp_co2.main(arguments) == 1
    assert re.search(r"mean, beside SciPy .*FAILED", capsys.readouterr().out)


@pytest.mark.timeout(120)
def test_a_matrix_that_is_not_positive_definite(monkeypatch, capsys, tmp_path):
    """The error names the tile; the exit status is 1."""
    import gp_co2
    from gp import kernel

    monkeypatch.setattr(gp_co2.reference, "solve", lambda *_: None)
    monkeypatch.setattr(kernel, "between_observations", lambda time: lambda i, j: 1.0 * (i == j) * (1 - 2 * (i == 70)))
    arguments = ["--size", "100", "--block", "40", "--devices", "sim:2", "--output", str(tmp_path), "--no-progress"]
    assert gp_co2.main(arguments) == 1
    assert "not positive definite: tile (1, 1): the leading minor of order 31 of 40" in capsys.readouterr().err
