"""A program that cannot go on: a task waits for a name that nobody spawns. The end of the block says so instead of waiting for ever."""

from parla import Parla, StuckError, TaskSpace, spawn

try:
    with Parla(n_workers=2):
        T = TaskSpace("T")

        @spawn(T["use"], dependencies=[T["laod"]])  # a slip of the pen: T["load"] was meant
        def use():
            pass

        @spawn(T["load"])
        def load():
            pass

except StuckError as error:
    print(error)
