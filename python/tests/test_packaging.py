"""The recipes of packaging/ say what is true of this tree. Spack is not here: its recipe runs on a double that keeps what it is told."""

import re
import sys
import types
from contextlib import contextmanager
from pathlib import Path

import parla
import pytest

TOP = Path(__file__).resolve().parents[2]
if not (TOP / "packaging").is_dir():
    pytest.skip("needs the source tree", allow_module_level=True)


class Spec(set):
    """Variants that are on, as "+mpi"."""


def recipe(monkeypatch):
    """Run the recipe; return its class and what it has declared, by directive."""
    told = {}

    def directive(name):
        return lambda *words, **options: told.setdefault(name, []).append((words, options))

    @contextmanager
    def when(condition):
        told.setdefault("when", []).append(((condition,), {}))
        yield

    class CMakePackage:
        """As Spack's, as far as the recipe asks."""

        def define(self, name, value):
            return f"-D{name}={'ON' if value is True else 'OFF' if value is False else value}"

        def define_from_variant(self, name, variant):
            return self.define(name, f"+{variant}" in self.spec)

    spack = types.ModuleType("spack.package")
    for name in ("license", "version", "variant", "depends_on", "extends"):
        setattr(spack, name, directive(name))
    spack.when, spack.CMakePackage, spack.run_after = when, CMakePackage, lambda phase: lambda function: function
    monkeypatch.setitem(sys.modules, "spack", types.ModuleType("spack"))
    monkeypatch.setitem(sys.modules, "spack.package", spack)
    names = {}
    exec((TOP / "packaging/spack/packages/parla/package.py").read_text(), names)  # noqa: S102  (it is ours)
    return names["Parla"], told


def test_spack_knows_this_version_and_the_options(monkeypatch):
    package, told = recipe(monkeypatch)
    assert parla.__version__ in [words[0] for words, _ in told["version"]]
    variants = {words[0] for words, _ in told["variant"]}
    assert variants == {"mpi", "ucx", "fortran", "cuda", "python"}
    options = set(re.findall(r"(?:option|set)\((PARLA_\w+)", (TOP / "CMakeLists.txt").read_text()))
    for spec in (Spec(), Spec(f"+{name}" for name in variants)):
        made = package()
        made.spec = spec
        given = dict(argument.removeprefix("-D").split("=") for argument in made.cmake_args())
        assert set(given) <= options
        assert given["PARLA_MPI"] == given["PARLA_FORTRAN"] == given["PARLA_CUDA"] == ("ON" if spec else "OFF")


def test_spack_asks_for_the_versions_that_the_build_asks_for(monkeypatch):
    _, told = recipe(monkeypatch)
    wanted = {words[0].partition("@")[0]: words[0].partition("@")[2].rstrip(":") for words, _ in told["depends_on"]}
    cmake = (TOP / "CMakeLists.txt").read_text()
    assert wanted["cmake"] == re.search(r"cmake_minimum_required\(VERSION ([\d.]+)", cmake)[1]
    assert wanted["hwloc"] == re.search(r"hwloc>=([\d.]+)", cmake)[1]
    project = (TOP / "pyproject.toml").read_text()
    assert f'"numpy>={wanted["py-numpy"]}"' in project and f'"threadpoolctl>={wanted["py-threadpoolctl"]}"' in project
    assert f'requires-python = ">={told["extends"][0][0][0].partition("@")[2].rstrip(":")}"' in project


def test_the_jobs_of_a_cluster_call_what_is_there():
    yaml = pytest.importorskip("yaml")
    jobs = yaml.safe_load((TOP / "packaging/gitlab-ci.yml").read_text())
    called = [word for job in jobs.values() for line in job.get("script", ()) for word in line.split() if word.startswith("ci/")]
    assert {"ci/setup", "ci/build", "ci/cluster"} <= set(called)
    assert all((TOP / name).exists() for name in called)
