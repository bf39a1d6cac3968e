#!/usr/bin/env bash
# Installs build/release into a folder of its own and builds small programs against it, in C and C++ through CMake, in C through pkg-config,
# and in Fortran where the modules were built.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

prefix=$root/build/consumer/prefix
rm -rf build/consumer
cmake --install build/release --prefix "$prefix" >/dev/null
with_fortran=OFF
[[ -z $(find "$prefix" -name parla_mpi.mod) ]] || with_fortran=ON
cmake -S ctest/consumer -B build/consumer/cmake -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DWITH_FORTRAN=$with_fortran >/dev/null
cmake --build build/consumer/cmake
build/consumer/cmake/consumer
build/consumer/cmake/consumer_cxx
if [[ $with_fortran == ON ]]; then
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
        mpirun --oversubscribe --bind-to none -n 2 build/consumer/cmake/consumer_fortran
fi

PKG_CONFIG_PATH=$(find "$prefix" -name pkgconfig -type d)
export PKG_CONFIG_PATH
read -ra flags <<<"$(pkg-config --define-variable=prefix="$prefix" --cflags --libs crosspy parla)"
libdir=$(pkg-config --define-variable=prefix="$prefix" --variable=libdir parla)
gcc -std=c11 ctest/consumer/main.c "${flags[@]}" -Wl,-rpath,"$libdir" -o build/consumer/by_pkg_config
build/consumer/by_pkg_config
