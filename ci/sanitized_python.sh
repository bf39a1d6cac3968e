#!/usr/bin/env bash
# usage: ci/sanitized_python.sh asan|tsan     Python tests with sanitized extensions. The interpreter itself is not sanitized, so the
# sanitizer's library is loaded first; leaks are not looked for, since an interpreter keeps memory until it exits.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

preset=${1:-}
case $preset in
asan) library=libasan.so ;;
tsan) library=libtsan.so ;;
*) die "usage: ci/sanitized_python.sh asan|tsan" ;;
esac
compiler=$(sed -n 's/^CMAKE_C_COMPILER:[A-Z]*=//p' "build/$preset/CMakeCache.txt")
library=$(realpath "$("$compiler" -print-file-name=$library)")
export ASAN_OPTIONS=detect_leaks=0:${ASAN_OPTIONS:-} PARLA_TEST_SCALE=${PARLA_TEST_SCALE:-0.1}
for part in python crosspy; do
    with_fakecuda "$preset" with_tree "$preset" plain_memory_map env LD_PRELOAD="$library" "$python" -m pytest -q -p no:cacheprovider -m "not stress" -x \
        --timeout 600 "$part/tests"
done
