"""What report and diff say of traces whose figures are known, of random ones, and of real runs."""

import json
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trace_builder import Builder

from parla import Parla, TaskSpace, gpu, spawn
from parla.array import asarray
from parla.trace import diff, merge, read, report
from parla.trace.differing import as_text as diff_text
from parla.trace.reporting import as_text as report_text


def reported(builder, tmp_path):
    return report(read(builder.write(tmp_path / "trace.json")))


def lost_us(pool):
    return {cause: round(seconds * 1e6, 3) for cause, seconds in pool["lost_s"].items() if seconds > 1e-12}


def test_a_ready_task_that_waits_is_the_schedulers_loss(tmp_path):
    trace = Builder()
    trace.span("worker 0", "a", 0, 100, task=1)
    trace.span("worker 0", "b", 150, 250, task=2)
    trace.after(2, 1)
    found = reported(trace, tmp_path)
    (pool,) = found["pools"]
    assert (pool["name"], pool["capacity"], pool["n_tasks"]) == ("workers", 1, 2)
    assert pool["busy_s"] == pytest.approx(200e-6)
    assert lost_us(pool) == {"scheduler": 50}
    assert found["critical_path_s"] == pytest.approx(200e-6)
    assert found["n_critical"] == 2


def test_a_chain_leaves_the_second_worker_to_its_dependencies(tmp_path):
    trace = Builder()
    trace.span("worker 0", "a", 0, 100, task=1)
    trace.span("worker 1", "b", 100, 200, task=2)
    trace.after(2, 1)
    (pool,) = reported(trace, tmp_path)["pools"]
    assert pool["capacity"] == 2
    assert lost_us(pool) == {"dependency": 200}


def test_copies_explain_what_they_delay(tmp_path):
    trace = Builder()
    queue = "gpu[0] (sim) queue 0"
    trace.span(queue, "a", 0, 100, task=1, device=1)
    trace.span("sim0.q1", "array", 100, 140, kind="copy", device=1, bytes=4096)
    trace.span("sim1.q1", "array", 140, 150, kind="copy", device=2, bytes=1)
    trace.span(queue, "b", 150, 200, task=2, device=1)
    found = reported(trace, tmp_path)
    (pool,) = found["pools"]
    assert pool["name"] == "gpu[0] (sim)"
    assert lost_us(pool) == {"transfer": 40, "dependency": 10}
    assert (found["n_copies"], found["copied_bytes"]) == (2, 4097)


def test_two_queues_of_a_device_are_one_device(tmp_path):
    trace = Builder()
    trace.span("gpu[0] queue 0", "a", 0, 100, task=1, device=1)
    trace.span("gpu[0] queue 1", "b", 50, 150, task=2, device=1)
    (pool,) = reported(trace, tmp_path)["pools"]
    assert pool["capacity"] == 1
    assert pool["busy_s"] == pytest.approx(150e-6)
    assert lost_us(pool) == {}


def test_suspended_tasks_wait(tmp_path):
    trace = Builder()
    trace.span("worker 0", "a", 0, 10, task=1)
    trace.span("worker 0", "a", 60, 70, task=1)
    found = reported(trace, tmp_path)
    assert lost_us(found["pools"][0]) == {"waits": 50}
    assert found["n_tasks"] == 1
    assert found["critical_path_s"] == pytest.approx(20e-6)


def test_time_around_the_tasks(tmp_path):
    trace = Builder()
    trace.span("main", "setting up", 0, 100, kind="phase")
    trace.span("worker 0", "a", 30, 60, task=1)
    assert lost_us(reported(trace, tmp_path)["pools"][0]) == {"start_end": 70}


def test_a_task_that_helps_keeps_its_own_time_only(tmp_path):
    trace = Builder()
    trace.span("worker 0", "outer", 0, 100, task=1)
    trace.span("worker 0", "inner", 20, 90, task=2)
    found = reported(trace, tmp_path)
    totals = {function["name"]: round(function["total_s"] * 1e6) for function in found["functions"]}
    assert totals == {"outer": 30, "inner": 70}
    assert found["pools"][0]["busy_s"] == pytest.approx(100e-6)


def test_names_are_grouped_without_their_numbers(tmp_path):
    trace = Builder()
    for i in range(4):
        trace.span("worker 0", f"block ({i}, 7)", 10 * i, 10 * i + 10, task=i + 1)
    (function,) = reported(trace, tmp_path)["functions"]
    assert (function["name"], function["n"], function["median_us"]) == ("block (·, ·)", 4, 10)


def test_gains_name_what_bounds_the_run(tmp_path):
    trace = Builder()
    for i in range(10):  # a chain of slow tasks, a worker without work
        trace.span(f"worker {i % 2}", "slow", 100 * i, 100 * i + 100, task=i + 1)
        if i:
            trace.after(i + 1, i)
    gains = reported(trace, tmp_path)["gains"]
    assert gains[0]["change"] == "slow in half the time"
    assert gains[0]["gain_s"] == pytest.approx(500e-6)
    assert all("twice the workers" not in gain["change"] for gain in gains)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 50), st.integers(1, 40), st.booleans()), min_size=1, max_size=30))
