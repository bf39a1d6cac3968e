/* env.c - reads the PARLA_* variables.
 *
 * A malformed value is an error, an unknown name only a warning: it may belong to another version of the library. The getters take
 * names of the table only. getenv is as thread-safe as the C library makes it: safe unless somebody calls setenv meanwhile. */
#include "base/env.h"

#include "base/atomic.h"
#include "base/error.h"

#include <parla/log.h>
#include <parla/runtime.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_NAME 64

static const char *const known_names[] = {
#define NAME_ITEM(name, missing, meaning) #name,
    PL_ENVIRONMENT(NAME_ITEM)
#undef NAME_ITEM
};

#define N_KNOWN (sizeof known_names / sizeof known_names[0])

const char *parla_environment(void)
{
#define NAME_LINE(name, missing, meaning) #name "\t" missing "\t" meaning "\n"
    return PL_ENVIRONMENT(NAME_LINE);
#undef NAME_LINE
}

const char *pl_env_string(const char *name)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static bool parse_int(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0') {
        return false;
    }
    *out = value;
    return true;
}

int pl_env_int(const char *name, int64_t min, int64_t max, int64_t missing, int64_t *out)
{
    const char *text = pl_env_string(name);
    if (text == NULL) {
        *out = missing;
        return 0;
    }
    int64_t value;
    if (!parse_int(text, &value) || value < min || value > max) {
        return pl_error_set(PARLA_E_CONFIG, "%s='%s': expected an integer from %" PRId64 " to %" PRId64, name, text, min, max);
    }
    *out = value;
    return 0;
}

static size_t least(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Number of single letters to insert, drop or change to get from `a` to `b` (Levenshtein), in one row of the usual table. `b` is
 * a known name, so it fits. */
static size_t edit_distance(const char *a, size_t a_length, const char *b)
{
    size_t b_length = strlen(b);
    size_t row[LONGEST_NAME + 1];
    for (size_t j = 0; j <= b_length; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t changed = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = least(changed, row[j] + 1, row[j - 1] + 1);
        }
    }
    return row[b_length];
}

static bool is_known(const char *name, size_t length)
{
    for (size_t i = 0; i < N_KNOWN; i++) {
        if (strlen(known_names[i]) == length && memcmp(known_names[i], name, length) == 0) {
            return true;
        }
    }
    return false;
}

/* PARLA_TEST_* belongs to the test programs. */
static bool is_ours(const char *item) { return strncmp(item, "PARLA_", 6) == 0 && strncmp(item, "PARLA_TEST_", 11) != 0; }

static const char *nearest_name(const char *name, size_t length)
{
    const char *best = known_names[0];
    size_t best_distance = SIZE_MAX;
    for (size_t i = 0; i < N_KNOWN; i++) {
        size_t distance = edit_distance(name, length, known_names[i]);
        if (distance < best_distance) {
            best_distance = distance;
            best = known_names[i];
        }
    }
    return best;
}

void pl_env_check_unknown(void)
{
    extern char **environ;
    static atomic_bool is_checked;
    if (pl_exchange_acq_rel(&is_checked, true)) {
        return;
    }
    for (char **item = environ; item != NULL && *item != NULL; item++) {
        size_t length = strcspn(*item, "=");
        if (is_ours(*item) && !is_known(*item, length)) {
            parla_log(PARLA_LOG_WARN, "%.*s is not a variable of this library; the nearest is %s", (int)length, *item,
                      nearest_name(*item, length));
        }
    }
}
