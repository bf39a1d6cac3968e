#!/usr/bin/env bash
# Installs build/release into a folder of its own and builds a small program against it, through CMake and through pkg-config.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

prefix=$root/build/consumer/prefix
rm -rf build/consumer
cmake --install build/release --prefix "$prefix" >/dev/null
cmake -S ctest/consumer -B build/consumer/cmake -G Ninja -DCMAKE_PREFIX_PATH="$prefix" >/dev/null
cmake --build build/consumer/cmake
build/consumer/cmake/consumer

PKG_CONFIG_PATH=$(find "$prefix" -name pkgconfig -type d)
export PKG_CONFIG_PATH
read -ra flags <<<"$(pkg-config --define-variable=prefix="$prefix" --cflags --libs crosspy parla)"
libdir=$(pkg-config --define-variable=prefix="$prefix" --variable=libdir parla)
gcc -std=c11 ctest/consumer/main.c "${flags[@]}" -Wl,-rpath,"$libdir" -o build/consumer/by_pkg_config
build/consumer/by_pkg_config
