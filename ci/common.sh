# Sourced by the scripts beside it: strict mode, the project's root as working folder, and a few words.
# shellcheck shell=bash
set -Eeuo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
venv=$root/build/venv
export python=$venv/bin/python
n_jobs=$(nproc)
export CTEST_PARALLEL_LEVEL=${CTEST_PARALLEL_LEVEL:-$n_jobs} PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '== %s\n' "$*"; }
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 2
}

# The presets that CMakePresets.json knows.
is_preset() { [[ $1 =~ ^(dev|release|asan|tsan)$ ]]; }

# Runs a program with the importable tree of a preset: with_tree PRESET command…
with_tree() {
    local tree=$root/build/$1/python
    shift
    PYTHONPATH=$tree${PYTHONPATH:+:$PYTHONPATH} "$@"
}

# Runs a program that finds a preset's CUDA driver in host memory (ctest/fakecuda) before any other: with_fakecuda PRESET command…
with_fakecuda() {
    local folder=$root/build/$1/ctest/fakecuda
    shift
    LD_LIBRARY_PATH=$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} "$@"
}

# ThreadSanitizer of these compilers needs the usual memory map; kernels that randomise it more are asked not to.
plain_memory_map() {
    if setarch "$(uname -m)" -R true 2>/dev/null; then
        setarch "$(uname -m)" -R "$@"
    else
        "$@"
    fi
}
