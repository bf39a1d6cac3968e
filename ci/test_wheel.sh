#!/usr/bin/env bash
# Builds the wheel, installs it into a fresh virtual environment and runs a program there. NumPy and the other dependencies come from
# build/venv, so that no network is needed.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

fresh=$root/build/wheel-test
rm -rf "$fresh" build/wheelhouse
"$python" -m pip wheel . --quiet --no-build-isolation --no-deps --no-index -w build/wheelhouse
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
