#!/usr/bin/env bash
# usage: ci/test_consumer.sh [PREFIX]     Builds small programs against an installed tree, in C and C++ through CMake, in C through pkg-config, and
# in Fortran where the modules were built. PREFIX: a tree that is there (the package of a wheel); else build/release is installed.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

work=build/consumer${1:+-wheel}
prefix=${1:-$root/$work/prefix}
rm -rf "$work"
[[ -n ${1:-} ]] || cmake --install build/release --prefix "$prefix" >/dev/null
with_fortran=OFF
[[ -z $(find "$prefix" -name parla_mpi.mod) ]] || with_fortran=ON
cmake -S ctest/consumer -B "$work/cmake" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DWITH_FORTRAN=$with_fortran >/dev/null
cmake --build "$work/cmake"
"$work/cmake/consumer"
"$work/cmake/consumer_cxx"
if [[ $with_fortran == ON ]]; then
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe --bind-to none -n 2 "$work/cmake/consumer_fortran"
fi

PKG_CONFIG_PATH=$(find "$prefix" -name pkgconfig -type d)
export PKG_CONFIG_PATH
read -ra flags <<<"$(pkg-config --cflags --libs crosspy parla)"
libdir=$(pkg-config --variable=libdir parla)
gcc -std=c11 ctest/consumer/main.c "${flags[@]}" -Wl,-rpath,"$libdir" -o "$work/by_pkg_config"
"$work/by_pkg_config"
