"""The command `parla`: what it prints, its exit status, wrong arguments."""

import json
import os
import subprocess
import sys

import pytest
from trace_builder import Builder

from parla.__main__ import main

PROGRAM = """
from parla import Parla, spawn
with Parla(n_workers=1):
    spawn(name="the task")(lambda: None).result()
"""


def parla(*words, **options):
    environment = {**os.environ, **options.pop("env", {})}
    return subprocess.run([sys.executable, "-m", "parla", *words], capture_output=True, text=True, timeout=100, env=environment, **options)


@pytest.fixture
def trace(tmp_path):
    made = Builder()
    made.span("worker 0", "a <b>", 0, 100, task=1)
    return made.write(tmp_path / "trace.json")


def test_info_says_what_is_here():
    text = parla("info", "--devices", "sim:2").stdout
    assert "gpu[1] (sim)" in text
    assert "Python" in text
    found = json.loads(parla("info", "--json", "--devices", "sim:1").stdout)
    assert found["runtime"]["n_workers"] >= 1
    assert [device["name"] for device in found["runtime"]["devices"]] == ["cpu[0]", "gpu[0] (sim)"]


def test_info_tells_why_a_runtime_cannot_start():
    done = parla("info", "--devices", "nonsense")
    assert done.returncode == 0
    assert "cannot start" in done.stdout


def test_info_does_not_make_a_rank_of_this_process():
    pytest.importorskip("mpi4py")
    program = "import sys; from parla.__main__ import main; main(['info']); found = sys.modules.get('mpi4py.MPI'); "
    program += "print(found is not None and found.Is_initialized())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_info_lists_the_variables(capsys, monkeypatch):
    monkeypatch.setenv("PARLA_WORKERS", "1")
    assert main(["info", "--env", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["PARLA_WORKERS"]["value"] == "1"
    assert rows["PARLA_TRACE"]["meaning"]
    assert len(rows) < 25
    assert main(["info", "--env"]) == 0
    assert "PARLA_WORKERS=1" in capsys.readouterr().out


def test_doctor_finds_nothing_wrong():
    done = parla("doctor", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [finding for finding in found["findings"] if finding["level"] == "error"] == []
    assert found["ranks"][0]["n_workers"] >= 1


def test_doctor_explains_a_runtime_that_cannot_start():
    done = parla("doctor", env={"PARLA_DEVICES": "nonsense"})
    assert done.returncode == 1
    assert "error: a runtime cannot start" in done.stdout
    assert "nonsense" in done.stdout


def test_doctor_knows_unknown_variables_and_too_many_threads():
    done = parla("doctor", "--json", env={"PARLA_WORKER": "1", "OMP_NUM_THREADS": "100000"})
    said = [finding["what"] for finding in json.loads(done.stdout)["findings"]]
    assert any("PARLA_WORKER" in what and "PARLA_WORKERS" in what for what in said)
    assert any("OMP_NUM_THREADS=100000" in what for what in said)


def test_doctor_sees_a_launcher_of_another_mpi():
    pytest.importorskip("mpi4py")
    done = parla("doctor", env={"SLURM_STEP_NUM_TASKS": "4"})
    assert done.returncode == 1
    assert "srun started 4 processes, but MPI sees one rank" in done.stdout


def test_trace_commands(trace, tmp_path, capsys):
    assert main(["trace", "report", str(trace)]) == 0
    assert "a <b>" in capsys.readouterr().out
    assert main(["trace", "report", "--json", str(trace)]) == 0
    assert json.loads(capsys.readouterr().out)["n_tasks"] == 1
    assert main(["trace", "diff", str(trace), str(trace)]) == 0
    assert "1.000x" in capsys.readouterr().out
    assert main(["trace", "timeline", str(trace)]) == 0
    assert str(tmp_path / "trace.html") in capsys.readouterr().out
    assert main(["trace", "merge", "--json", str(trace), "-o", str(tmp_path / "all.json")]) == 0
    assert json.loads(capsys.readouterr().out)["n_ranks"] == 1


def test_record_runs_a_command(tmp_path):
    output = tmp_path / "run.json"
    done = parla("trace", "record", "-o", str(output), "--", sys.executable, "-c", PROGRAM)
    assert done.returncode == 0, done.stderr
    assert "the task" in output.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_record_hands_on_the_exit_status(tmp_path):
    output = tmp_path / "run.json"
    done = parla("trace", "record", "-o", str(output), "--", sys.executable, "-c", PROGRAM + "\nraise SystemExit(7)")
    assert done.returncode == 7
    assert output.exists()


def test_record_says_why_there_is_no_trace(tmp_path):
    done = parla("trace", "record", "-o", str(tmp_path / "run.json"), "--", "true")
    assert done.returncode == 1
    assert "started no runtime" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_wrong_arguments():
    for words in ([], ["nonsense"], ["trace"], ["trace", "merge"], ["info", "--nonsense"]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2


def test_missing_files_and_commands_are_errors(tmp_path, capsys):
    assert main(["trace", "report", str(tmp_path / "none.json")]) == 1
    assert "parla trace report: " in capsys.readouterr().err
    assert main(["trace", "record"]) == 1
    assert "a command is needed" in capsys.readouterr().err
    assert main(["trace", "record", "-o", str(tmp_path / "x.json"), "--", str(tmp_path / "no-program")]) == 1


@pytest.mark.parametrize("words", [["info"], ["doctor"], ["trace"], ["trace", "record"], ["trace", "report"], ["trace", "timeline"]])
def test_help(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert words == ["trace"] or "example" in text
