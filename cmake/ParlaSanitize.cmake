# Adds PARLA_SANITIZE to parla_options, so a sanitized build is sanitized everywhere. The compiler's warnings are less precise in such a
# build, so the presets leave PARLA_WERROR off; what ThreadSanitizer cannot model is an error all the same.
if(PARLA_SANITIZE)
  target_compile_options(parla_options INTERFACE -fsanitize=${PARLA_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(parla_options INTERFACE -fsanitize=${PARLA_SANITIZE})
  if(PARLA_SANITIZE MATCHES "thread" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    target_compile_options(parla_options INTERFACE -Werror=tsan)
  endif()
endif()

# ThreadSanitizer does not know that a system call makes other threads execute a fence (libparla/src/base/fence.h).
if(PARLA_SANITIZE MATCHES "thread")
  set(needs_portable_fences ON)
else()
  set(needs_portable_fences OFF)
endif()
option(PARLA_PORTABLE_FENCES "Order between stores and loads by sequentially consistent accesses alone, without membarrier(2)"
       ${needs_portable_fences})
if(PARLA_PORTABLE_FENCES)
  target_compile_definitions(parla_options INTERFACE PL_PORTABLE_FENCES)
endif()
