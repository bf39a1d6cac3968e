/* vlc_stress.c - contexts made, entered, left and destroyed by many threads at once, over the fake loader. */
#include "fake_loader.h"
#include "vlc_fixture.h"

#include <pthread.h>

enum { N_SLOTS = 4, N_THREADS = 6 };

/* A slot's owner replaces its context; guests stay in the one that they find there, under the slot's lock. */
static struct slot {
    pthread_mutex_t lock;
    parla_vlc *vlc;
} slots[N_SLOTS];

static parla_vlc *make_one(t_rng *rng)
{
    parla_vlc_options options = PARLA_VLC_OPTIONS_INIT;
    parla_vlc *vlc = NULL;
    options.n_cpus = (int)t_below(rng, 2);
    options.flags = PARLA_VLC_SHARE | (t_below(rng, 2) ? PARLA_VLC_FRESH : 0);
    T_OK(parla_vlc_create(&vlc, &options));
    if (t_below(rng, 2))
        T_OK(parla_vlc_open(vlc, NULL, "a-library"));
    return vlc;
}

/* Leaves after the slot has been unlocked, so often after its owner has destroyed the context. */
static void stay(struct slot *slot, t_rng *rng, int depth)
{
    parla_vlc_entry entry;
    pthread_mutex_lock(&slot->lock);
    parla_vlc *vlc = slot->vlc;
    T_OK(parla_vlc_enter(vlc, &entry));
    pthread_mutex_unlock(&slot->lock);
    T_EQ_PTR(parla_vlc_current(), vlc);
    if (depth > 0)
        stay(&slots[t_below(rng, N_SLOTS)], rng, depth - 1);
    parla_vlc_leave(&entry);
}

static void replace(struct slot *slot, t_rng *rng)
{
    parla_vlc *fresh = make_one(rng);
    pthread_mutex_lock(&slot->lock);
    parla_vlc *before = slot->vlc;
    slot->vlc = fresh;
    pthread_mutex_unlock(&slot->lock);
    parla_vlc_destroy(before);
}

static void *play(void *arg)
{
    t_rng rng = {t_seed() + 1000 * (uintptr_t)arg};
    for (uint64_t i = t_scale(5000); i > 0; i--) {
        struct slot *slot = &slots[t_below(&rng, N_SLOTS)];
        if ((uintptr_t)arg < 2 && t_below(&rng, 4) == 0)
            replace(slot, &rng);
        else
            stay(slot, &rng, (int)t_below(&rng, 3));
    }
    T_TRUE(parla_vlc_current() == NULL);
    return NULL;
}

T_TEST(contexts_come_and_go_under_their_guests)
{
    pthread_t threads[N_THREADS];
    t_rng rng = {t_seed()};
    pl_cpus before, after;
    pl_vlc_loader_set(&fake_loader);
    T_EQ(pl_thread_cpus(&before), 0);
    for (int i = 0; i < N_SLOTS; i++) {
        pthread_mutex_init(&slots[i].lock, NULL);
        slots[i].vlc = make_one(&rng);
    }
    for (uintptr_t i = 0; i < N_THREADS; i++)
        T_EQ(pthread_create(&threads[i], NULL, play, (void *)i), 0);
    for (int i = 0; i < N_THREADS; i++)
        T_EQ(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < N_SLOTS; i++)
        parla_vlc_destroy(slots[i].vlc);
    T_EQ(limits_now().n_contexts, 0);
    T_EQ(pl_load_acquire(&fake_inside), 0);
    T_EQ(pl_load_acquire(&fake_loaded), 0);
    T_EQ(pl_thread_cpus(&after), 0);
    T_TRUE(pl_cpus_equal(&before, &after));
}
