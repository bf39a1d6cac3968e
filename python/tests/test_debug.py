"""Debuggers and profilers, which look into bodies as into any other function."""

import cProfile
import pstats
import re
import subprocess
import sys
import threading

import pytest
from parla import Parla, spawn

PROGRAM = """
from parla import Parla, spawn

def main():
    with Parla(n_workers=2):
        for i in range(2):
            @spawn()
            def body():
                x = i * 10
                breakpoint()
                return x
            print("result", body.result())
        @spawn()
        async def outer():
            y = await spawn()(lambda: 5)
            breakpoint()
            return y
        print("result", outer.result())

main()
"""


def test_pdb_stops_in_bodies(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    commands = "p 'x is', x\nc\np 'x is', x\nc\np 'y is', y\nc\n"
    done = subprocess.run([sys.executable, str(path)], input=commands, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    found = re.findall(r"\('. is', \d+\)|result \d+", done.stdout)
    assert found == ["('x is', 0)", "result 0", "('x is', 10)", "result 10", "('y is', 5)", "result 5"]


@pytest.mark.parametrize(("set_it", "get_it"), [(threading.settrace, threading.gettrace), (threading.setprofile, threading.getprofile)])
def test_what_threading_is_told_to_call_sees_bodies(set_it, get_it):
    seen, before = set(), get_it()

    def look(frame, event, argument):
        if event == "call":
            seen.add((frame.f_code.co_name, threading.get_ident()))

    def marked_body():
        return threading.get_ident()

    set_it(look)
    try:
        with Parla(n_workers=2):
            threads = {spawn()(marked_body).result() for _ in range(10)}
    finally:
        set_it(before)
    assert {("marked_body", thread) for thread in threads} <= seen


def test_a_profile_of_the_main_thread(rt):
    profile = cProfile.Profile()
    profile.enable()
    results = [spawn(args=(i,))(abs).result() for i in range(20)]
    profile.disable()
    assert results == list(range(20))
    assert any("spawn" in name for _, _, name in pstats.Stats(profile).stats)
