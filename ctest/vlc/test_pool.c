/* test_pool.c - contexts lent to threads. */
#include "vlc/pool.h"

#include "fake_loader.h"
#include "vlc_fixture.h"

#include <pthread.h>

static parla_vlc_pool *make_pool(int n)
{
    parla_vlc_options options = PARLA_VLC_OPTIONS_INIT;
    parla_vlc_pool *pool = NULL;
    pl_vlc_loader_set(&fake_loader);
    options.n_cpus = 1;
    options.flags = PARLA_VLC_SHARE;
    T_OK(parla_vlc_pool_create(&pool, n, &options));
    return pool;
}

T_TEST(each_context_is_lent_once)
{
    parla_vlc_pool *pool = make_pool(2);
    parla_vlc *a, *b, *c = NULL;
    T_EQ(parla_vlc_pool_size(pool), 2);
    T_EQ(pl_vlc_pool_cpus(pool), 1);
    T_TRUE(parla_vlc_pool_context(pool, 2) == NULL);
    T_OK(parla_vlc_pool_acquire(pool, &a, 0));
    T_OK(parla_vlc_pool_acquire(pool, &b, PARLA_FOREVER));
    T_TRUE(a != b);
    T_EQ(parla_vlc_pool_acquire(pool, &c, 1000000), PARLA_E_TIMEOUT);
    parla_vlc_pool_destroy(pool); /* refused: both are lent */
    parla_vlc_pool_release(pool, a);
    T_OK(parla_vlc_pool_acquire(pool, &c, 0));
    T_EQ_PTR(c, a);
    parla_vlc_pool_release(pool, b);
    parla_vlc_pool_release(pool, c);
    parla_vlc_pool_destroy(pool);
    T_EQ(limits_now().n_contexts, 0);
}

T_TEST(impossible_pools_leave_nothing)
{
    parla_vlc_options options = PARLA_VLC_OPTIONS_INIT;
    parla_vlc_pool *pool = NULL;
    pl_vlc_loader_set(&fake_loader);
    options.n_cpus = n_process_cpus();
    T_EQ(parla_vlc_pool_create(&pool, 2, &options), PARLA_E_RESOURCES);
    T_EQ(parla_vlc_pool_create(&pool, 0, &options), PARLA_E_INVALID);
    T_EQ(parla_vlc_pool_create(&pool, 16, &options), PARLA_E_INVALID);
    T_EQ(limits_now().n_contexts, 0);
}

static _Atomic int n_lent;

static void *borrow(void *arg)
{
    t_rng rng = {t_seed() + (uintptr_t)&rng};
    for (uint64_t i = t_scale(2000); i > 0; i--) {
        parla_vlc_entry entry;
        parla_vlc *vlc;
        int error = parla_vlc_pool_acquire(arg, &vlc, t_below(&rng, 4) ? PARLA_FOREVER : (int64_t)t_below(&rng, 20000));
        if (error == PARLA_E_TIMEOUT)
            continue;
        T_OK(error);
        T_LE(pl_add_acq_rel(&n_lent, 1), 2);
        T_OK(parla_vlc_enter(vlc, &entry));
        parla_vlc_leave(&entry);
        pl_sub_acq_rel(&n_lent, 1);
        parla_vlc_pool_release(arg, vlc);
    }
    return NULL;
}

T_TEST(many_threads_share_a_few)
{
    parla_vlc_pool *pool = make_pool(3);
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        T_EQ(pthread_create(&threads[i], NULL, borrow, pool), 0);
    for (int i = 0; i < 8; i++)
        T_EQ(pthread_join(threads[i], NULL), 0);
    T_EQ(pl_load_acquire(&fake_inside), 0);
    parla_vlc_pool_destroy(pool);
}
