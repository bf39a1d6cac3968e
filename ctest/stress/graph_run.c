/* graph_run.c - see graph_run.h. Nodes are spawned in any order, by several threads and by tasks. */
#include "graph_run.h"

#include <pthread.h>
#include <stdlib.h>

/* Releases the holds of nodes, from outside: a thread, or a progress function that is kicked. */
typedef struct releaser {
    pthread_t thread;
    parla_poll *poll; /* instead of the thread */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    graph_node **queue;
    int n_queued, n_released;
    bool is_over;
} releaser;

static void release_later(graph *g, graph_node *node)
{
    releaser *self = g->ctx;
    pthread_mutex_lock(&self->mutex);
    self->queue[self->n_queued++] = node;
    pthread_cond_signal(&self->changed);
    pthread_mutex_unlock(&self->mutex);
    if (self->poll) {
        parla_poll_kick(self->poll);
    }
}

/* Called with the mutex held, which is given back meanwhile. */
static void release_one(releaser *self)
{
    graph_node *node = self->queue[self->n_released++];
    pthread_mutex_unlock(&self->mutex);
    bool is_failure = node->kind == GRAPH_HOLD_FAILS;
    T_OK(parla_release(node->held, is_failure ? PARLA_E_USER : 0, is_failure ? "the hold failed" : NULL));
    pthread_mutex_lock(&self->mutex);
}

static void *release_all(void *arg)
{
    releaser *self = arg;
    pthread_mutex_lock(&self->mutex);
    while (!self->is_over || self->n_released < self->n_queued) {
        if (self->n_released == self->n_queued) {
            pthread_cond_wait(&self->changed, &self->mutex);
        } else {
            release_one(self);
        }
    }
    pthread_mutex_unlock(&self->mutex);
    return NULL;
}

static int release_some(void *arg)
{
    releaser *self = arg;
    int n = 0;
    pthread_mutex_lock(&self->mutex);
    for (; self->n_released < self->n_queued; n++) {
        release_one(self);
    }
    pthread_mutex_unlock(&self->mutex);
    return n > 0 ? n : -1;
}

static void releaser_start(releaser *self, graph *g, const graph_plan *plan, parla_runtime *rt)
{
    *self = (releaser){.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    self->queue = calloc((size_t)g->n_nodes * 3, sizeof(graph_node *)); /* bodies that are repeated hold more than once */
    T_TRUE(self->queue != NULL);
    g->release_later = release_later;
    g->ctx = self;
    if (plan->is_polling) {
        T_OK(parla_poll_add(rt, &self->poll, release_some, self));
    } else {
        T_EQ(pthread_create(&self->thread, NULL, release_all, self), 0);
    }
}

static void releaser_stop(releaser *self)
{
    pthread_mutex_lock(&self->mutex);
    self->is_over = true;
    pthread_cond_signal(&self->changed);
    pthread_mutex_unlock(&self->mutex);
    if (self->poll) {
        parla_poll_remove(self->poll);
    } else {
        pthread_join(self->thread, NULL);
    }
    T_EQ(self->n_released, self->n_queued);
    free(self->queue);
}

/* --- Spawning --------------------------------------------------------------------------------------------------------------- */

typedef struct part {
    pthread_t thread;
    graph *g;
    const int *order; /* nodes in the order of spawning */
    int begin, end;
    t_rng rng; /* for cancelling; {0} for none */
} part;

static int spawn_one(parla_context *context, void *arg)
{
    (void)context;
    graph_spawn(arg);
    return 0;
}

static bool is_spawned_by_task(const graph *g, int index) { return !g->is_in_order && index % 4 == 0; }

/* Cancels one of the nodes that this thread has spawned, in any state of its life. */
static void cancel_one(part *self, int i)
{
    int other = self->order[self->begin + (int)t_below(&self->rng, (uint64_t)(i - self->begin) + 1)];
    if (!is_spawned_by_task(self->g, other)) {
        int code = parla_task_cancel(self->g->nodes[other].task);
        T_TRUE(code == 0 || code == PARLA_PENDING || code == PARLA_E_STATE);
    }
}

static void *spawn_part(void *arg)
{
    part *self = arg;
    for (int i = self->begin; i < self->end; i++) {
        graph_node *node = &self->g->nodes[self->order[i]];
        if (is_spawned_by_task(self->g, node->index)) {
            T_OK(parla_spawn(self->g->rt, NULL, spawn_one, node, NULL, 0));
        } else {
            graph_spawn(node);
        }
        if (self->rng.state != 0 && t_below(&self->rng, 10) == 0) {
            cancel_one(self, i);
        }
    }
    return NULL;
}

static int *draw_order(t_rng *rng, const graph *g)
{
    int *order = malloc((size_t)g->n_nodes * sizeof(*order));
    T_TRUE(order != NULL);
    for (int i = 0; i < g->n_nodes; i++) {
        int k = g->is_in_order ? i : (int)t_below(rng, (uint64_t)i + 1);
        order[i] = order[k];
        order[k] = i;
    }
    return order;
}

static void spawn_all(graph *g, t_rng *rng, int n_spawners, bool is_cancelling)
{
    part parts[GRAPH_MAX_SPAWNERS];
    int *order = draw_order(rng, g);
    for (int i = 0; i < n_spawners; i++) {
        parts[i] = (part){.g = g, .order = order, .begin = g->n_nodes * i / n_spawners, .end = g->n_nodes * (i + 1) / n_spawners};
        parts[i].rng.state = is_cancelling ? t_next(rng) | 1 : 0;
        T_EQ(pthread_create(&parts[i].thread, NULL, spawn_part, &parts[i]), 0);
    }
    for (int i = 0; i < n_spawners; i++) {
        pthread_join(parts[i].thread, NULL);
    }
    free(order);
}

/* --- Waiting from outside --------------------------------------------------------------------------------------------------- */

typedef struct waiter {
    pthread_t thread;
    graph *g;
    t_rng rng;
} waiter;

/* What a wait says is true: success only of tasks that are done, a failure only if one of them is not. */
static void wait_for_some(waiter *self)
{
    enum { MAX = 3 };
    const graph_node *nodes[MAX];
    parla_task tasks[MAX];
    size_t n = 1 + t_below(&self->rng, MAX);
    bool all_done = true;
    uint64_t n_known = (uint64_t)atomic_load_explicit(&self->g->n_known, memory_order_acquire);
    if (n_known == 0) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        nodes[i] = &self->g->nodes[t_below(&self->rng, n_known)];
        tasks[i] = nodes[i]->task;
    }
    int code = parla_task_wait(self->g->rt, tasks, n, t_below(&self->rng, 3) ? PARLA_FOREVER : (int64_t)t_below(&self->rng, 20000));
    if (code == PARLA_E_TIMEOUT) {
        return;
    }
    if (code != 0 && code != PARLA_E_USER && code != PARLA_E_CANCELLED) {
        T_FAIL("a wait returned %d %s", code, parla_error_detail());
    }
    for (size_t i = 0; i < n; i++) {
        T_TRUE(parla_task_has_ended(tasks[i]));
        all_done = all_done && parla_task_query(tasks[i]) == PARLA_TASK_DONE;
    }
    T_EQ(code == 0, all_done);
}

