/* park.h - sleeping until something happens, without losing a wake-up: an eventcount.
 *
 * A sleeper announces itself (prepare), looks once more at what it waits for, and then either sleeps (commit) or goes on (cancel).
 * Whoever makes that something true does so with a sequentially consistent access and then calls wake. The proof is in park.c.
 * Or with a light store (fence.h), if the sleeper then has a heavy fence between prepare and its look. */
#ifndef PL_BASE_PARK_H
#define PL_BASE_PARK_H

#include "base/atomic.h"
#include "base/compiler.h"

typedef struct pl_park {
    _Alignas(PL_CACHE_LINE) _Atomic uint64_t word; /* epoch << 32 | sleepers that no wake has claimed */
} pl_park;

void pl_park_init(pl_park *park);

/* Announces a sleeper. What the sleeper waits for must be checked after this, with _seq loads. */
uint64_t pl_park_prepare(pl_park *park);
/* Withdraws. */
void pl_park_cancel(pl_park *park, uint64_t key);
/* Sleeps until a wake after prepare, or until `deadline_ns` (pl_now_ns clock; 0: no deadline).
 * Returns 0 when woken, PARLA_E_TIMEOUT, or PARLA_E_INTERRUPTED after a signal handler ran. */
int pl_park_commit(pl_park *park, uint64_t key, uint64_t deadline_ns);

/* Wakes one sleeper, or all. No system call and no write when nobody sleeps. */
void pl_park_wake_sleeper(pl_park *park);
static inline void pl_park_wake_one(pl_park *park)
{
    if (pl_unlikely((uint32_t)pl_load_seq(&park->word) != 0)) /* W2 */
        pl_park_wake_sleeper(park);
}
void pl_park_wake_all(pl_park *park);

/* Does anybody sleep? A hint. */
static inline bool pl_park_has_sleepers(pl_park *park) { return (uint32_t)pl_load_relaxed(&park->word) != 0; }

#endif
