/* log_lines.c - see log_lines.h. What does not fit is counted, and not kept. */
#include "log_lines.h"

#include <parla/log.h>
#include <pthread.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char text[65536];
static size_t n_bytes;
static int n_lines;

static void keep(void *ctx, parla_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    size_t n = strlen(line);
    pthread_mutex_lock(&lock);
    n_lines++;
    if (n_bytes + n + 2 <= sizeof text) {
        memcpy(text + n_bytes, line, n);
        memcpy(text + n_bytes + n, "\n", 2);
        n_bytes += n + 1;
    }
    pthread_mutex_unlock(&lock);
}

void t_log_keep(void)
{
    pthread_mutex_lock(&lock);
    n_bytes = 0;
    n_lines = 0;
    text[0] = '\0';
    pthread_mutex_unlock(&lock);
    parla_log_set_sink(keep, NULL);
}

void t_log_print(void) { parla_log_set_sink(NULL, NULL); }

bool t_log_has(const char *words)
{
    pthread_mutex_lock(&lock);
    bool has = strstr(text, words) != NULL;
    pthread_mutex_unlock(&lock);
    return has;
}

int t_log_n_lines(void)
{
    pthread_mutex_lock(&lock);
    int n = n_lines;
    pthread_mutex_unlock(&lock);
    return n;
}