def test_losses_add_up_and_no_bound_is_above_the_run(tmp_path, steps):
    trace = Builder()
    ends = {0: 0, 1: 0, 2: 0}
    begun = []
    for task, (worker, pause, length, is_after) in enumerate(steps, 1):
        begin = ends[worker] + pause
        trace.span(f"worker {worker}", f"f{'abc'[task % 3]}", begin, begin + length, task=task)
        ends[worker] = begin + length
        if is_after:
            for other, end in begun:
                if end <= begin:
                    trace.after(task, other)
        begun.append((task, begin + length))
    found = reported(trace, tmp_path)
    (pool,) = found["pools"]
    assert pool["busy_s"] + sum(pool["lost_s"].values()) == pytest.approx(pool["capacity"] * found["duration_s"])
    assert min(pool["lost_s"].values()) >= 0
    assert found["lower_bound_s"] <= found["duration_s"] * (1 + 1e-9)
    assert sum(function["n"] for function in found["functions"]) == len(steps)
    assert sum(function["total_s"] for function in found["functions"]) == pytest.approx(pool["busy_s"])


def test_a_real_run(tmp_path):
    path = tmp_path / "run.json"
    with Parla(n_workers=2, trace=path):
        chain = TaskSpace("link")
        for i in range(5):
            spawn(chain[i], dependencies=[chain[i - 1]] if i else [], name=f"link {i}")(lambda: time.sleep(0.002))
        chain.wait()
    found = report(read(path))
    assert found["n_tasks"] == 5
    assert found["n_critical"] == 5, "the arrows of the trace say the chain"
    assert found["critical_path_s"] >= 5 * 0.002
    text = report_text(found, "run.json")
    assert "link ·" in text
    assert "Critical path" in text
    json.dumps(found)


def test_diff_of_a_run_with_itself_is_nothing(tmp_path):
    trace = Builder()
    trace.span("worker 0", "a", 0, 100, task=1)
    recorded = read(trace.write(tmp_path / "trace.json"))
    found = diff(recorded, recorded)
    assert all(row["change"] == 0 for rows in found.values() for row in rows)


def test_diff_names_what_changed_most(tmp_path):
    before, after = Builder(), Builder()
    for trace, length in ((before, 10), (after, 400)):
        trace.span("worker 0", "same", 0, 100, task=1)
        trace.span("worker 0", "changed", 100, 100 + length, task=2)
    after.span("worker 0", "new", 600, 700, task=3)
    found = diff(read(before.write(tmp_path / "before.json")), read(after.write(tmp_path / "after.json")))
    assert [row["name"] for row in found["functions"]] == ["changed", "new", "same"]
    assert found["functions"][0]["change"] == pytest.approx(390e-6)
    assert (found["functions"][1]["n_before"], found["functions"][1]["n_after"]) == (0, 1)
    assert "changed" in diff_text(found, ("before.json", "after.json"))


def test_merge_goes_by_the_ranks_in_the_files(tmp_path):
    paths = []
    for rank in (2, 0, 1):
        trace = Builder(rank=rank, start_ns=1000 * rank)
        trace.span("worker 0", f"of {rank}", 0, 5, task=1)
        paths.append(trace.write(tmp_path / f"{rank}.json"))
    merge(paths, tmp_path / "all.json")
    recorded = read(tmp_path / "all.json")
    assert recorded.ranks == [0, 1, 2]
    assert [recorded.names[i] for i in recorded.name] == ["of 0", "of 1", "of 2"]
    assert list(recorded.t0_us) == [0, 1, 2]
    assert [pool["rank"] for pool in report(recorded)["pools"]] == [0, 1, 2]


