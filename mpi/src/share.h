/* share.h - who of a node gets which core; the arithmetic, without MPI. */
#ifndef PLM_SHARE_H
#define PLM_SHARE_H

#include <stdbool.h>
#include <stdint.h>

enum { PLM_CORE_WORDS = 16 };

typedef struct plm_cores {
    uint64_t words[PLM_CORE_WORDS];
} plm_cores;

static inline bool plm_cores_has(const plm_cores *cores, int i) { return cores->words[i / 64] >> (i % 64) & 1; }
static inline void plm_cores_add(plm_cores *cores, int i) { cores->words[i / 64] |= UINT64_C(1) << (i % 64); }
int plm_cores_count(const plm_cores *cores);

/* Splits cores among n ranks that may use masks[0 … n). order[0 … n_order): the cores, neighbours side by side. Fills parts[0 … n):
 * disjoint, each within its mask, and even; each rank alone on its cores keeps all of them. A rank for which none is left gets one
 * that others have too, and the result is true: oversubscribed. */
bool plm_share(plm_cores *parts, const plm_cores *masks, int n, const int *order, int n_order);

#endif
