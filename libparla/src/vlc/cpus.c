/* cpus.c - see the header. Any thread, no locks, no allocation. */
#include "vlc/cpus.h"

#include <stdio.h>
#include <string.h>

int pl_cpus_count(const pl_cpus *set)
{
    int n = 0;
    for (int i = 0; i < PL_CPU_WORDS; i++)
        n += __builtin_popcountll(set->words[i]);
    return n;
}

bool pl_cpus_equal(const pl_cpus *a, const pl_cpus *b) { return memcmp(a, b, sizeof *a) == 0; }

pl_cpus pl_cpus_and(const pl_cpus *a, const pl_cpus *b)
{
    pl_cpus both;
    for (int i = 0; i < PL_CPU_WORDS; i++)
        both.words[i] = a->words[i] & b->words[i];
    return both;
}

int pl_cpus_last(const pl_cpus *set)
{
    int i = PL_CPUS_MAX - 1;
    while (i >= 0 && !pl_cpus_has(set, i))
        i--;
    return i;
}

/* Reads a CPU's number and steps over it; -1 if there is none or it is too large. */
static int read_number(const char **text)
{
    int value = 0;
    const char *c = *text;
    for (; *c >= '0' && *c <= '9'; c++) {
        value = 10 * value + (*c - '0');
        if (value >= PL_CPUS_MAX)
            return -1;
    }
    if (c == *text)
        return -1;
    *text = c;
    return value;
}

bool pl_cpus_parse(const char *text, pl_cpus *out)
{
    pl_cpus set = {{0}};
    for (;; text++) {
        int first = read_number(&text), last = first;
        if (*text == '-') {
            text++;
            last = read_number(&text);
        }
        if (first < 0 || last < first)
            return false;
        for (int i = first; i <= last; i++)
            pl_cpus_add(&set, i);
        if (*text != ',')
            break;
    }
    if (*text != '\0' && strcmp(text, "\n") != 0)
        return false;
    *out = set;
    return true;
}

size_t pl_cpus_format(const pl_cpus *set, char *out, size_t capacity)
{
    size_t length = 0;
    out[0] = '\0';
    for (int i = 0; i < PL_CPUS_MAX && length < capacity; i++) {
        if (!pl_cpus_has(set, i))
            continue;
        int first = i;
        while (pl_cpus_has(set, i + 1))
            i++;
        const char *comma = length > 0 ? "," : "";
        int n = first == i ? snprintf(out + length, capacity - length, "%s%d", comma, first)
                           : snprintf(out + length, capacity - length, "%s%d-%d", comma, first, i);
        length += (size_t)n;
    }
    return length < capacity ? length : capacity - 1;
}
