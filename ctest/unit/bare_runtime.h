/* bare_runtime.h - a runtime whose workers have no threads of their own: who runs what, and when, is up to the test. */
#ifndef PARLA_TEST_BARE_RUNTIME_H
#define PARLA_TEST_BARE_RUNTIME_H

#include "sched/runtime.h"
#include "test.h"

enum { N_WORKERS = 4 };

static parla_runtime rt;
static struct pl_trace_head no_trace;
static pl_worker workers[N_WORKERS];

static inline void bare_open(void)
{
    memset(&rt, 0, sizeof rt);
    memset(workers, 0, sizeof workers);
    rt.trace = (pl_trace *)&no_trace;
    rt.unseen_end = &rt.unseen;
    rt.remembered_end = &rt.remembered;
    pthread_mutex_init(&rt.failure_lock, NULL);
    pthread_mutex_init(&rt.spare_lock, NULL);
    pl_park_init(&rt.park);
    pl_park_init(&rt.ended);
    T_OK(pl_slabs_init(&rt.slabs, &rt));
    for (int i = 0; i < N_WORKERS; i++) {
        workers[i].rt = &rt;
        workers[i].index = i;
        workers[i].may_chain = true;
        T_OK(pl_deque_init(&workers[i].deque));
        pl_slab_free(&rt.slabs, &workers[i].cache,
                     pl_slab_alloc(&rt.slabs, &workers[i].cache)); /* so that later ones take no lock */
    }
}

static inline pl_task *bare_next(pl_worker *self)
{
    pl_task *task = self->next ? self->next : pl_deque_pop(&self->deque);
    self->next = NULL;
    return task;
}

/* Runs what a worker has in hand and in its deque, and what that makes ready. */
static inline void bare_drain(pl_worker *self)
{
    pl_task *task;
    while ((task = bare_next(self)) != NULL)
        pl_run(&rt, self, task);
}

static inline size_t bare_slots_in_use(void)
{
    size_t n = 0;
    for (uint32_t i = 1; i <= pl_slab_count(&rt.slabs); i++)
        n += pl_load_relaxed(&((pl_task *)pl_slot_at(&rt.slabs, i))->refs_shared) != 0;
    return n;
}

/* Every task has given its memory back. */
static inline void bare_close(void)
{
    pl_failures_fini(&rt);
    for (pl_task *task = rt.remembered, *next; task; task = next) {
        next = task->link;
        pl_unpin(&rt, &workers[0], task);
    }
    T_EQ(bare_slots_in_use(), 0);
    for (int i = 0; i < N_WORKERS; i++)
        pl_deque_fini(&workers[i].deque);
    pl_slabs_fini(&rt.slabs);
    pthread_mutex_destroy(&rt.spare_lock);
    pthread_mutex_destroy(&rt.failure_lock);
}

#endif
