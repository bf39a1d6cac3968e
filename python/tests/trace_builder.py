"""Traces made by hand, as the runtime writes them: for tests of what reads traces."""

import json


class Builder:
    """Collects events; times are in microseconds."""

    def __init__(self, rank=0, start_ns=0):
        self.rank, self.start_ns = rank, start_ns
        self.events = []
        self.lines = {}
        self.n_arrows = 0

    def line(self, name):
        if name not in self.lines:
            self.lines[name] = len(self.lines) + 1
            self.events.append(
                {"ph": "M", "pid": self.rank, "tid": self.lines[name], "name": "thread_name", "args": {"name": name}}
            )
        return self.lines[name]

    def span(self, line, name, begin, end, kind="task", **args):
        where = {"ph": "X", "pid": self.rank, "tid": self.line(line), "name": name}
        self.events.append({**where, "ts": begin, "dur": end - begin, "cat": kind, "args": args})

    def after(self, second, first):
        self.n_arrows += 1
        for phase, task in (("s", first), ("f", second)):
            self.events.append({"ph": phase, "pid": self.rank, "tid": 1, "name": "after", "ts": 0, "id": self.n_arrows, "args": {"task": task}})

    def write(self, path, dropped=0):
        other = {"rank": self.rank, "start_ns": self.start_ns, "dropped": dropped}
        path.write_text(json.dumps({"traceEvents": self.events, "displayTimeUnit": "ns", "otherData": other}))
        return path
