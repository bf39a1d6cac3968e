"""The commands of `parla`: one module each, with `add(commands)` for its arguments and a function that runs it and returns an exit status."""
