"""Spack's recipe: the installed tree, and with +python the packages parla and crosspy."""

from spack.package import *


class Parla(CMakePackage):
    """Task runtime for the cores and devices of one node of an MPI job, and arrays spread over them."""

    license("BSD-3-Clause")

    version("main", branch="main")
    version("0.1.0", tag="v0.1.0")

    variant("mpi", default=True, description="libparla_mpi: MPI requests that tasks wait for, transfers between ranks")
    variant("ucx", default=True, when="+mpi", description="One-sided transfers between ranks through UCX")
    variant("fortran", default=True, description="Modules parla and parla_mpi for Fortran 2018")
    variant("cuda", default=True, description="The backend for NVIDIA GPUs; needs neither a toolkit nor a driver to be built")
    variant("python", default=True, description="Python packages parla and crosspy")

    depends_on("c", type="build")
    depends_on("fortran", type="build", when="+fortran")
    depends_on("cmake@3.23:", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("hwloc@2.5:")
    depends_on("mpi", when="+mpi")
    depends_on("ucx@1.12:", when="+ucx")

    with when("+python"):
        extends("python@3.11:")
        depends_on("py-numpy@1.26:", type=("build", "run"))
        depends_on("py-threadpoolctl@3.2:", type="run")
        depends_on("py-mpi4py@4:", type="run", when="+mpi")

    def cmake_args(self):
        """The options of CMakeLists.txt that the variants stand for."""
        on_or_off = {True: "ON", False: "OFF"}
        return [
            self.define("PARLA_MPI", on_or_off["+mpi" in self.spec]),
            self.define("PARLA_FORTRAN", on_or_off["+fortran" in self.spec]),
            self.define_from_variant("PARLA_CUDA", "cuda"),
            self.define("PARLA_BUILD_PYTHON", False),
            self.define("PARLA_BUILD_TESTS", False),
            self.define("PARLA_BUILD_EXAMPLES", False),
            self.define("PARLA_BUILD_BENCH", False),
        ]

    @run_after("install")
    def install_python_packages(self):
        """The packages of the wheel, into the same prefix."""
        if "+python" in self.spec:
            pip = which("python3")
            pip("-m", "pip", "install", "--no-deps", f"--prefix={self.prefix}", self.stage.source_path)
