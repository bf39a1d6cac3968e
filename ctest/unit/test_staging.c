/* test_staging.c - buffers within a bound: who waits and who does not, what a host without page-locked memory means, and that all come
 * round among threads. */
#include "base/atomic.h"
#include "device/backends.h"
#include "device/staging.h"
#include "test.h"

#include <parla/error.h>
#include <pthread.h>
#include <stdlib.h>

static parla_backend counting;
static _Atomic int n_in_use, n_refused, refuses_from; /* so many at once are had */

static int counting_alloc(void *device, void **out, size_t n_bytes)
{
    (void)device;
    if (pl_add_relaxed(&n_in_use, 1) >= pl_load_relaxed(&refuses_from)) {
        pl_sub_acq_rel(&n_in_use, 1);
        pl_add_relaxed(&n_refused, 1);
        return PARLA_E_NOMEM;
    }
    *out = malloc(n_bytes);
    return 0;
}

static void counting_free(void *device, void *memory, size_t n_bytes)
{
    (void)device;
    (void)n_bytes;
    free(memory);
    pl_sub_acq_rel(&n_in_use, 1);
}

static void open(pl_staging *out, int most_at_once)
{
    static const parla_staging bounds = {64, 1024, 4096};
    counting = pl_backend_sim;
    counting.host_alloc = counting_alloc;
    counting.host_free = counting_free;
    pl_store_relaxed(&refuses_from, most_at_once);
    pl_staging_init(out, &counting, NULL, &bounds);
}

T_TEST(sizes_are_powers_of_two)
{
    pl_staging s;
    open(&s, 100);
    static const size_t asked[] = {0, 64, 65, 1000, 5000}, got[] = {64, 64, 128, 1024, 8192};
    for (int i = 0; i < 5; i++) {
        size_t used, peak;
        pl_stage_buffer b = {.n_bytes = asked[i]};
        T_OK(pl_staging_take(&s, &b, false));
        T_EQ(b.n_bytes, got[i]);
        pl_staging_query(&s, &used, &peak);
        T_EQ(used, got[i]);
        memset(b.memory, 1, b.n_bytes);
        pl_staging_give(&s, &b);
        pl_staging_query(&s, &used, &peak);
        T_EQ(used, 0);
        T_EQ(peak, got[i]);
    }
    pl_staging_fini(&s);
}

T_TEST(beyond_the_limit_one_waits_in_turn)
{
    pl_staging s;
    open(&s, 100);
    pl_stage_buffer held[4], large = {.n_bytes = 2048}, small = {.n_bytes = 64}, hasty = {.n_bytes = 64};
    for (int i = 0; i < 4; i++) {
        held[i] = (pl_stage_buffer){.n_bytes = 1024};
        T_OK(pl_staging_take(&s, &held[i], false));
    }
    T_EQ(pl_staging_take(&s, &large, true), PARLA_PENDING);
    T_EQ(pl_staging_take(&s, &small, true), PARLA_PENDING);
    pl_staging_give(&s, &held[0]);
    T_EQ_PTR(pl_staging_next(&s), NULL); /* the small one does not overtake */
    T_EQ(pl_staging_take(&s, &hasty, false), PARLA_PENDING);
    pl_staging_give(&s, &held[1]);
    T_EQ_PTR(pl_staging_next(&s), &large);
    T_EQ_PTR(large.next, NULL);
    pl_staging_give(&s, &held[2]);
    T_EQ_PTR(pl_staging_next(&s), &small);
    T_EQ_PTR(pl_staging_next(&s), NULL);
    pl_staging_give(&s, &held[3]);
    pl_staging_give(&s, &large);
    pl_staging_give(&s, &small);
    size_t used, peak;
    pl_staging_query(&s, &used, &peak);
    T_EQ(used, 0);
    T_EQ(peak, 4096);
    T_EQ(pl_load_relaxed(&n_in_use), 0);
    pl_staging_fini(&s);
}

