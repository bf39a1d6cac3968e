"""Ctrl-C inside `with Parla()`: KeyboardInterrupt, no hang, running bodies finish, the rest is cancelled."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

PROLOGUE = """
import sys, threading, time
import parla
from parla import Parla, TaskSpace, spawn
T = TaskSpace("T")
started, release = threading.Event(), threading.Event()
ran = []
def long():
    started.set()
    release.wait(20)
    ran.append("long")
def ready():
    started.wait()
    print("ready", flush=True)
"""

CASES = {
    "at the end of the block": """
        try:
            with Parla(n_workers=1):
                spawn(T[0])(long)
                spawn(T[1], [T[0]])(lambda: ran.append("next"))
                threading.Timer(0.5, release.set).start()
                ready()
        except KeyboardInterrupt:
            print(T[0].state, T[1].state, ran)
    """,
    "in result()": """
        try:
            with Parla(n_workers=1):
                spawn(T[0])(long)
                spawn(T[1], [T[0]])(lambda: ran.append("next"))
                threading.Timer(0.5, release.set).start()
                ready()
                T[1].result()
        except KeyboardInterrupt:
            print(T[0].state, T[1].state, ran)
    """,
    "handled in the block": """
        with Parla(n_workers=1):
            spawn(T[0])(long)
            spawn(T[1], [T[0]])(lambda: ran.append("next"))
            try:
                ready()
                T[1].wait()
            except KeyboardInterrupt:
                release.set()
            T[1].result()
        print(T[0].state, T[1].state, ran)
    """,
    "in a spawn that waits for room": """
        # Each body spawns the next one, past the bound: tasks end, but there is never room.
        def again():
            try:
                spawn()(again)
            except parla.StateError:
                pass  # the runtime is stopping
        n = 0
        try:
            with Parla(n_workers=1, window=10):
                for i in range(10):
                    spawn()(again)
                started.set()
                ready()
                while True:
                    spawn()(again)
                    n += 1
        except KeyboardInterrupt:
            print("few" if n < 1000 else n)
    """,
}

EXPECTED = {
    "at the end of the block": "done cancelled ['long']\n",
    "in result()": "done cancelled ['long']\n",
    "handled in the block": "done done ['long', 'next']\n",
    "in a spawn that waits for room": "few\n",
}


@pytest.mark.parametrize("case", CASES)
def test_interrupt(case):
    source = PROLOGUE + textwrap.dedent(CASES[case])
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=40)
    assert rest == EXPECTED[case]
    assert process.returncode == 0
