/* graph.c - see graph.h. Values are hashes of a node's number and of the values that it can see, so that a lost edge shows. */
#include "graph.h"

#include <stdlib.h>

/* --- Drawing and predicting ------------------------------------------------------------------------------------------------- */

static int draw_before(t_rng *rng, int index, int *out, int max)
{
    int n = index > 0 ? (int)t_below(rng, (uint64_t)max + 1) : 0;
    for (int i = 0; i < n; i++) {
        int reach = index < 40 || t_below(rng, 4) == 0 ? index : 40; /* mostly near, sometimes far */
        out[i] = index - 1 - (int)t_below(rng, (uint64_t)reach);
    }
    return n;
}

static graph_kind draw_kind(t_rng *rng, int one_in_fails)
{
    if (one_in_fails > 0 && t_below(rng, (uint64_t)one_in_fails) == 0) {
        return t_below(rng, 3) == 0 ? GRAPH_HOLD_FAILS : GRAPH_FAILS;
    }
    uint64_t die = t_below(rng, 20);
    return die < 12 ? GRAPH_PLAIN : die < 13 ? GRAPH_FLAKY : die < 16 ? GRAPH_SUSPENDS : die < 17 ? GRAPH_BLOCKS : GRAPH_HOLDS;
}

/* Shares of a device and memory on it; two of the largest fit on no device together. */
static parla_demand draw_demand(t_rng *rng, parla_arch arch)
{
    static const double shares[] = {0, 0.25, 0.5, 1};
    return (parla_demand){.arch = arch,
                          .number = PARLA_ANY_NUMBER,
                          .vcus = shares[t_below(rng, 4)],
                          .memory_bytes = arch == PARLA_ARCH_GPU ? t_below(rng, GRAPH_SIM_BYTES) : 0};
}

static void draw_place(graph_node *node, t_rng *rng, int n_sims)
{
    node->priority = (int)t_below(rng, 3) - 1;
    if (t_below(rng, 3) == 0) {
        return; /* a priority alone */
    }
    node->n_members = n_sims > 1 && t_below(rng, 3) == 0 ? 2 : 1;
    for (int i = 0; i < node->n_members; i++) {
        node->members[i] = draw_demand(rng, n_sims > 0 ? PARLA_ARCH_GPU : PARLA_ARCH_CPU);
    }
}

/* Arrays are used on the placed path only. */
static void draw_uses(graph_node *node, t_rng *rng, const graph_plan *plan)
{
    node->n_uses = graph_draw_uses(rng, plan->n_arrays, node->uses);
    if (node->n_members == 0) {
        node->n_members = 1;
        node->members[0] = (parla_demand){.arch = plan->n_sims > 0 && t_below(rng, 3) ? PARLA_ARCH_GPU : PARLA_ARCH_CPU,
                                          .number = PARLA_ANY_NUMBER};
    }
    for (int i = 0; i < node->n_members; i++) {
        node->members[i].memory_bytes /= 2; /* leaves room for the arrays */
    }
    for (int k = 0; k < node->n_uses; k++) {
        if (node->kind == GRAPH_FLAKY && node->uses[k].mode == PARLA_INOUT) {
            node->uses[k].mode = PARLA_OUT; /* what is updated in place cannot be repeated, and the library says so */
        }
    }
}

void graph_draw(graph *g, t_rng *rng, const graph_plan *plan)
{
    *g = (graph){.n_nodes = plan->n_nodes,
                 .is_in_order = plan->is_in_order,
                 .n_arrays = plan->n_arrays,
                 .nodes = calloc((size_t)plan->n_nodes, sizeof(graph_node))};
    T_TRUE(g->nodes != NULL);
    for (int i = 0; i < plan->n_nodes; i++) {
        graph_node *node = &g->nodes[i];
        node->graph = g;
        node->index = i;
        node->kind = draw_kind(rng, plan->one_in_fails);
        if (plan->one_in_placed > 0 && t_below(rng, (uint64_t)plan->one_in_placed) == 0) {
            draw_place(node, rng, plan->n_sims);
        }
        if (plan->n_arrays > 0 && t_below(rng, 2) == 0) {
            draw_uses(node, rng, plan);
        }
        if (node->kind == GRAPH_BLOCKS && node->n_members > 0) {
            node->kind = GRAPH_SUSPENDS; /* bodies on a device's queue must not block */
        }
        node->n_deps = draw_before(rng, i, node->deps, GRAPH_MAX_DEPS);
        if (node->kind == GRAPH_SUSPENDS || node->kind == GRAPH_BLOCKS) {
            node->n_awaited = draw_before(rng, i, node->awaited, GRAPH_MAX_AWAITED);
        }
    }
}

