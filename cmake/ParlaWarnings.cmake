# parla_options: what every target of ours is compiled with. Linked privately, so users of the libraries see none of it.
add_library(parla_options INTERFACE)
target_compile_features(parla_options INTERFACE c_std_11)
target_compile_definitions(parla_options INTERFACE _GNU_SOURCE=)
target_compile_options(
  parla_options
  INTERFACE -Wall
            -Wextra
            -Wshadow
            -Wstrict-prototypes
            -Wmissing-prototypes
            -Wold-style-definition
            -Wpointer-arith
            -Wwrite-strings
            -Wundef
            -Wformat=2
            -Wimplicit-fallthrough
            -Wvla
            # What the optimizer guesses about initialisation differs from level to level, so it warns without stopping the build.
            $<$<BOOL:${PARLA_WERROR}>:-Werror;-Wno-error=maybe-uninitialized>
            # __FILE__ is relative to the project: messages and binaries are the same wherever the tree lies.
            -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=
            -fno-semantic-interposition)

# What Python extensions are compiled with after that: Python's headers ask for an undeclared PyInit function and for keyword lists of
# plain char *, and methods are named as in Python.
add_library(parla_extension_options INTERFACE)
target_compile_options(parla_extension_options INTERFACE -Wno-missing-prototypes -Wno-write-strings -Wno-shadow)
