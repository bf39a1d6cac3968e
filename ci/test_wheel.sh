#!/usr/bin/env bash
# Builds the source distribution and from that the wheel, installs it into a fresh virtual environment, runs a program there, and builds programs
# in C, C++ and Fortran against what the package brought along. NumPy and the other dependencies come from build/venv, so that no network is needed.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

fresh=$root/build/wheel-test
rm -rf "$fresh" build/wheelhouse
"$python" -m build --no-isolation --skip-dependency-check --outdir build/wheelhouse . >build/wheel.log 2>&1 || { tail -n 40 build/wheel.log; exit 1; }
/usr/bin/python3 -m venv "$fresh"
"$fresh/bin/python" -m pip install --quiet --no-index --no-deps build/wheelhouse/parla-*.whl
site=$("$fresh/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$site/dependencies.pth"

cd build/wheel-test
unset PYTHONPATH
"$fresh/bin/python" -c '
import crosspy, parla
from pathlib import Path
assert Path(parla.__file__).is_relative_to(Path.cwd()), parla.__file__
libraries = sorted(p.name for p in (Path(parla.__file__).parent / "lib").iterdir())
print("parla", parla.__version__, "with", *libraries)
'
"$fresh/bin/python" "$root/examples/python/inner_product.py"
"$root/ci/test_consumer.sh" "$site/parla"
