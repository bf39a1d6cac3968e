/* refuse.h - memory that runs out: in a program that links parla_refusing, the n-th allocation of the library from some moment on is
 * refused, alone or with all after it. Memory of threads and of open files counts as allocations, too. */
#ifndef PARLA_TEST_REFUSE_H
#define PARLA_TEST_REFUSE_H

#include <stdbool.h>
#include <stdint.h>

/* From now on the n-th allocation (1 is the next) is refused, with `for_ever` all after it, too. */
void refuse_from(int64_t n, bool for_ever);

/* Nothing is refused any more. Returns how many allocations were since refuse_from. */
int64_t refuse_stop(void);

/* A call of the library either works or says in words that memory is out, which it may only say while something is refused. */
bool refuse_allows(int code);

#endif