T_TEST(without_page_locked_memory_plain_memory_serves)
{
    pl_staging s;
    open(&s, 0);
    pl_stage_buffer one = {.n_bytes = 100}, two = {.n_bytes = 100}, hasty = {.n_bytes = 100};
    T_OK(pl_staging_take(&s, &one, true));
    T_TRUE(one.is_plain && one.memory);
    T_EQ(pl_staging_take(&s, &hasty, false), PARLA_PENDING); /* who has one buffer already does without more */
    T_EQ(pl_staging_take(&s, &two, true), PARLA_PENDING);
    pl_staging_give(&s, &one);
    T_EQ_PTR(pl_staging_next(&s), &two);
    T_TRUE(two.is_plain && two.memory);
    pl_staging_give(&s, &two);
    T_EQ_PTR(pl_staging_next(&s), NULL);
    T_EQ(pl_load_relaxed(&n_refused), 4);
    pl_staging_fini(&s);
}

static int lost_alloc(void *device, void **out, size_t n_bytes)
{
    (void)device;
    (void)out;
    (void)n_bytes;
    return PARLA_E_DEVICE;
}

T_TEST(another_failure_is_told_to_who_waits)
{
    pl_staging s;
    open(&s, 100);
    pl_stage_buffer held = {.n_bytes = 4096}, late[2] = {{.n_bytes = 64}, {.n_bytes = 64}};
    T_OK(pl_staging_take(&s, &held, true));
    for (int i = 0; i < 2; i++)
        T_EQ(pl_staging_take(&s, &late[i], true), PARLA_PENDING);
    counting.host_alloc = lost_alloc;
    pl_staging_give(&s, &held);
    T_EQ_PTR(pl_staging_next(&s), &late[0]);
    T_EQ_PTR(late[0].next, &late[1]);
    T_EQ(late[0].status, PARLA_E_DEVICE);
    T_EQ(late[1].status, PARLA_E_DEVICE);
    T_EQ_PTR(late[0].memory, NULL);
    T_EQ(pl_staging_take(&s, &held, true), PARLA_E_DEVICE);
    T_EQ(s.used_bytes, 0);
    pl_staging_fini(&s);
}

/* Threads take buffers of all sizes; whoever waits is served by those who give back. */
typedef struct crowd {
    pl_staging s;
    _Atomic size_t in_use;
    _Atomic uint64_t n_served;
} crowd;

static void serve(crowd *c, pl_stage_buffer *b)
{
    T_EQ(b->status, 0);
    T_TRUE(pl_add_relaxed(&c->in_use, b->n_bytes) + b->n_bytes <= 4096);
    memset(b->memory, 7, b->n_bytes);
    pl_sub_acq_rel(&c->in_use, b->n_bytes);
    pl_staging_give(&c->s, b);
    free(b);
    pl_add_acq_rel(&c->n_served, 1);
}

static void *take_often(void *arg)
{
    crowd *c = arg;
    t_rng rng = {t_seed() + (uint64_t)(uintptr_t)&rng};
    for (uint64_t i = t_scale(3000); i > 0; i--) {
        pl_stage_buffer *b = calloc(1, sizeof *b);
        b->n_bytes = 1 + t_below(&rng, 4096);
        int rc = pl_staging_take(&c->s, b, true);
        if (rc == PARLA_PENDING)
            continue;
        T_OK(rc);
        serve(c, b);
        pl_stage_buffer *next;
        while ((next = pl_staging_next(&c->s)) != NULL)
            while (next) {
                pl_stage_buffer *more = next->next;
                serve(c, next);
                next = more;
            }
    }
    return NULL;
}

static void check_crowd(int most_at_once)
{
    static crowd c;
    open(&c.s, most_at_once);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        T_EQ(pthread_create(&threads[i], NULL, take_often, &c), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    T_EQ(pl_load_relaxed(&c.n_served), 4 * t_scale(3000));
    T_EQ(c.s.used_bytes, 0);
    T_EQ_PTR(c.s.first, NULL);
    T_EQ(pl_load_relaxed(&n_in_use), 0);
    pl_staging_fini(&c.s);
}

T_TEST(all_are_served_among_threads) { check_crowd(1000); }
T_TEST(all_are_served_when_the_host_gives_little) { check_crowd(1); }
T_TEST(all_are_served_when_the_host_gives_nothing) { check_crowd(0); }
