/* common.h - version, symbol visibility and attributes shared by all public headers. */
#ifndef PARLA_COMMON_H
#define PARLA_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PARLA_VERSION_MAJOR 0
#define PARLA_VERSION_MINOR 1
#define PARLA_VERSION_PATCH 0
#define PARLA_VERSION_STRING "0.1.0"

#if defined(__GNUC__)
#define PARLA_API __attribute__((visibility("default")))
#define PARLA_MUST_USE __attribute__((warn_unused_result))
#define PARLA_PRINTF(i_format, i_first) __attribute__((format(printf, i_format, i_first)))
#else
#define PARLA_API
#define PARLA_MUST_USE
#define PARLA_PRINTF(i_format, i_first)
#endif

#ifdef __cplusplus
#define PARLA_BEGIN_DECLS extern "C" {
#define PARLA_END_DECLS }
#else
#define PARLA_BEGIN_DECLS
#define PARLA_END_DECLS
#endif

/* Wait without a bound, wherever a timeout is asked for. */
#define PARLA_FOREVER INT64_C(-1)

PARLA_BEGIN_DECLS

/* The version of the library that is running, "major.minor.patch". */
PARLA_API const char *parla_version(void);

PARLA_END_DECLS

#endif
