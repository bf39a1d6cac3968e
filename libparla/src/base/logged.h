/* logged.h - lines of the log that the user has asked for. */
#ifndef PL_BASE_LOGGED_H
#define PL_BASE_LOGGED_H

#include <parla/log.h>

/* As parla_log at level info, but written unless the log is off. */
void pl_log_asked(const char *format, ...) PARLA_PRINTF(1, 2);

#endif
