"""What happens when a task fails.

Its error comes out where somebody waits for it, with the traceback of the body. What depends on it is cancelled and names the cause.
Independent tasks go on, and the runtime can be used as before.
"""

from parla import Parla, TaskCancelled, TaskSpace, spawn

with Parla():
    T = TaskSpace("T")

    @spawn(T["load"])
    def load():
        raise FileNotFoundError("no such file: input.dat")

    @spawn(T["use"], dependencies=[load])
    def use():
        return "never runs"

    @spawn(T["other"])
    def other():
        return "independent work goes on"

    try:
        load.result()
    except FileNotFoundError as error:
        print("load:", error)

    try:
        use.result()
    except TaskCancelled as error:
        print("use:", type(error).__name__, "because of", repr(error.__cause__))

    print("other:", other.result())
    print([(task.name, task.state) for task in T])

# What nobody has looked at is raised at the end of the block.
try:
    with Parla():

        @spawn(name="overlooked")
        def overlooked():
            raise ValueError("nobody asked for me")

except ValueError as error:
    print("end of the block:", error)
