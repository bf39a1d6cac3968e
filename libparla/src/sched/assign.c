/* assign.c - matching members to devices by augmenting paths: a member that finds its devices taken asks their holders to move
 * on. */
#include "sched/assign.h"

typedef struct matching {
    const uint64_t *candidates;
    const double *cost;
    int holder[PL_ASSIGN_MAX]; /* member + 1 that has the device, or 0 */
    uint64_t asked;            /* devices that were asked for on the current path */
} matching;

static int cheapest(const matching *m, size_t member, uint64_t devices)
{
    int best = -1;
    for (uint64_t left = devices; left; left &= left - 1) {
        int i = __builtin_ctzll(left);
        if (best < 0 || (m->cost && m->cost[member * PL_ASSIGN_MAX + (size_t)i] < m->cost[member * PL_ASSIGN_MAX + (size_t)best]))
            best = i;
    }
    return best;
}

/* The depth is bounded by the number of devices, since each is asked for once. */
static bool place(matching *m, size_t member)
{
    uint64_t left;
    while ((left = m->candidates[member] & ~m->asked) != 0) {
        int i = cheapest(m, member, left);
        m->asked |= UINT64_C(1) << i;
        if (m->holder[i] == 0 || place(m, (size_t)m->holder[i] - 1)) {
            m->holder[i] = (int)member + 1;
            return true;
        }
    }
    return false;
}

bool pl_assign(const uint64_t *candidates, const double *cost, size_t n, int *out)
{
    matching m = {.candidates = candidates, .cost = cost};
    for (size_t member = 0; member < n; member++) {
        m.asked = 0;
        if (!place(&m, member))
            return false;
    }
    for (int i = 0; i < PL_ASSIGN_MAX; i++)
        if (m.holder[i] > 0)
            out[m.holder[i] - 1] = i;
    return true;
}
