#!/usr/bin/env bash
# usage: ci/check_stubs.sh     The stubs of the extensions fit the modules that build/dev has (mypy.stubtest), and the examples type-check.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if ! "$python" -c 'import mypy' 2>/dev/null; then
    say "stubs: skipped, mypy is not installed in build/venv"
    exit 0
fi
modules=(parla._parla)
! compgen -G "build/dev/python/parla/_mpi.*.so" >/dev/null || modules+=(parla._mpi)
with_tree dev "$python" -m mypy.stubtest --concise --allowlist ci/stubs_allowed.txt "${modules[@]}"
with_tree dev "$python" -m mypy --follow-imports=silent --ignore-missing-imports --no-error-summary --cache-dir build/mypy \
    examples/python examples/tutorial