void graph_free(graph *g) { free(g->nodes); }

void graph_predict(graph *g)
{
    for (int i = 0; i < g->n_nodes; i++) {
        graph_node *node = &g->nodes[i];
        uint64_t value = graph_mix(0, (uint64_t)i);
        node->want_status = 0;
        for (int k = 0; k < node->n_deps; k++) {
            const graph_node *before = &g->nodes[node->deps[k]];
            node->want_status = before->want_status != 0 ? PARLA_E_CANCELLED : node->want_status;
            value = graph_mix(value, before->want_value);
        }
        for (int k = 0; k < node->n_awaited; k++) {
            const graph_node *before = &g->nodes[node->awaited[k]];
            value = graph_mix(value, before->want_status == 0 ? before->want_value : 1);
        }
        if (graph_reads_spoilt(g->arrays, node->uses, node->n_uses, &value)) {
            node->want_status = PARLA_E_CANCELLED;
        }
        if (node->want_status == 0 && (node->kind == GRAPH_FAILS || node->kind == GRAPH_HOLD_FAILS)) {
            node->want_status = PARLA_E_USER;
        }
        node->want_value = node->want_status == 0 ? value : 0;
        graph_predict_writes(g->arrays, node->uses, node->n_uses, node->want_status == 0, value);
    }
}

/* --- Bodies ----------------------------------------------------------------------------------------------------------------- */

static size_t awaited_tasks(const graph_node *node, parla_task *out)
{
    for (int k = 0; k < node->n_awaited; k++) {
        out[k] = node->graph->nodes[node->awaited[k]].task;
    }
    return (size_t)node->n_awaited;
}

static int suspend(parla_context *context, graph_node *node)
{
    parla_task tasks[GRAPH_MAX_AWAITED];
    T_OK(parla_suspend_on(context, tasks, awaited_tasks(node, tasks)));
    return PARLA_SUSPENDED;
}

/* Waits on the thread, or suspends where too many threads are blocked already. */
static int block(parla_context *context, graph_node *node)
{
    parla_task tasks[GRAPH_MAX_AWAITED];
    size_t n = awaited_tasks(node, tasks);
    int code = node->index % 3 ? PARLA_E_TIMEOUT : parla_task_wait(node->graph->rt, tasks, n, 5000);
    if (code == PARLA_E_TIMEOUT) {
        code = parla_task_wait(node->graph->rt, tasks, n, PARLA_FOREVER);
    }
    if (code == PARLA_E_RESOURCES && !parla_context_is_cancelled(context)) {
        return suspend(context, node);
    }
    if (code != 0 && code != PARLA_E_USER && code != PARLA_E_CANCELLED) {
        T_FAIL("a wait returned %d %s", code, parla_error_detail());
    }
    return 0;
}

static uint64_t value_of(const graph_node *node)
{
    uint64_t value = graph_mix(0, (uint64_t)node->index);
    for (int k = 0; k < node->n_deps; k++) {
        value = graph_mix(value, node->graph->nodes[node->deps[k]].value);
    }
    for (int k = 0; k < node->n_awaited; k++) {
        const graph_node *before = &node->graph->nodes[node->awaited[k]];
        T_TRUE(parla_task_has_ended(before->task));
        value = graph_mix(value, parla_task_query(before->task) == PARLA_TASK_DONE ? before->value : 1);
    }
    return value;
}

static int body(parla_context *context, void *arg)
{
    graph_node *node = arg;
    int step = atomic_fetch_add_explicit(&node->n_steps, 1, memory_order_relaxed);
    if (step == 0) {
        T_EQ(atomic_fetch_add_explicit(&node->n_starts, 1, memory_order_relaxed), 0);
    }
    if (node->kind == GRAPH_FLAKY && parla_context_attempt(context) == 0) {
        return parla_fail(context, PARLA_E_USER, "node %d fails at first", node->index);
    }
    if (node->kind == GRAPH_SUSPENDS && step < 2) {
        return suspend(context, node);
    }
    if (node->kind == GRAPH_BLOCKS && step == 0) {
        int code = block(context, node);
        if (code != 0) {
            return code;
        }
    }
    if (node->kind == GRAPH_FAILS) {
        return parla_fail(context, PARLA_E_USER, "node %d fails", node->index);
    }
    node->value = graph_read(context, node->uses, node->n_uses, value_of(node));
    graph_write(context, node->uses, node->n_uses, node->value);
    if (node->kind == GRAPH_HOLDS || node->kind == GRAPH_HOLD_FAILS) {
        T_OK(parla_hold(context, 1));
        node->held = parla_context_task(context);
        node->graph->release_later(node->graph, node);
    }
    return 0;
}

