/* log_lines.h - the lines that the library logs during a case, kept to be asked for. Only for programs that link the library. */
#ifndef PARLA_TEST_LOG_LINES_H
#define PARLA_TEST_LOG_LINES_H

#include <stdbool.h>

/* Keeps what is logged from now on, instead of printing it; what was kept before is forgotten. */
void t_log_keep(void);

/* Prints again; what was kept stays. */
void t_log_print(void);

/* From any thread: whether some of the text has been logged; how many lines. A text of several lines counts as one. */
bool t_log_has(const char *words);
int t_log_n_lines(void);

#endif
