/* count.h - reference counts of values that never change after they were made. */
#ifndef CX_COUNT_H
#define CX_COUNT_H

#include <stdatomic.h>
#include <stdbool.h>

typedef struct cx_count {
    atomic_int value_shared;
} cx_count;

static inline void cx_count_init(cx_count *count) { atomic_init(&count->value_shared, 1); }

/* Relaxed: who adds a reference has one already. */
static inline void cx_count_up(cx_count *count) { atomic_fetch_add_explicit(&count->value_shared, 1, memory_order_relaxed); }

/* True for the last one, which then destroys the value. Release and acquire on one word: what others did with the value comes
 * before. */
static inline bool cx_count_down(cx_count *count)
{
    return atomic_fetch_sub_explicit(&count->value_shared, 1, memory_order_acq_rel) == 1;
}

#endif
