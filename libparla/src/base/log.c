/* log.c - lines of the library to standard error or to a sink.
 *
 * A line is formatted in a buffer on the caller's stack and leaves in one write(2), so lines of several threads and processes do
 * not mix. The level is one word, read from PARLA_LOG when it is first needed; below it a call costs one load. Sink and prefix
 * are guarded by a read-write lock that is held for reading while a sink runs: when parla_log_set_sink returns, the old sink is
 * not running any more. */
#include <parla/log.h>

#include "base/atomic.h"
#include "base/env.h"
#include "base/logged.h"
#include "base/text.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define LINE_BYTES 2048
#define PREFIX_BYTES 32
#define LEVEL_UNREAD (-1)

static const char *const level_names[] = {"off", "error", "warn", "info", "debug"};

static _Atomic int level_shared = LEVEL_UNREAD;

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static parla_log_sink sink_locked; /* this and the next two: under `lock` */
static void *sink_ctx_locked;
static char prefix_locked[PREFIX_BYTES];

static bool parse_level(const char *text, int *out)
{
    for (int i = PARLA_LOG_OFF; i <= PARLA_LOG_DEBUG; i++) {
        if (strcasecmp(text, level_names[i]) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

/* Several threads may come here at once; the one whose compare-and-swap succeeds also warns of a malformed value. */
static int read_level(void)
{
    int level = PARLA_LOG_WARN;
    int found = LEVEL_UNREAD;
    const char *text = pl_env_string("PARLA_LOG");
    bool is_valid = text == NULL || parse_level(text, &level);
    if (!pl_cas_acq_rel(&level_shared, &found, level)) {
        return found;
    }
    if (!is_valid) {
        parla_log(PARLA_LOG_WARN, "PARLA_LOG='%s': expected off, error, warn, info or debug; using %s", text, level_names[level]);
    }
    return level;
}

void parla_log_set_level(parla_log_level level)
{
    bool is_level = (int)level >= (int)PARLA_LOG_OFF && level <= PARLA_LOG_DEBUG;
    pl_store_relaxed(&level_shared, is_level ? (int)level : PARLA_LOG_DEBUG);
}

void parla_log_set_sink(parla_log_sink sink, void *ctx)
{
    pthread_rwlock_wrlock(&lock);
    sink_locked = sink;
    sink_ctx_locked = ctx;
    pthread_rwlock_unlock(&lock);
}

void parla_log_set_prefix(const char *prefix)
{
    pthread_rwlock_wrlock(&lock);
    pl_text_format(prefix_locked, sizeof prefix_locked, "%s", prefix != NULL ? prefix : "");
    pthread_rwlock_unlock(&lock);
}

/* One record is one line whatever the text contains. */
static void flatten(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ') {
            *text = ' ';
        }
    }
}

static void write_all(const char *bytes, size_t n_bytes)
{
    while (n_bytes > 0) {
        ssize_t written = write(STDERR_FILENO, bytes, n_bytes);
        if (written < 0 && errno != EINTR) {
            return; /* nobody is left to be told */
        }
        if (written > 0) {
            bytes += written;
            n_bytes -= (size_t)written;
        }
    }
}

static void write_line_locked(parla_log_level level, const char *text)
{
    char line[LINE_BYTES + 64];
    const char *open = prefix_locked[0] != '\0' ? "[" : "";
    const char *close = prefix_locked[0] != '\0' ? "] " : "";
    if (sink_locked != NULL) {
        pl_text_format(line, sizeof line, "%s%s%s%s", open, prefix_locked, close, text);
        sink_locked(sink_ctx_locked, level, line);
        return;
    }
    size_t length =
        pl_text_format(line, sizeof line - 1, "parla: %s%s%s%s: %s", open, prefix_locked, close, level_names[level], text);
    line[length] = '\n';
    write_all(line, length + 1);
}

static int limit(void)
{
    int level = pl_load_relaxed(&level_shared);
    return level == LEVEL_UNREAD ? read_level() : level;
}

PARLA_PRINTF(2, 0) static void write_line(parla_log_level level, const char *format, va_list arguments)
{
    int saved_errno = errno;
    char text[LINE_BYTES];
    pl_text_format_v(text, sizeof text, format, arguments);
    flatten(text);
    pthread_rwlock_rdlock(&lock);
    write_line_locked(level, text);
    pthread_rwlock_unlock(&lock);
    errno = saved_errno;
}

void parla_log(parla_log_level level, const char *format, ...)
{
    if ((int)level <= (int)PARLA_LOG_OFF || (int)level > limit()) { /* as int: the enum may be unsigned */
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    write_line(level, format, arguments);
    va_end(arguments);
}

void pl_log_asked(const char *format, ...)
{
    if (limit() == PARLA_LOG_OFF) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    write_line(PARLA_LOG_INFO, format, arguments);
    va_end(arguments);
}
