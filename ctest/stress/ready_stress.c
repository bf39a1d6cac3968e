/* ready_stress.c - tasks that wait for resources, queued, walked and removed by several threads under the lock that guards them: each comes
 * out once, in every walk resumed ones first, then by priority, then by age, and none that could not go where there is room. */
#include "sched/ready.h"
#include "structure.h"

enum { N_ACTORS = 4, N_OWN = 64 };

typedef struct item {
    pl_placed placed;
    uint64_t number;
} item;

static pl_place place;
static tally all;
static uint64_t n_each;

static item *make(t_rng *rng, uint64_t number)
{
    item *one = calloc(1, sizeof *one);
    T_TRUE(one != NULL);
    one->number = number;
    one->placed.is_transfer = t_below(rng, 5) == 0;
    one->placed.is_resumed = t_below(rng, 4) == 0;
    T_OK(pl_ready_open(&place, &one->placed, 1 + t_below(rng, 15), (int)t_below(rng, 5) - 2));
    pl_ready_push(&place, &one->placed);
    return one;
}

static void drop(pl_placed *placed)
{
    item *one = (item *)placed;
    pl_ready_remove(&place, placed);
    pl_ready_close(&place, placed);
    tally_take(&all, one->number);
    free(one);
}

/* Does b come after a in a walk? */
static bool is_after(const pl_placed *a, const pl_placed *b)
{
    if (a->is_resumed != b->is_resumed)
        return a->is_resumed;
    return a->bucket->priority != b->bucket->priority ? a->bucket->priority > b->bucket->priority : a->age < b->age;
}

/* Walks over some of the queue and takes what it draws. */
static void walk(t_rng *rng, bool takes_all)
{
    uint64_t open = takes_all ? ~UINT64_C(0) : t_below(rng, 16), reachable = takes_all ? ~UINT64_C(0) : t_below(rng, 16);
    pl_placed before = {.task = NULL}, *placed;
    pl_bucket bucket;
    bool has_before = false;
    pl_ready_rewind(&place);
    while ((placed = pl_ready_next(&place, open, reachable)) != NULL) {
        T_TRUE(placed->bucket->devices & (placed->is_transfer ? reachable : open));
        T_TRUE(!has_before || is_after(&before, placed));
        bucket = *placed->bucket;
        before = *placed;
        before.bucket = &bucket;
        has_before = true;
        uint64_t choice = takes_all ? 0 : t_below(rng, 8);
        if (choice == 0)
            drop(placed);
        else if (choice == 1)
            pl_ready_waits_for_turn(placed);
        else if (choice == 7)
            return;
    }
}

static void act(actor *self)
{
    for (uint64_t i = 0; i < n_each;) {
        pthread_mutex_lock(&place.lock);
        for (uint64_t n = t_below(&self->rng, 4); n > 0 && i < n_each; n--, i++) {
            item *one = make(&self->rng, (uint64_t)self->index * n_each + i);
            if (t_below(&self->rng, 10) == 0)
                drop(&one->placed); /* cancelled in the queue */
        }
        walk(&self->rng, place.n_queued > 2000);
        pthread_mutex_unlock(&place.lock);
    }
}

T_TEST(each_task_comes_out_once_and_in_order)
{
    t_rng rng = {t_seed()};
    n_each = t_scale(20000);
    pthread_mutex_init(&place.lock, NULL);
    tally_open(&all, N_ACTORS * n_each);
    act_all(N_ACTORS, act);
    while (place.n_queued > 0)
        walk(&rng, true);
    T_TRUE(place.buckets == NULL);
    pthread_mutex_destroy(&place.lock);
    tally_close(&all);
}
