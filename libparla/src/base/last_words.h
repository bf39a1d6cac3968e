/* last_words.h - what is still to be done when a signal of a batch system ends the process. */
#ifndef PL_BASE_LAST_WORDS_H
#define PL_BASE_LAST_WORDS_H

#include <parla/common.h>

typedef struct pl_last_words {
    void (*say)(void *arg,
                const char *signal); /* on a thread of its own, which must not call add or remove; may lock and allocate */
    void *arg;
    struct pl_last_words *next; /* internal */
} pl_last_words;

/* From now on `say` is called before one of SIGTERM, SIGINT, SIGXCPU, SIGUSR1 and SIGUSR2 ends the process, which it still does. A signal that
 * the program handles or ignores is the program's, whether it said so before or later.
 * Owns: nothing; `words` must stay until it is removed. Errors: PARLA_E_SYSTEM. */
PARLA_MUST_USE int pl_last_words_add(pl_last_words *words);

/* Afterwards `say` does not run and will not. With the last one the signals are as they were. */
void pl_last_words_remove(pl_last_words *words);

#endif
