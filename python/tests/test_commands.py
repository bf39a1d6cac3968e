"""The command `parla`: what it prints, its exit status, wrong arguments."""

import argparse
import json
import os
import shutil
import subprocess
import sys

import pytest
from trace_builder import Builder

from parla.__main__ import main, make_parser

PROGRAM = """
from parla import Parla, spawn
with Parla(n_workers=1):
    spawn(name="the task")(lambda: None).result()
"""

PLAIN = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}  # no sanitizer in other people's programs


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


def test_record_tells_programs_what_it_wrote(tmp_path):
    output = tmp_path / "run.json"
    done = parla("trace", "record", "--json", "-o", str(output), "--", sys.executable, "-c", PROGRAM)
    found = json.loads(done.stdout)
    assert (found["path"], found["status"], found["n_ranks"]) == (str(output), 0, 1)


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


def chain():
    made = Builder()
    made.span("worker 0", "a", 0, 100, task=1)
    made.span("gpu[0] (sim) queue 0", "b", 150, 250, task=2, device=1)
    made.span("sim0.q1", "x", 110, 140, kind="copy", device=1, bytes=8)
    made.span("worker 0", "b", 0, 1, task=9)
    made.span("worker 0", "c", 250, 260, task=3)
    made.span("worker 0", "c", 300, 310, task=3)
    made.after(2, 1)
    made.after(3, 2)
    return made


def test_why_tells_what_a_task_waited_for(tmp_path, capsys):
    path = str(chain().write(tmp_path / "trace.json"))
    assert main(["why", path, "b", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["task"], found["line"], found["begin_us"], found["end_us"]) == ("b", "gpu[0] (sim) queue 0", 150, 250)
    assert (found["ready_us"], found["waited_us"], found["n_copies"], found["copies_us"]) == (100, 50, 1, 30)
    assert found["chain"] == [{"task": "a", "begin_us": 0, "end_us": 100}]
    assert found["let_go"] == ["c"]
    assert main(["why", path, "c"]) == 0
    text = capsys.readouterr().out
    assert "20 us of work; suspended for 40 us" in text
    assert text.index("  b ") < text.index("  a ")
    assert main(["why", path, "a"]) == 0
    assert "it waited for no task" in capsys.readouterr().out
    assert main(["why", path, "B"]) == 1
    assert "no task is called 'B'; there are 'b'" in capsys.readouterr().err


def test_bench_measures(capsys):
    assert main(["bench", "--json", "--repeats", "1", "--devices", "sim:1", "--workers", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n_workers"] == 1 and found["devices"] == ["cpu[0]", "gpu[0] (sim)"]
    assert min(found["spawn_us"], found["spawn_many_us"], found["copy_bytes_per_s"]) > 0
    assert main(["bench", "--repeats", "0"]) == 1
    assert "--repeats 0: expected at least 1" in capsys.readouterr().err


def completed(tmp_path, *words):
    """Return what bash offers behind these words of a command line."""
    script = tmp_path / "parla.bash"
    script.write_text(parla("completion", "bash").stdout)
    line = f"source {script}; COMP_WORDS=(parla {' '.join(words)} ''); COMP_CWORD={len(words) + 1}; _parla; echo \"${{COMPREPLY[@]}}\""
    return subprocess.run(["bash", "-c", line], env=PLAIN, capture_output=True, text=True, timeout=60, check=True).stdout.split()


def test_a_shell_completes_commands_and_options(tmp_path):
    assert {"info", "doctor", "why", "trace", "bench", "--help"} <= set(completed(tmp_path))
    assert {"record", "merge", "report", "diff", "timeline"} <= set(completed(tmp_path, "trace"))
    assert set(completed(tmp_path, "trace", "report")) == {"--help", "--json"}
    assert set(completed(tmp_path, "completion")) == {"--help", "--json", "bash", "zsh"}
    assert "bashcompinit" in parla("completion", "zsh").stdout


def test_the_manual_page_has_every_command():
    page = parla("manual").stdout
    for words in ("info", "doctor", "why", "bench", "trace record", "trace timeline", "completion", "manual"):
        assert f".SS parla {words}\n" in page
    assert "\\fBPARLA_RECEIPT\\fR" in page
    if shutil.which("groff"):
        groff = ["groff", "-man", "-ww", "-Tascii"]
        done = subprocess.run(groff, input=page, env=PLAIN, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def every_command(parser, words=()):
    for action in parser._actions:
        for name, command in (action.choices or {}).items() if isinstance(action, argparse._SubParsersAction) else ():
            yield from every_command(command, (*words, name))
    if parser.get_default("run"):
        yield words, parser


COMMANDS = list(every_command(make_parser()))


@pytest.mark.parametrize(("words", "parser"), COMMANDS, ids=[" ".join(words) for words, _ in COMMANDS])
def test_every_command_has_json_and_examples(words, parser):
    assert any("--json" in action.option_strings for action in parser._actions)
    assert "example" in parser.epilog and f"parla {' '.join(words)}" in parser.epilog


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
