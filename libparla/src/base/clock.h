/* clock.h - one clock for timeouts, traces and statistics: nanoseconds that never go back. */
#ifndef PL_BASE_CLOCK_H
#define PL_BASE_CLOCK_H

#include <stdint.h>

/* Nanoseconds since some fixed moment in the past; the same for all threads of the machine. */
uint64_t pl_now_ns(void);

/* Sleeps until pl_now_ns() >= deadline_ns, also across signals. Blocks. */
void pl_sleep_until(uint64_t deadline_ns);

#endif
