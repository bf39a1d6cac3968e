/* trace_path.c - one pass over the pattern, into a text of the size that a first pass has counted. */
#include "trace/trace_path.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK "{rank}"
#define MARK_LENGTH (sizeof MARK - 1)

/* Where a suffix begins: the last dot of the last part, unless that part begins with it; else the end. */
static const char *suffix_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *part = slash ? slash + 1 : path;
    const char *dot = strrchr(part, '.');
    return dot && dot != part ? dot : path + strlen(path);
}

static size_t count_marks(const char *pattern)
{
    size_t n = 0;
    for (const char *mark = pattern; (mark = strstr(mark, MARK)) != NULL; mark += MARK_LENGTH) {
        n++;
    }
    return n;
}

static void replace_marks(const char *pattern, const char *number, char *out)
{
    for (const char *mark; (mark = strstr(pattern, MARK)) != NULL; pattern = mark + MARK_LENGTH) {
        out = mempcpy(out, pattern, (size_t)(mark - pattern));
        out = stpcpy(out, number);
    }
    strcpy(out, pattern);
}

int pl_trace_path(const char *pattern, bool is_shared, pl_launcher launcher, char **out)
{
    char number[16];
    snprintf(number, sizeof number, "%d", launcher.rank);
    size_t n_marks = count_marks(pattern);
    *out = malloc(strlen(pattern) + (n_marks + 1) * sizeof number + 1);
    if (*out == NULL) {
        return pl_error_set(PARLA_E_NOMEM, "no memory for the trace's name");
    }
    if (n_marks > 0 || !is_shared || launcher.n_ranks == 1) {
        replace_marks(pattern, number, *out);
    } else {
        const char *suffix = suffix_of(pattern);
        sprintf(*out, "%.*s.%s%s", (int)(suffix - pattern), pattern, number, suffix);
    }
    return 0;
}
