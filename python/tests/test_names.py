"""A name of a space has one task, whoever asks for it first."""

import gc
import sys
import threading
import time

import pytest
from parla import TaskSpace


class LetsOthersRun:
    """Garbage whose collection gives the interpreter to another thread."""

    def __init__(self):
        self.me = self

    def __del__(self):
        time.sleep(0)


@pytest.mark.parametrize("key", [lambda i: i, lambda i: (i, "x"), lambda i: str(i), lambda i: i + 1_000_000])
def test_one_task_for_a_name(key):
    threshold, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.set_threshold(3)
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(30):
            space, start, found = TaskSpace("T"), threading.Barrier(3), []

            def name_all(space=space, start=start, found=found):
                start.wait()
                mine = []
                for i in range(40):
                    LetsOthersRun()
                    mine.append(space[key(i)])
                found.append(mine)

            threads = [threading.Thread(target=name_all) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for tasks in zip(*found, strict=True):
                assert all(task is tasks[0] for task in tasks)
            assert len(space) == 40
    finally:
        gc.set_threshold(*threshold)
        sys.setswitchinterval(interval)