def test_what_is_no_trace_is_told(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("{")
    with pytest.raises(ValueError, match=r"x\.json is no trace"):
        read(path)
    path.write_text('{"traceEvents": []}')
    with pytest.raises(ValueError, match="otherData"):
        read(path)
    Builder().write(path)
    with pytest.raises(ValueError, match="nothing was recorded"):
        read(path)


def test_records_that_are_missing_are_told(tmp_path):
    trace = Builder()
    trace.span("worker 0", "a", 0, 100, task=1)
    found = report(read(trace.write(tmp_path / "trace.json", dropped=7)))
    assert "7 records are missing" in report_text(found, "t")




def test_a_trace_shows_itself_in_notebooks(tmp_path):
    trace = Builder()
    trace.span("worker 0", "a", 0, 60, task=1)
    trace.span("worker <1>", "b", 60, 120, task=2)
    shown = read(trace.write(tmp_path / "trace.json"))._repr_html_()
    assert "2 tasks; busy 50 %" in shown
    assert "rank 0, worker &lt;1&gt;" in shown
    assert shown.count("<rect") == 120  # each column has one busy worker


def two_ranks(tmp_path, ahead_ns=0):
    """Rank 0 computes and sends, rank 1 receives and goes on; the clock of rank 1 is ahead."""
    paths = []
    for rank in (0, 1):
        made = Builder(rank, start_ns=1_000_000 + rank * ahead_ns)
        if rank == 0:
            made.span("worker 0", "a", 0, 100, task=1)
            made.span("worker 0", "crosspy send", 100, 101, task=2)
            made.span("worker 0 (2)", "send 7 to 1", 101, 140, kind="message", task=2, bytes=64)
            made.after(2, 1)
        else:
            made.span("worker 0", "crosspy receive", 0, 1, task=1)
            made.span("worker 0 (2)", "receive 7 from 0", 1, 150, kind="message", task=1, bytes=64)
            made.span("worker 0", "b", 150, 250, task=2)
            made.after(2, 1)
        path = made.write(tmp_path / f"trace.{rank}.json")
        document = json.loads(path.read_text())
        document["otherData"].update(clock_ahead_ns=rank * ahead_ns, clock_error_ns=rank * 300)
        path.write_text(json.dumps(document))
        paths.append(path)
    return paths


def test_messages_join_the_ranks(tmp_path):
    done = merge(two_ranks(tmp_path), tmp_path / "run.json")
    assert done["n_messages"] == 1
    found = report(read(tmp_path / "run.json"))
    assert [step["name"] for step in found["critical_path"]] == ["a", "b", "crosspy send"]
    assert found["critical_path_s"] == pytest.approx(201e-6)
    pool = next(pool for pool in found["pools"] if pool["rank"] == 1)
    assert lost_us(pool)["mpi"] == 149
    arrows = [event for event in json.loads((tmp_path / "run.json").read_text())["traceEvents"] if event.get("name") == "message"]
    assert [(event["ph"], event["pid"], event["ts"]) for event in arrows] == [("s", 0, 101), ("f", 1, 150)]


def test_messages_have_lines_of_their_own(tmp_path):
    trace = Builder()
    trace.span("worker 0", "a", 0, 100, task=1)
    for i, (begin, end) in enumerate([(0, 50), (10, 60), (50, 70), (55, 80)]):
        trace.span(f"worker 0 ({i % 2 + 2})", f"receive {i} from 1", begin, end, kind="message", task=1)
    found = read(trace.write(tmp_path / "trace.json"))
    assert sorted(found.lines.values()) == ["messages", "messages (2)", "messages (3)", "worker 0"]
    assert [found.lines[0, line] for line in found.line[found.kind == 4]] == ["messages", "messages", "messages (2)", "messages (3)"]


def test_clocks_that_are_apart_are_put_right(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    merge(two_ranks(tmp_path / "a"), tmp_path / "right.json")
    done = merge(two_ranks(tmp_path / "b", ahead_ns=5_000_000_000), tmp_path / "skewed.json")
    assert done["clock_error_us"] == 0.3
    right, skewed = (json.loads((tmp_path / name).read_text())["traceEvents"] for name in ("right.json", "skewed.json"))
    assert right == skewed


def test_time_that_bodies_wait_for_the_interpreter_lock(tmp_path):
    trace = Builder()
    trace.span("worker 0", "a", 0, 100, task=1)
    trace.span("worker 0", "wait for the GIL", 0, 30, kind="phase")
    (pool,) = reported(trace, tmp_path)["pools"]
    assert pool["busy_s"] == pytest.approx(70e-6)
    assert lost_us(pool) == {"gil": 30}


def test_bodies_that_want_the_lock_at_once(tmp_path):
    path = tmp_path / "trace.json"
    with Parla(n_workers=2, trace=path):
        for _ in range(2):
            spawn(lambda: sum(range(2_000_000)))
    (pool,) = report(read(path))["pools"]
    assert pool["lost_s"]["gil"] > 0
    assert pool["busy_s"] + sum(pool["lost_s"].values()) == pytest.approx(2 * report(read(path))["duration_s"])


def test_making_room_is_the_memorys_loss(tmp_path):
    trace = Builder()
    queue = "gpu[0] (sim) queue 0"
    trace.span(queue, "a", 0, 100, task=1, device=1)
    trace.span("sim0.q1", "eviction of x", 100, 140, kind="copy", device=1, bytes=4096)
    trace.span("sim0.q1", "y", 140, 150, kind="copy", device=1, bytes=4096)
    trace.span(queue, "b", 150, 200, task=2, device=1)
    (pool,) = reported(trace, tmp_path)["pools"]
    assert lost_us(pool) == {"memory": 40, "transfer": 10}


def test_a_device_that_is_too_small(tmp_path):
    path = tmp_path / "trace.json"
    arrays = [asarray(np.zeros(1 << 17), name=f"x{i}") for i in range(4)]  # 1 MiB each

    def use(array):
        array.array[:] += 1

    with Parla(devices="sim:1,mem=2MiB", trace=path):
        for array in arrays * 2:
            spawn(placement=gpu(0), inout=[array], args=(array,))(use)
    assert any(name.startswith("eviction of x") for name in read(path).names)
    assert [float(np.asarray(array)[0]) for array in arrays] == [2, 2, 2, 2]
