/* log.h - where the library's own lines go.
 *
 * Library code prints through the log only. Levels: PARLA_LOG=off|error|warn|info|debug, default warn, to standard error. */
#ifndef PARLA_LOG_H
#define PARLA_LOG_H

#include <parla/common.h>

typedef enum parla_log_level { PARLA_LOG_OFF, PARLA_LOG_ERROR, PARLA_LOG_WARN, PARLA_LOG_INFO, PARLA_LOG_DEBUG } parla_log_level;

/* Receives one line, "[prefix] text", without level and newline. May be called from any thread, also from several at once; must not
 * call the library. */
typedef void (*parla_log_sink)(void *ctx, parla_log_level level, const char *line);

PARLA_BEGIN_DECLS

/* Sends the lines of the whole process to `sink`; NULL restores standard error, whose lines are "parla: [prefix] level: text".
 * When it returns, the old sink is not running any more: so it waits for one that runs. */
PARLA_API void parla_log_set_sink(parla_log_sink sink, void *ctx);

PARLA_API void parla_log_set_level(parla_log_level level);

/* Text put in front of each line, for example "rank 3"; copied, at most 31 bytes; NULL removes it. */
PARLA_API void parla_log_set_prefix(const char *prefix);

/* Writes one line, for the upper layers of this project. */
PARLA_API void parla_log(parla_log_level level, const char *format, ...) PARLA_PRINTF(2, 3);

PARLA_END_DECLS

#endif
