/* error.h - the words behind a code: every failure that is decided in this library passes through pl_error_set. */
#ifndef PL_BASE_ERROR_H
#define PL_BASE_ERROR_H

#include "base/compiler.h"

#include <parla/error.h>
#include <stdbool.h>

/* Bytes of the detail that a thread keeps, with the final 0; longer texts end in "…". */
#define PL_ERROR_DETAIL_BYTES 1024

/* Keeps the formatted text as this thread's parla_error_detail(), writes it to the log as one debug line, and returns `code`.
 * The arguments may point into the text that parla_error_detail() returned, so a caller can put words in front of it. */
int pl_error_set(int code, const char *format, ...) PARLA_PRINTF(2, 3);

/* Does this thread have a detail? */
extern PL_HIDDEN PL_HOT_THREAD_LOCAL bool pl_error_has_detail;

/* Forgets this thread's detail, for a failure that has nothing to add. */
static inline void pl_error_clear(void) { pl_error_has_detail = false; }

#endif