static void on_end(void *arg, const parla_outcome *outcome)
{
    graph_node *node = arg;
    T_EQ(atomic_fetch_add_explicit(&node->n_ends, 1, memory_order_relaxed), 0);
    T_TRUE(node->graph->is_in_order || parla_task_equal(outcome->task, node->task)); /* it may end before its spawn returns */
    T_EQ(outcome->failure == NULL, outcome->status == 0);
    node->status = outcome->status;
}

void graph_create(graph *g, parla_runtime *rt)
{
    g->rt = rt;
    graph_arrays_create(g->arrays, g->n_arrays);
    for (int i = 0; !g->is_in_order && i < g->n_nodes; i++) {
        T_OK(parla_task_create(rt, &g->nodes[i].task, "node"));
        atomic_store_explicit(&g->n_known, i + 1, memory_order_release);
    }
}

void graph_spawn(graph_node *node)
{
    parla_task deps[GRAPH_MAX_DEPS];
    parla_access accesses[GRAPH_MAX_USES];
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    for (int k = 0; k < node->n_uses; k++) {
        const graph_use *use = &node->uses[k];
        accesses[k] = (parla_access){node->graph->arrays[use->i_array].data, use->mode, k % node->n_members, &use->region};
    }
    for (int k = 0; k < node->n_deps; k++) {
        deps[k] = node->graph->nodes[node->deps[k]].task;
    }
    options.body = body;
    options.arg = node;
    options.on_end = on_end;
    options.name = "node";
    options.task = node->task;
    options.deps = deps;
    options.n_deps = (size_t)node->n_deps;
    options.accesses = accesses;
    options.n_accesses = (size_t)node->n_uses;
    options.priority = node->priority;
    options.n_retries = node->kind == GRAPH_FLAKY;
    parla_choice choice = {node->members, (size_t)node->n_members};
    if (node->n_members > 0) {
        options.choices = &choice;
        options.n_choices = 1;
    }
    if (!node->graph->is_in_order) {
        T_OK(parla_task_spawn(node->graph->rt, NULL, &options));
        return;
    }
    T_OK(parla_task_spawn(node->graph->rt, &node->task, &options));
    atomic_store_explicit(&node->graph->n_known, node->index + 1, memory_order_release);
}

void graph_forget(graph *g)
{
    for (int i = 0; !g->is_in_order && i < g->n_nodes; i++) {
        parla_task_unref(g->nodes[i].task);
    }
    graph_arrays_forget(g->arrays, g->n_arrays);
}

/* --- Checking --------------------------------------------------------------------------------------------------------------- */

static void check_node(graph_node *node)
{
    int n_starts = atomic_load_explicit(&node->n_starts, memory_order_relaxed);
    bool is_blocked_by = false;
    T_EQ(atomic_load_explicit(&node->n_ends, memory_order_relaxed), 1);
    T_TRUE(parla_task_has_ended(node->task));
    for (int k = 0; k < node->n_deps; k++) {
        is_blocked_by = is_blocked_by || node->graph->nodes[node->deps[k]].status != 0;
    }
    if (is_blocked_by) {
        T_EQ(n_starts, 0);
        T_EQ(node->status, PARLA_E_CANCELLED);
    }
    if (node->status == 0) {
        T_EQ(n_starts, 1);
        T_EQ(parla_task_query(node->task), PARLA_TASK_DONE);
    } else {
        parla_failure *failure = parla_task_failure(node->task);
        T_TRUE(failure != NULL);
        T_EQ(parla_failure_code(failure), node->status);
        T_EQ(parla_task_query(node->task), node->status == PARLA_E_CANCELLED ? PARLA_TASK_CANCELLED : PARLA_TASK_FAILED);
        parla_failure_unref(failure);
    }
}

void graph_check_order(graph *g)
{
    for (int i = 0; i < g->n_nodes; i++) {
        check_node(&g->nodes[i]);
    }
}

void graph_check_values(graph *g)
{
    for (int i = 0; i < g->n_nodes; i++) {
        const graph_node *node = &g->nodes[i];
        T_EQ(node->status, node->want_status);
        if (node->want_status == 0) {
            T_EQ(node->value, node->want_value);
        }
    }
    graph_check_arrays(g->rt, g->arrays, g->n_arrays);
}
