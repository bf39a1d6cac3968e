/* park.c - the eventcount behind every sleep of the library.
 *
 * One 64-bit word: the epoch (high half, also the futex) and how many announced sleepers no wake has claimed yet (low half).
 *
 *   sleeper                                     waker
 *   S1 word += 1 (prepare)                      W1 makes the condition true
 *   S2 looks at the condition                   W2 loads word; no sleepers: done
 *   S3 sleeps while the epoch is that of S1     W3 epoch += 1, sleepers -= 1 (all: = 0), futex wake
 *
 * S1, S2, W1, W2 are sequentially consistent. If W2 misses S1 then W1 precedes S2 in their total order, and the sleeper sees the condition.
 * W1 may be a light store instead, with a heavy fence between S1 and S2: fence.h says why one of W2 and S2 still sees the other's.
 * If W2 sees S1, W3 changes the epoch, and the sleeper does not fall asleep or is woken. The futex wake of W3 may reach a sleeper that
 * announced itself after W3, whose epoch has not passed: it passes the wake on before it sleeps again (S4), since the one that W3 claimed
 * counts as woken, and no later waker would look after it.
 *
 * Claiming in W3 makes a burst of wakes cost one system call per sleeper. A sleeper that leaves without a wake (cancel, timeout, signal)
 * takes its announcement back only if the epoch is still its own; otherwise some waker may have claimed it, and it leaves the count alone.
 * So the count is never too small, which would lose a wake-up; it may be too large, which costs a system call later. */
#include "base/park.h"

#include "base/break.h"
#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <parla/error.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define EPOCH_ONE (UINT64_C(1) << 32)

static inline uint32_t epoch_of(uint64_t word) { return (uint32_t)(word >> 32); }
static inline uint32_t sleepers_of(uint64_t word) { return (uint32_t)word; }

static uint32_t *futex_of(pl_park *park)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (uint32_t *)(void *)&park->word + 1;
#else
    return (uint32_t *)(void *)&park->word;
#endif
}

static void futex_wake(pl_park *park, int n) { syscall(SYS_futex, futex_of(park), FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0); }

void pl_park_init(pl_park *park) { atomic_init(&park->word, 0); }

uint64_t pl_park_prepare(pl_park *park) { return pl_add_seq(&park->word, 1) + 1; /* S1 */ }

void pl_park_cancel(pl_park *park, uint64_t key)
{
    uint64_t word = pl_load_relaxed(&park->word);
    while (epoch_of(word) == epoch_of(key) && sleepers_of(word) > 0)
        if (pl_cas_weak_seq(&park->word, &word, word - 1))
            return;
}

int pl_park_commit(pl_park *park, uint64_t key, uint64_t deadline_ns)
{
    /* FUTEX_WAIT_BITSET takes an absolute time of the monotonic clock. */
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / 1000000000u), .tv_nsec = (long)(deadline_ns % 1000000000u)};
    if (pl_is_broken(PL_BREAK_PARK))
        key = pl_load_acquire(&park->word);
    while (epoch_of(pl_load_acquire(&park->word)) == epoch_of(key)) {
        if (syscall(SYS_futex, futex_of(park), FUTEX_WAIT_BITSET_PRIVATE, epoch_of(key), deadline_ns ? &until : NULL, NULL,
                    FUTEX_BITSET_MATCH_ANY) == 0) {
            if (epoch_of(pl_load_acquire(&park->word)) == epoch_of(key) && !pl_is_broken(PL_BREAK_PASS_ON))
                futex_wake(park, 1); /* S4 */
            continue;
        }
        if (errno == ETIMEDOUT || errno == EINTR) {
            int result = errno == EINTR ? PARLA_E_INTERRUPTED : PARLA_E_TIMEOUT;
            pl_park_cancel(park, key);
            return result;
        }
    }
    return 0;
}

static void wake(pl_park *park, bool all)
{
    uint64_t word = pl_load_seq(&park->word); /* W2 */
    for (;;) {
        if (sleepers_of(word) == 0)
            return;
        uint64_t claimed = all ? (word & ~(EPOCH_ONE - 1)) : word - 1;
        if (pl_cas_weak_seq(&park->word, &word, claimed + EPOCH_ONE)) /* W3 */
            break;
    }
    futex_wake(park, all ? INT_MAX : 1);
}

void pl_park_wake_sleeper(pl_park *park) { wake(park, false); }
void pl_park_wake_all(pl_park *park) { wake(park, true); }
