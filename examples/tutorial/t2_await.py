"""Tasks that wait for tasks.

The body of a task may be an `async def`. While it awaits something no thread waits with it: the worker runs other tasks. So tasks may spawn
and await tasks to any depth.
"""

import parla
from parla import TaskSpace, spawn, tasks


async def fibonacci(n):
    if n < 2:
        return n
    one = spawn(args=(n - 1,))(fibonacci)
    two = spawn(args=(n - 2,))(fibonacci)
    return await one + await two


async def main():
    print("fibonacci(10) =", await spawn(args=(10,))(fibonacci))

    steps = TaskSpace("steps")
    for i in range(4):

        @spawn(steps[i], dependencies=[steps[i - 1]])
        def step():
            print("step", i)

    await steps  # a whole space
    await tasks(steps[0], steps[3])  # or some


parla.run(main())  # starts a runtime, runs main as a task, stops the runtime
