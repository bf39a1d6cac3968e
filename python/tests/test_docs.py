"""What the package says about itself: examples in docstrings run, stubs fit the module."""

import ast
import doctest
import importlib
import inspect
import pathlib
import pkgutil
import subprocess
import sys

import parla
import pytest

MODULES = sorted(
    {
        "parla",
        *(
            name
            for _, name, _ in pkgutil.walk_packages(parla.__path__[:1], "parla.")
            if not name.startswith(("parla.mpi", "parla._mpi", "parla.published", "parla.vlc", "parla.multiload", "parla.__main__"))
        ),
    }
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    from_module = importlib.import_module(name)
    try:
        assert doctest.testmod(from_module, verbose=False).failed == 0
    finally:
        parla._adapters._by_type.clear()


def test_what_a_program_begins_with_has_an_example():
    finder = doctest.DocTestFinder(exclude_empty=True)
    for found in (parla.spawn, parla.spawn_many, parla.TaskSpace, parla.Tasks, parla.PArray, parla.ParlaExecutor, parla.run):
        assert any(test.examples for test in finder.find(found, found.__name__)), found


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_documented(name):
    module = importlib.import_module(name)
    for public in getattr(module, "__all__", ()):
        found = getattr(module, public)
        if callable(found) and getattr(found, "__module__", "").startswith("parla"):
            assert found.__doc__, f"{name}.{public} has no docstring"


def names_of(body):
    """Return the names that a stub's module or class body declares, with those of its classes."""
    names = {}
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names[node.name] = names_of(node.body) if isinstance(node, ast.ClassDef) else {}
        elif isinstance(node, ast.AnnAssign):
            names[node.target.id] = {}
    return names


def test_stubs_fit_the_extension():
    """Every name of the extension is in its stub, and every name in the stub exists."""
    stub = names_of(ast.parse((pathlib.Path(parla.__file__).parent / "_parla.pyi").read_text()).body)
    public = {name for name in vars(parla._parla) if not name.startswith("__")}
    assert public <= set(stub)
    assert set(stub) - public == {"_Spawner"}
    for name, members in stub.items():
        found = getattr(parla._parla, name, None)
        if isinstance(found, type) and not issubclass(found, Exception):
            assert {member for member in vars(found) if not member.startswith("__")} <= set(members), name
            assert all(hasattr(found, member) for member in members), name


def test_signatures_of_methods():
    """What help() and editors show, which read it from the docstrings of the extension."""
    assert list(inspect.signature(parla.Task.result).parameters) == ["self", "timeout"]
    assert list(inspect.signature(parla.spawn).parameters)[:3] == ["taskid", "dependencies", "placement"]


@pytest.mark.stress
def test_types_of_a_program(tmp_path):
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text(
        "from parla import Parla, Task, TaskSpace, spawn, spawn_many\n"
        "T = TaskSpace('T')\n"
        "with Parla(n_workers=1):\n"
        "    @spawn(T[0], retries=1, ndevices=1)\n"
        "    def body() -> int:\n"
        "        return 1\n"
        "    n: int = body.result()\n"
        "    @spawn()\n"
        "    async def later() -> str:\n"
        "        return str(await body)\n"
        "    s: str = later.result()\n"
        "    squares: list[int] = spawn_many(lambda i: i * i, 3, name='squares').result()\n"
        "reveal_type(later)\n"
    )
    command = [sys.executable, "-m", "mypy", "--follow-imports=silent", f"--cache-dir={tmp_path}", str(program)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Task[builtins.str]" in done.stdout or "Task[str]" in done.stdout, done.stdout