static void *wait_often(void *arg)
{
    for (int i = 0; i < 4; i++) {
        wait_for_some(arg);
    }
    return NULL;
}

/* --- One graph -------------------------------------------------------------------------------------------------------------- */

void graph_run(parla_runtime *rt, t_rng *rng, const graph_plan *plan)
{
    graph g;
    releaser releases;
    waiter waiters[GRAPH_MAX_WAITERS];
    parla_task spawning;
    graph_draw(&g, rng, plan);
    releaser_start(&releases, &g, plan, rt);
    graph_create(&g, rt);
    graph_predict(&g);
    T_OK(parla_event_create(rt, &spawning, "spawning")); /* tasks come from threads that the runtime does not know yet */
    for (int i = 0; i < plan->n_waiters; i++) {
        waiters[i] = (waiter){.g = &g, .rng = {t_next(rng)}};
        T_EQ(pthread_create(&waiters[i].thread, NULL, wait_often, &waiters[i]), 0);
    }
    spawn_all(&g, rng, plan->is_in_order ? 1 : plan->n_spawners, plan->is_cancelling);
    T_OK(parla_event_complete(spawning, 0, NULL));
    parla_task_unref(spawning);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    for (int i = 0; i < plan->n_waiters; i++) {
        pthread_join(waiters[i].thread, NULL);
    }
    releaser_stop(&releases);
    graph_check_order(&g);
    if (!plan->is_cancelling) {
        graph_check_values(&g);
    }
    graph_forget(&g);
    graph_free(&g);
}

void graph_run_and_cut_off(parla_runtime *rt, t_rng *rng, const graph_plan *plan)
{
    graph g;
    releaser releases;
    graph_draw(&g, rng, plan);
    releaser_start(&releases, &g, plan, rt);
    graph_create(&g, rt);
    for (int k = 0; k < g.n_nodes; k++) {
        graph_spawn(&g.nodes[k]);
    }
    graph_forget(&g); /* names end with their runtime */
    parla_runtime_destroy(rt);
    releaser_stop(&releases);
    for (int k = 0; k < g.n_nodes; k++) {
        T_EQ(atomic_load_explicit(&g.nodes[k].n_ends, memory_order_relaxed), 1);
    }
    graph_free(&g);
}
