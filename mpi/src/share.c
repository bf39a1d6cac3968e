/* share.c - who of a node gets which core; the arithmetic, without MPI.
 *
 * Each core counts as 1/k for each of the k ranks that may use it; the sum over its cores, rounded down, is what a rank is entitled
 * to. Rank after rank takes that many, the first free ones in order, so parts are contiguous. What is left over goes to the rank that
 * has least. */
#include "share.h"

#include <stdlib.h>

int plm_cores_count(const plm_cores *cores)
{
    int n = 0;
    for (int i = 0; i < PLM_CORE_WORDS; i++)
        n += __builtin_popcountll(cores->words[i]);
    return n;
}

static int n_users(const plm_cores *masks, int n, int core)
{
    int users = 0;
    for (int r = 0; r < n; r++)
        users += plm_cores_has(&masks[r], core);
    return users;
}

static int entitled(const plm_cores *masks, int n, int rank, const int *order, int n_order)
{
    double sum = 1e-9; /* three thirds are one */
    for (int i = 0; i < n_order; i++)
        if (plm_cores_has(&masks[rank], order[i]))
            sum += 1.0 / n_users(masks, n, order[i]);
    return (int)sum;
}

static void take(plm_cores *parts, int rank, int core) { plm_cores_add(&parts[rank], core); }

/* The first pass; marks what was taken. */
static void take_entitled(plm_cores *parts, const plm_cores *masks, int n, const int *order, int n_order, plm_cores *taken)
{
    for (int r = 0; r < n; r++) {
        int left = entitled(masks, n, r, order, n_order);
        for (int i = 0; i < n_order && left > 0; i++) {
            if (!plm_cores_has(&masks[r], order[i]) || plm_cores_has(taken, order[i]))
                continue;
            take(parts, r, order[i]);
            plm_cores_add(taken, order[i]);
            left--;
        }
    }
}

static int poorest(const plm_cores *parts, const plm_cores *masks, int n, int core)
{
    int best = -1;
    for (int r = 0; r < n; r++)
        if (plm_cores_has(&masks[r], core) && (best < 0 || plm_cores_count(&parts[r]) < plm_cores_count(&parts[best])))
            best = r;
    return best;
}

/* One core of the mask, another one for each rank. */
static int any_core(const plm_cores *mask, int rank, const int *order, int n_order)
{
    int skip = plm_cores_count(mask) ? rank % plm_cores_count(mask) : 0;
    for (int i = 0; i < n_order; i++)
        if (plm_cores_has(mask, order[i]) && skip-- == 0)
            return order[i];
    return order[0];
}

bool plm_share(plm_cores *parts, const plm_cores *masks, int n, const int *order, int n_order)
{
    plm_cores taken = {{0}};
    bool is_oversubscribed = false;
    for (int r = 0; r < n; r++)
        parts[r] = (plm_cores){{0}};
    take_entitled(parts, masks, n, order, n_order, &taken);
    for (int i = 0; i < n_order; i++) {
        int r = plm_cores_has(&taken, order[i]) ? -1 : poorest(parts, masks, n, order[i]);
        if (r >= 0)
            take(parts, r, order[i]);
    }
    for (int r = 0; r < n; r++)
        if (plm_cores_count(&parts[r]) == 0) {
            take(parts, r, any_core(&masks[r], r, order, n_order));
            is_oversubscribed = true;
        }
    return is_oversubscribed;
}
