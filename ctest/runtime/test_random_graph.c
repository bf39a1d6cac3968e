/* test_random_graph.c - random programs of nested tasks against a serial oracle.
 *
 * A program is a tree: the body of a node spawns its children and, in between, waits for some of them, with and without a time limit, or is
 * suspended on them; then it succeeds or fails. A node depends on nodes that were spawned before it, by its parent or above, whether they wait,
 * run or have long ended. So its fate follows from the order in which a serial program would spawn all nodes: cancelled if a dependency did
 * not succeed, else what it draws. A node whose parent never ran never exists. ctest/stress/test_graphs.c has the flat graphs, spawned in
 * any order. The seed that the runner prints draws the same programs again. */
#include "../unit/runtime_fixture.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_NODES = 120, MAX_CHILDREN = 6, MAX_DEPS = 5, MAX_DEPTH = 5 };

typedef enum wait_kind { NO_WAIT, WAIT, WAIT_BRIEFLY, SUSPEND, N_WAIT_KINDS } wait_kind;

typedef struct node {
    int index, parent, depth;
    int n_children, children[MAX_CHILDREN];
    wait_kind after[MAX_CHILDREN]; /* what the body does after spawning this child: waits for it and all before it */
    int n_deps, deps[MAX_DEPS];
    bool wants_to_fail;

    bool must_exist;
    int want_status;

    parla_task task;
    int i_step; /* the child whose wait has been suspended on, + 1; where the body goes on */
    _Atomic int n_starts, n_ends, status;
    _Atomic uint64_t started, ended; /* ticks */
    struct program *all;
} node;

typedef struct program {
    int n_nodes;
    node nodes[MAX_NODES];
    _Atomic uint64_t clock;
} program;

/* --- Drawing and predicting --------------------------------------------------------------------------------------------------- */

static int add_node(program *all, int parent, int depth)
{
    int i = all->n_nodes++;
    all->nodes[i] = (node){.index = i, .parent = parent, .depth = depth, .all = all};
    return i;
}

/* Nodes that exist whenever this one is spawned: elder children of its parent, of that one's parent, and so on. */
static int candidates(const program *all, const node *self, int *out)
{
    int n = 0, from = self->index;
    for (int parent = self->parent; parent >= 0; parent = all->nodes[parent].parent) {
        const node *p = &all->nodes[parent];
        for (int k = 0; k < p->n_children && p->children[k] != from; k++)
            out[n++] = p->children[k];
        from = parent;
    }
    return n;
}

static void draw(program *all, t_rng *rng, int index)
{
    node *self = &all->nodes[index];
    int found[MAX_NODES], n_found = candidates(all, self, found);
    self->wants_to_fail = index > 0 && t_below(rng, 12) == 0;
    self->n_deps = n_found > 0 ? (int)t_below(rng, MAX_DEPS + 1) : 0;
    for (int k = 0; k < self->n_deps; k++)
        self->deps[k] = found[t_below(rng, (uint64_t)n_found)];
    int n_children = self->depth < MAX_DEPTH ? (int)t_below(rng, MAX_CHILDREN + 1) : 0;
    for (int k = 0; k < n_children && all->n_nodes < MAX_NODES; k++) {
        int child = add_node(all, index, self->depth + 1);
        self->children[self->n_children++] = child;
        self->after[k] = (wait_kind)t_below(rng, N_WAIT_KINDS);
        draw(all, rng, child);
    }
}

/* In the order of a serial program: parents before children, elder before younger. */
static void predict(program *all)
{
    for (int i = 0; i < all->n_nodes; i++) {
        node *self = &all->nodes[i];
        const node *parent = i > 0 ? &all->nodes[self->parent] : NULL;
        self->must_exist = !parent || (parent->must_exist && parent->want_status != PARLA_E_CANCELLED);
        self->want_status = self->wants_to_fail ? PARLA_E_USER : 0;
        for (int k = 0; k < self->n_deps; k++)
            if (all->nodes[self->deps[k]].want_status)
                self->want_status = PARLA_E_CANCELLED;
    }
}

/* --- Running ------------------------------------------------------------------------------------------------------------------ */

static uint64_t tick(program *all) { return pl_add_seq(&all->clock, 1) + 1; }

static void node_ends(void *arg, const parla_outcome *outcome)
{
    node *self = arg;
    T_EQ(pl_add_acq_rel(&self->n_ends, 1), 0);
    pl_store_release(&self->status, outcome->status);
    pl_store_release(&self->ended, tick(self->all));
}

static int node_body(parla_context *context, void *arg);

static void spawn_node(parla_runtime *runtime, node *self)
{
    parla_task deps[MAX_DEPS];
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    for (int k = 0; k < self->n_deps; k++)
        deps[k] = self->all->nodes[self->deps[k]].task;
    options.body = node_body;
    options.arg = self;
    options.on_end = node_ends;
    options.name = "node";
    options.deps = deps;
    options.n_deps = (size_t)self->n_deps;
    T_OK(parla_task_create(runtime, &self->task, "node")); /* with a reference, so that its outcome can be asked for later */
    options.task = self->task;
    T_OK(parla_task_spawn(runtime, NULL, &options));
}

