/* cpus.h - sets of CPUs of a size known at compile time, as the kernel's affinity calls take them. Pure values.
 *
 * Compiled into libparla and into the shim, so nothing here may need libparla. */
#ifndef PL_VLC_CPUS_H
#define PL_VLC_CPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PL_CPU_WORDS = 16, PL_CPUS_MAX = 64 * PL_CPU_WORDS };

/* The longest text of pl_cpus_format, with its end: every other CPU of the set. */
enum { PL_CPUS_TEXT = 2600 };

typedef struct pl_cpus {
    uint64_t words[PL_CPU_WORDS];
} pl_cpus;

static inline bool pl_cpus_has(const pl_cpus *set, int i)
{
    return i >= 0 && i < PL_CPUS_MAX && (set->words[i / 64] >> (i % 64) & 1);
}
static inline void pl_cpus_add(pl_cpus *set, int i) { set->words[i / 64] |= UINT64_C(1) << (i % 64); }

int pl_cpus_count(const pl_cpus *set);
bool pl_cpus_equal(const pl_cpus *a, const pl_cpus *b);

/* What is in both. */
pl_cpus pl_cpus_and(const pl_cpus *a, const pl_cpus *b);

/* The highest CPU of the set, or -1. */
int pl_cpus_last(const pl_cpus *set);

/* Reads a list as in /sys/devices/system/cpu/online: "0-3,8". False if it is none, is empty or names a CPU beyond PL_CPUS_MAX. */
bool pl_cpus_parse(const char *text, pl_cpus *out);

/* Writes such a list; returns its length. A buffer of PL_CPUS_TEXT bytes always suffices; a shorter one may cut the text. */
size_t pl_cpus_format(const pl_cpus *set, char *out, size_t capacity);

#endif
