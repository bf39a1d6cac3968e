/* The cache returns one plan for the same views, forgets the oldest, and serves several threads. */
#include "random_layout.h"

#include <pthread.h>

static cx_layout *row(int64_t extent, int64_t n_parts)
{
    cx_place places[8];
    cx_layout *layout = NULL;
    for (int i = 0; i < 8; i++) {
        places[i] = (cx_place){0, PARLA_ARCH_CPU, i};
    }
    T_OK(cx_layout_split(&layout, 1, &extent, 0, n_parts, NULL, places));
    return layout;
}

static cx_plan *get(cx_plan_cache *cache, const cx_layout *dst, const cx_layout *src, int64_t stop, size_t item_bytes)
{
    cx_view a = {.layout = dst, .box = {1, {{0, stop, 1}}}}, b = {.layout = src, .box = {1, {{0, stop, 1}}}};
    cx_plan *plan = NULL;
    T_OK(cx_plan_cache_get(cache, &plan, &a, &b, item_bytes));
    T_EQ(cx_plan_item_bytes(plan), item_bytes);
    return plan;
}

T_TEST(the_same_views_give_the_same_plan)
{
    cx_plan_cache *cache = NULL;
    T_OK(cx_plan_cache_create(&cache, 8));
    cx_layout *two = row(10, 2), *again = row(10, 2), *three = row(10, 3);
    cx_plan *a = get(cache, two, three, 10, 8), *b = get(cache, again, three, 10, 8), *c = get(cache, two, three, 9, 8),
            *d = get(cache, two, three, 10, 4), *e = get(cache, three, two, 10, 8);
    T_EQ_PTR(a, b);
    T_TRUE(a != c && a != d && a != e && d != e);
    cx_plan_cache_info info = {.size = sizeof info};
    T_OK(cx_plan_cache_query(cache, &info));
    T_EQ(info.n_plans, 4);
    T_EQ(info.n_hits, 1);
    T_EQ(info.n_misses, 4);
    info.size = 0;
    T_EQ(cx_plan_cache_query(cache, &info), PARLA_E_INVALID);
    cx_plan_cache_destroy(cache);
    T_EQ(cx_plan_n_transfers(a), 4); /* plans outlive the cache */
    cx_plan *plans[] = {a, b, c, d, e};
    for (int i = 0; i < 5; i++) {
        cx_plan_unref(plans[i]);
    }
    cx_layout_unref(two);
    cx_layout_unref(again);
    cx_layout_unref(three);
}

T_TEST(the_plan_not_used_for_longest_goes)
{
    cx_plan_cache *cache = NULL;
    T_OK(cx_plan_cache_create(&cache, 3));
    cx_layout *layout = row(10, 2);
    cx_plan_cache_info info = {.size = sizeof info};
    for (int64_t stop = 1; stop <= 3; stop++) {
        cx_plan_unref(get(cache, layout, layout, stop, 8));
    }
    cx_plan_unref(get(cache, layout, layout, 1, 8)); /* a hit: now 2 is the oldest */
    cx_plan_unref(get(cache, layout, layout, 4, 8));
    cx_plan_unref(get(cache, layout, layout, 1, 8)); /* a hit */
    cx_plan_unref(get(cache, layout, layout, 3, 8)); /* a hit */
    cx_plan_unref(get(cache, layout, layout, 2, 8)); /* a miss */
    T_OK(cx_plan_cache_query(cache, &info));
    T_EQ(info.n_plans, 3);
    T_EQ(info.n_hits, 3);
    T_EQ(info.n_misses, 5);
    cx_plan_cache_destroy(cache);
    cx_layout_unref(layout);
    T_EQ(cx_plan_cache_create(&cache, 0), PARLA_E_INVALID);
    cx_plan_cache_destroy(NULL);
}

T_TEST(empty_views_are_checked_each_time)
{
    cx_plan_cache *cache = NULL;
    T_OK(cx_plan_cache_create(&cache, 3));
    int64_t shape[2] = {0, 4}, other[2] = {0, 5}, parts[2] = {1, 1};
    cx_place place = {0, PARLA_ARCH_CPU, 0};
    cx_layout *a = NULL, *b = NULL;
    T_OK(cx_layout_grid(&a, 2, shape, parts, NULL, NULL, &place));
    T_OK(cx_layout_grid(&b, 2, other, parts, NULL, NULL, &place));
    cx_view dst = {.layout = a, .box = cx_layout_box(a)}, src = {.layout = b, .box = cx_layout_box(b)};
    cx_plan *plan = NULL;
    T_OK(cx_plan_cache_get(cache, &plan, &dst, &dst, 8));
    T_EQ(cx_plan_n_transfers(plan), 0);
    cx_plan_unref(plan);
    plan = NULL;
    T_EQ(cx_plan_cache_get(cache, &plan, &dst, &src, 8), PARLA_E_INVALID);
    T_EQ_PTR(plan, NULL);
    cx_plan_cache_destroy(cache);
    cx_layout_unref(a);
    cx_layout_unref(b);
}

typedef struct asker {
    cx_plan_cache *cache;
    cx_layout *layout;
    uint64_t seed;
} asker;

static void *ask(void *arg)
{
    asker *self = arg;
    t_rng rng = {self->seed};
    for (uint64_t i = 0; i < t_scale(5000); i++) {
        int64_t stop = random_between(&rng, 1, 20);
        cx_plan *plan = get(self->cache, self->layout, self->layout, stop, 8);
        cx_transfer t;
        cx_plan_transfer(plan, 0, &t);
        T_EQ(cx_plan_dst(plan)->box.range[0].stop, stop);
        cx_plan_unref(plan);
    }
    return NULL;
}

T_TEST(several_threads)
{
    asker self[3];
    pthread_t threads[3];
    cx_plan_cache *cache = NULL;
    cx_layout *layout = row(20, 4);
    T_OK(cx_plan_cache_create(&cache, 8));
    for (int i = 0; i < 3; i++) {
        self[i] = (asker){cache, layout, t_seed() + (uint64_t)i};
        T_EQ(pthread_create(&threads[i], NULL, ask, &self[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        T_EQ(pthread_join(threads[i], NULL), 0);
    }
    cx_plan_cache_info info = {.size = sizeof info};
    T_OK(cx_plan_cache_query(cache, &info));
    T_EQ(info.n_hits + info.n_misses, 3 * t_scale(5000));
    T_LE(info.n_plans, 8);
    cx_plan_cache_destroy(cache);
    cx_layout_unref(layout);
}
