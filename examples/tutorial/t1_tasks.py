"""Tasks, names, results.

A task is a function that runs later, on some worker thread. `spawn` returns at once; the end of `with Parla()` waits for all tasks.
"""

from parla import Parla, TaskSpace, spawn


def main():
    squares = TaskSpace("squares")

    for i in range(5):

        @spawn(squares[i])
        def square():
            return i * i  # variables of the function around are captured by value when the task is spawned

    @spawn(dependencies=[squares])  # behind all tasks of the space
    def total():
        return sum(task.result() for task in squares)

    print("the sum is", total.result())  # waits for this task

    for i in range(3):

        @spawn(squares["again", i], dependencies=[squares["again", i - 1]])  # a chain; a negative index names nothing
        def link():
            print("link", i)


with Parla():
    main()
print("all tasks have ended")
