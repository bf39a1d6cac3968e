"""The progress bar: on a terminal only, gone at the end, and nothing where nobody looks."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading

import pytest
from parla import _progress

pytest.importorskip("tqdm")

PROGRAM = """
import sys, threading
import parla._progress
from parla import Parla, spawn
parla._progress._DELAY_S = parla._progress._LOOK_S = 0.05
with Parla(n_workers=1, progress=True) as rt:
    spawn(lambda: None).result()
    if sys.stderr.isatty():
        shown, seen = rt._progress._show, threading.Event()
        rt._progress._show = lambda bar: (shown(bar), seen.set())
        assert seen.wait(30), "waited 30 s for the bar"
print("done")
"""


def test_a_bar_on_a_terminal():
    terminal, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    shown = bytearray()

    def read():
        try:
            while piece := os.read(terminal, 4096):
                shown.extend(piece)
        except OSError:  # the program has closed its end
            pass

    reader = threading.Thread(target=read)
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stderr=other, stdout=subprocess.PIPE, text=True)
    os.close(other)
    reader.start()
    assert process.communicate(timeout=60)[0] == "done\n", shown.decode()
    reader.join(30)
    os.close(terminal)
    text = shown.decode()
    assert "parla: 100%" in text and "1/1" in text, text


def test_nothing_where_stderr_is_no_terminal():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_nothing_on_other_ranks(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert _progress.start(dict, rank=1) is None
