/* text.h - formatting into a buffer of fixed size, for lines that must not fail. */
#ifndef PL_BASE_TEXT_H
#define PL_BASE_TEXT_H

#include <parla/common.h>

#include <stdarg.h>

/* Formats into out[0..capacity), always ended by 0; a longer text loses its end and gets "…" instead, on a character's border.
 * `capacity` is at least 8. Returns the length written. */
size_t pl_text_format_v(char *out, size_t capacity, const char *format, va_list arguments) PARLA_PRINTF(3, 0);
size_t pl_text_format(char *out, size_t capacity, const char *format, ...) PARLA_PRINTF(3, 4);

#endif
