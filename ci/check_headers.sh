#!/usr/bin/env bash
# Each header compiles alone: public ones as C11 and as C++17, internal ones as C.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

n_wrong=0
try() { # header compiler…
    local header=$1
    shift
    printf '#include "%s"\n#include "%s"\n' "$root/$header" "$root/$header" | "$@" -fsyntax-only -Wall -Wextra -Werror - || {
        echo "$header does not compile alone with $1"
        n_wrong=$((n_wrong + 1))
    }
}
for header in $(find libparla/include crosspy/include -name '*.h' | sort); do
    try "$header" gcc -std=c11 -pedantic -Ilibparla/include -Icrosspy/include -x c
    try "$header" g++ -std=c++17 -Ilibparla/include -Icrosspy/include -x c++
done
for header in $(find libparla/src -name '*.h' | sort); do
    try "$header" gcc -std=gnu11 -D_GNU_SOURCE -Wno-unused-function -Ilibparla/include -Ilibparla/src -x c
done
for header in $(find crosspy/src -name '*.h' -exec grep -L 'Python.h' {} + | sort); do
    try "$header" gcc -std=gnu11 -D_GNU_SOURCE -Wno-unused-function -Ilibparla/include -Icrosspy/include -Icrosspy/src -x c
done
if command -v mpicc >/dev/null; then
    read -ra mpi_flags <<<"$(mpicc --showme:compile 2>/dev/null)"
    mpi_flags+=(-DOMPI_SKIP_MPICXX) # the C++ interface that MPI itself has dropped is not warning-free
    for header in $(find mpi/include -name '*.h' | sort); do
        try "$header" gcc -std=c11 -Ilibparla/include -Impi/include "${mpi_flags[@]}" -x c
        try "$header" g++ -std=c++17 -Ilibparla/include -Impi/include "${mpi_flags[@]}" -x c++
    done
    for header in $(find mpi/src -name '*.h' -exec grep -L 'ucp/' {} + | sort); do
        try "$header" gcc -std=gnu11 -D_GNU_SOURCE -Wno-unused-function -Ilibparla/include -Impi/include -Impi/src "${mpi_flags[@]}" -x c
    done
fi
exit $((n_wrong > 0))
