"""Notebooks: rich displays, the magic %parla in a real kernel, and await at top level."""

import os
import signal
import textwrap
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import parla
from parla import Parla, TaskSpace, Tasks, gpu, spawn
from parla.array import asarray


class Elements(HTMLParser):
    """Collects what a display is made of; raises if tags do not nest."""

    def __init__(self, text):
        super().__init__()
        self.open, self.rects, self.titles = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        if tag == "rect":
            self.rects.append(dict(attributes))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "title":
            self.titles.append(data)


def test_a_space_shows_its_tasks_and_their_states(rt):
    space = TaskSpace("<grid>")
    for i in range(3):
        for j in range(2):
            spawn(space[i, j])(lambda: None)
    space.wait()
    later = space[2, 1]
    assert later.state == "done"
    space[0, 2]  # a name only
    shown = Elements(space._repr_html_())
    assert len(shown.rects) == 7
    places = {(rect["x"], rect["y"]) for rect in shown.rects}
    assert len(places) == 7
    assert sum("done" in title for title in shown.titles) == 6
    assert sum("created" in title for title in shown.titles) == 1
    assert any(title.startswith("<grid>_2_1: done") for title in shown.titles)


def test_a_collection_shows_failures(rt):
    def fail():
        raise ValueError("no")

    tasks = Tasks([spawn(fail), spawn(lambda: None)])
    for task in tasks:
        task.exception()
    text = tasks._repr_html_()
    assert len(Elements(text).rects) == 2
    assert "1 failed" in text
    assert "1 done" in text


def test_empty_and_large_spaces():
    assert "0 tasks" in TaskSpace("empty")._repr_html_()
    space = TaskSpace("large")
    for i in range(2500):
        space[i]
    text = space._repr_html_()
    assert len(Elements(text).rects) == 2000
    assert "the first 2000 are shown" in text


def test_an_array_shows_its_content_where_that_costs_nothing():
    a = asarray(np.arange(3), name="<a>")
    assert "[0 1 2]" in a._repr_html_()
    with Parla(devices="sim:1", n_workers=1):

        @spawn(placement=gpu(0), inout=[a])
        def add():
            a.array[:] += 1

        add.result()
        before = a._repr_html_()
        assert "&lt;a&gt;" in before
        assert "[1 2 3]" not in before, "it is on the device; showing it would move it"
        assert "gpu[0]" in before
    assert "[1 2 3]" in a._repr_html_()


def test_an_array_that_a_task_will_write_is_shown_without_waiting(gate):
    a = asarray(np.zeros(2))
    with Parla(n_workers=1):
        spawn(inout=[a])(lambda: gate.wait())
        assert "PArray" in a._repr_html_()
        gate.set()


def notebook(*cells):
    """Run cells in a kernel and return what each has printed or shown as text; an error in one raises."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(textwrap.dedent(cell)) for cell in cells])
    if "san.so" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("the kernel's ZeroMQ is not built for sanitizers")
    nbclient.NotebookClient(made, timeout=100, kernel_name="python3").execute()
    shown = []
    for cell in made.cells:
        parts = [out.get("text") or out.get("data", {}).get("text/plain", "") for out in cell.outputs]
        shown.append(("".join(parts), [out.get("data", {}).get("text/html", "") for out in cell.outputs]))
    return shown


def test_a_runtime_over_cells_and_await_at_top_level():
    shown = notebook(
        "%load_ext parla",
        "%parla",
        "%parla start sim:2 n_workers=1",
        """
        from parla import spawn, gpu, TaskSpace
        T = TaskSpace("T")
        for i in range(4):
            spawn(T[i], placement=gpu(i % 2), args=(i,))(lambda i: i * i)
        await T
        T.result()
        """,
        "T",
        "await spawn(dependencies=[T])(lambda: 'after')",
        "%parla",
        "%parla stop",
        "%parla",
        """
        try:
            %parla nonsense
        except ValueError as error:
            print(error)
        """,
    )
    texts = [text for text, _ in shown]
    assert "no runtime is active" in texts[1]
    assert "gpu[1]" in texts[2]
    assert "[0, 1, 4, 9]" in texts[3]
    assert "<svg" in shown[4][1][0]
    assert "'after'" in texts[5]
    assert "1 workers, 5 tasks" in texts[6]
    assert "no runtime is active" in texts[8]
    assert "expected start" in texts[9]


def test_a_kernel_that_ends_leaves_its_runtime():
    shown = notebook("%load_ext parla\n%parla start", "from parla import spawn\nspawn(lambda: 7).result()")
    assert "7" in shown[1][0]


def test_a_kernel_that_is_killed_leaves_nothing_behind():
    """In the midst of tasks on devices: no process, no shared memory, no file of the library."""
    jupyter = pytest.importorskip("jupyter_client")
    pytest.importorskip("ipykernel")
    if "san.so" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("the kernel's ZeroMQ is not built for sanitizers")
    manager, client = jupyter.manager.start_new_kernel(kernel_name="python3")
    try:
        reply = client.execute_interactive(
            "import os, threading\nfrom parla import gpu, spawn\n%load_ext parla\n%parla start sim:2\n"
            "inside = threading.Event()\n"
            "spawn(placement=gpu(0))(lambda: (inside.set(), threading.Event().wait()))\n"
            "inside.wait()",
            timeout=60,
            output_hook=lambda message: None,
        )
        assert reply["content"]["status"] == "ok", reply["content"]
        pid = manager.provisioner.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        mine = {path for path in Path("/dev/shm").glob("*") if f"{pid}" in path.name}
        os.kill(pid, signal.SIGKILL)
        manager.provisioner.process.wait(30)
        assert [child for child in children if Path(f"/proc/{child}").exists()] == []
        assert [path for path in mine if path.exists()] == []
        assert [path for path in Path("/tmp").glob("*parla*") if f"{pid}" in path.name] == []
    finally:
        client.stop_channels()
        manager.cleanup_resources()


def test_the_magic_without_a_notebook():
    from parla import _notebook

    with pytest.raises(RuntimeError, match="nothing was started"):
        _notebook.parla_magic("stop")
    started = _notebook.parla_magic("start sim:1 mem=1MiB n_workers=1")
    try:
        assert started is parla.runtime.current()
        with pytest.raises(RuntimeError, match="active already"):
            _notebook.parla_magic("start")
        assert spawn(lambda: 3).result() == 3
    finally:
        _notebook.parla_magic("stop")
    with pytest.raises(parla.ParlaError):
        _notebook.parla_magic("start nonsense")
    assert parla.runtime.current() is None