static void check_children(const node *self, int n)
{
    for (int k = 0; k < n; k++) {
        const node *child = &self->all->nodes[self->children[k]];
        T_TRUE(parla_task_has_ended(child->task));
        T_EQ(pl_load_acquire(&child->n_ends), 1);
        T_EQ(pl_load_acquire(&child->status), child->want_status);
    }
}

/* After child k. Returns PARLA_SUSPENDED if the body has to leave. */
static int wait_for_children(parla_context *context, node *self, int k)
{
    parla_task tasks[MAX_CHILDREN];
    size_t n = (size_t)k + 1;
    for (size_t i = 0; i < n; i++)
        tasks[i] = self->all->nodes[self->children[i]].task;
    int code = 0;
    switch (self->after[k]) {
    case WAIT:
        code = parla_task_wait(parla_context_runtime(context), tasks, n, PARLA_FOREVER);
        T_TRUE(code == 0 || code == PARLA_E_USER || code == PARLA_E_CANCELLED);
        check_children(self, k + 1);
        return 0;
    case WAIT_BRIEFLY:
        code = parla_task_wait(parla_context_runtime(context), tasks, n, 1000);
        if (code != PARLA_E_TIMEOUT)
            check_children(self, k + 1);
        return 0;
    case SUSPEND:
        self->i_step = k + 1;
        T_OK(parla_suspend_on(context, tasks, n));
        return PARLA_SUSPENDED;
    default:
        return 0;
    }
}

static int node_body(parla_context *context, void *arg)
{
    node *self = arg;
    if (self->i_step == 0) {
        T_EQ(pl_add_acq_rel(&self->n_starts, 1), 0);
        pl_store_release(&self->started, tick(self->all));
    } else {
        check_children(self, self->i_step);
    }
    for (int k = self->i_step; k < self->n_children; k++) {
        spawn_node(parla_context_runtime(context), &self->all->nodes[self->children[k]]);
        if (wait_for_children(context, self, k) == PARLA_SUSPENDED)
            return PARLA_SUSPENDED;
    }
    return self->wants_to_fail ? parla_fail(context, PARLA_E_USER, "node %d fails", self->index) : 0;
}

/* --- Checking ----------------------------------------------------------------------------------------------------------------- */

static void check_node(const program *all, const node *self)
{
    static const parla_task_state states[] = {PARLA_TASK_DONE, PARLA_TASK_FAILED, PARLA_TASK_CANCELLED};
    T_EQ(pl_load_acquire(&self->n_ends), self->must_exist);
    if (!self->must_exist) {
        T_EQ(pl_load_acquire(&self->n_starts), 0);
        return;
    }
    T_EQ(pl_load_acquire(&self->status), self->want_status);
    T_EQ(pl_load_acquire(&self->n_starts), self->want_status != PARLA_E_CANCELLED);
    T_EQ(parla_task_query(self->task), states[self->want_status == 0 ? 0 : self->want_status == PARLA_E_USER ? 1 : 2]);
    for (int k = 0; k < self->n_deps && self->want_status != PARLA_E_CANCELLED; k++)
        T_LT(pl_load_acquire(&all->nodes[self->deps[k]].ended), pl_load_acquire(&self->started));
}

static void check(const program *all)
{
    for (int i = 0; i < all->n_nodes; i++)
        check_node(all, &all->nodes[i]);
}

static void run_program(program *all, uint64_t seed)
{
    t_rng rng = {seed};
    all->n_nodes = 0;
    pl_store_relaxed(&all->clock, 0);
    draw(all, &rng, add_node(all, -1, 0));
    predict(all);
    parla_runtime_info before = counts();
    spawn_node(rt, &all->nodes[0]);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    check(all);
    parla_runtime_info after = counts();
    uint64_t n_exist = 0;
    for (int i = 0; i < all->n_nodes; i++) {
        n_exist += all->nodes[i].must_exist;
        if (all->nodes[i].must_exist)
            parla_task_unref(all->nodes[i].task);
    }
    T_EQ(after.n_spawned - before.n_spawned, n_exist);
    T_EQ(after.n_ended, after.n_spawned);
}

static void run_programs(int n_workers)
{
    static program all;
    static char text[64];
    open_runtime(n_workers);
    for (uint64_t i = 0; i < t_scale(400); i++) {
        snprintf(text, sizeof text, "program %llu, %d workers", (unsigned long long)i, n_workers);
        t_phase(text);
        run_program(&all, t_seed() * 1000003 + i);
    }
    close_runtime();
}

T_TEST(one_worker) { run_programs(1); }
T_TEST(two_workers) { run_programs(2); }
T_TEST(three_workers) { run_programs(3); }
T_TEST(four_workers) { run_programs(4); }
