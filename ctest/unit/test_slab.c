/* test_slab.c - slots: numbers, recycling within and between threads' caches, and memory that stays what it is. */
#include "task/slab.h"
#include "test.h"

#include <pthread.h>
#include <stdlib.h>

enum { N = 3 * PL_SLOTS_PER_SLAB };

static pl_slabs slabs;
static pl_slab_cache cache;
static void *slots[N];

static void open_slabs(void)
{
    T_OK(pl_slabs_init(&slabs, (parla_runtime *)&slabs)); /* any address: slabs only hand it back */
    memset(&cache, 0, sizeof cache);
}

static void alloc_all(int n)
{
    for (int i = 0; i < n; i++) {
        slots[i] = pl_slab_alloc(&slabs, &cache);
        T_TRUE(slots[i] != NULL);
    }
}

T_TEST(a_slot_has_a_number_and_a_runtime)
{
    static bool is_used[N + 1];
    open_slabs();
    T_EQ(pl_slab_count(&slabs), 0);
    alloc_all(N);
    T_EQ(pl_slab_count(&slabs), N);
    for (int i = 0; i < N; i++) {
        uint32_t number = pl_slot_number(slots[i]);
        T_TRUE(number >= 1 && number <= N);
        T_FALSE(is_used[number]);
        is_used[number] = true;
        T_EQ_PTR(pl_slot_at(&slabs, number), slots[i]);
        T_EQ_PTR(pl_slab_of(slots[i])->rt, slabs.rt);
        T_EQ((uintptr_t)slots[i] % PL_CACHE_LINE, 0);
    }
    pl_slabs_fini(&slabs);
}

T_TEST(a_fresh_slot_is_zero_but_for_the_links)
{
    static const unsigned char zero[PL_SLOT_BYTES];
    open_slabs();
    alloc_all(10);
    for (int i = 0; i < 10; i++) {
        T_EQ_MEM(slots[i], zero, PL_SLOT_KEPT_BYTES);
        T_EQ_MEM((char *)slots[i] + sizeof(pl_free_slot), zero, PL_SLOT_BYTES - sizeof(pl_free_slot));
    }
    pl_slabs_fini(&slabs);
}

T_TEST(what_old_handles_read_survives_recycling)
{
    open_slabs();
    alloc_all(N);
    for (int i = 0; i < N; i++)
        memset(slots[i], 1 + i % 250, PL_SLOT_BYTES);
    for (int i = 0; i < N; i++)
        pl_slab_free(&slabs, &cache, slots[i]);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < PL_SLOT_KEPT_BYTES; k++)
            T_EQ(((unsigned char *)slots[i])[k], 1 + i % 250);
    alloc_all(N);
    T_EQ(pl_slab_count(&slabs), N); /* no new memory */
    pl_slabs_fini(&slabs);
}

T_TEST(a_freed_slot_is_the_next_one)
{
    open_slabs();
    alloc_all(3);
    pl_slab_free(&slabs, &cache, slots[1]);
    T_EQ_PTR(pl_slab_alloc(&slabs, &cache), slots[1]);
    pl_slabs_fini(&slabs);
}

T_TEST(caches_keep_few_and_count_them)
{
    open_slabs();
    alloc_all(N);
    for (int i = 0; i < N; i++) {
        pl_slab_free(&slabs, &cache, slots[i]);
        T_LT(cache.n_free, 2 * PL_SLAB_BATCH);
        uint32_t n = 0;
        for (const pl_free_slot *at = cache.free_list; at; at = at->next)
            n++;
        T_EQ(n, cache.n_free);
    }
    pl_slabs_fini(&slabs);
}

/* What one thread frees another allocates: slots made once are enough for any number of rounds. */
T_TEST(slots_pass_between_threads)
{
    pl_slab_cache other = {0};
    open_slabs();
    for (int round = 0; round < 50; round++) {
        alloc_all(1000);
        for (int i = 0; i < 1000; i++)
            pl_slab_free(&slabs, &other, slots[i]);
    }
    T_LE(pl_slab_count(&slabs), 2 * PL_SLOTS_PER_SLAB);
    pl_slabs_fini(&slabs);
}

static void *churn(void *arg)
{
    pl_slab_cache own = {0};
    void *mine[300];
    t_rng rng = {t_seed() + (uintptr_t)arg};
    size_t n = 0;
    for (uint64_t i = 0; i < t_scale(200000); i++) {
        if (n < 300 && (n == 0 || t_below(&rng, 2))) {
            void *slot = pl_slab_alloc(&slabs, &own);
            T_TRUE(slot != NULL);
            memset((char *)slot + PL_CACHE_LINE, (int)(uintptr_t)arg, PL_SLOT_BYTES - PL_CACHE_LINE);
            mine[n++] = slot;
        } else {
            unsigned char *slot = mine[--n];
            T_EQ(slot[PL_CACHE_LINE], (uintptr_t)arg); /* nobody else wrote it */
            T_EQ(slot[PL_SLOT_BYTES - 1], (uintptr_t)arg);
            pl_slab_free(&slabs, &own, slot);
        }
    }
    return NULL;
}

T_TEST(threads_never_share_a_slot)
{
    pthread_t threads[3];
    open_slabs();
    for (uintptr_t i = 0; i < 3; i++)
        T_EQ(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    T_LE(pl_slab_count(&slabs), 3 * PL_SLOTS_PER_SLAB);
    pl_slabs_fini(&slabs);
}
