/* exit_receipt.h - the receipt of a whole run: a line on the log, and a file with one line of JSON. */
#ifndef PL_SCHED_EXIT_RECEIPT_H
#define PL_SCHED_EXIT_RECEIPT_H

#include <parla/runtime.h>

typedef struct pl_exit_receipt pl_exit_receipt;

/* Time counts from here. The receipt is written at close, or before a signal ends the process (last_words.h), whichever comes first.
 * Owns: `path` is copied. Errors: PARLA_E_NOMEM, PARLA_E_SYSTEM. */
PARLA_MUST_USE int pl_exit_receipt_open(parla_runtime *rt, const char *path, pl_exit_receipt **out);

/* NULL is allowed. The runtime's workers and devices still exist. */
void pl_exit_receipt_close(pl_exit_receipt *receipt);

#endif
