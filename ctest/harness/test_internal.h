/* test_internal.h - what the runner (test_main.c) and the assertions (test.c) share. */
#ifndef PARLA_TEST_INTERNAL_H
#define PARLA_TEST_INTERNAL_H

#include "test.h"

enum { T_EXIT_FAIL = 1, T_EXIT_USAGE = 2, T_EXIT_SKIP = 77 };

t_case *t_first_case(void);

/* The case that runs. */
const char *t_case_name(void);

/* The case that this process runs from now on; names it in messages. */
void t_begin_case(const t_case *one);

/* True if the case ended with T_SKIP. */
bool t_was_skipped(void);

/* Makes `signal_number` print the case and its phase, then abort. */
void t_report_on(int signal_number);

/* A process that crashes prints the case and its phase first. */
void t_report_on_crash(void);

void t_set_seed(uint64_t seed);
bool t_is_sanitized(void);
int64_t t_now_ns(void);

#endif
