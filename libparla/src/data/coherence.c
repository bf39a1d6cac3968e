/* coherence.c - the choice of a source, and what an access leaves behind. Pure functions. */
#include "data/coherence.h"

#include "base/break.h"

#include <parla/task.h>

static int choose_source(uint64_t valid, const uint64_t *costs)
{
    int best = PL_SOURCE_ABSENT;
    for (uint64_t left = valid & ~UINT64_C(1); left; left &= left - 1) {
        int i = __builtin_ctzll(left);
        if (best < 0 || costs[i] < costs[best])
            best = i;
    }
    if ((valid & 1) && (best < 0 || costs[0] < costs[best]))
        best = 0;
    return best;
}

pl_coherence_step pl_coherence_plan(pl_coherence now, int i_device, int mode, const uint64_t *costs)
{
    pl_coherence_step step = {.source = PL_SOURCE_NONE, .after = now};
    if ((mode & PARLA_IN) && !pl_coherence_is_valid(now, i_device)) {
        step.source = choose_source(now.valid, costs);
        if (step.source == PL_SOURCE_ABSENT)
            return step;
        step.after = pl_coherence_fetched(now, i_device);
    }
    if (mode & PARLA_OUT) {
        step.after = pl_coherence_written(i_device);
        if (pl_is_broken(PL_BREAK_STALE))
            step.after.valid |= now.valid;
        step.stale = now.valid & ~step.after.valid;
    }
    return step;
}

pl_copy_state pl_coherence_state(pl_coherence now, int i_device)
{
    if (!pl_coherence_is_valid(now, i_device))
        return PL_COPY_INVALID;
    return pl_coherence_owner(now) == i_device ? PL_COPY_OWNED : PL_COPY_SHARED;
}

int pl_coherence_owner(pl_coherence now)
{
    bool is_one = now.valid && !(now.valid & (now.valid - 1));
    return is_one ? __builtin_ctzll(now.valid) : -1;
}
