/* exhaustive.c - every schedule of a small program, up to the order of steps that have nothing to do with each other.
 *
 * The search is depth first and keeps no states: each schedule is a run from the start that follows the choices of the one before up to the
 * last node with something left to try. Dynamic partial order reduction says what there is to try, with source sets and sleep sets as in
 * "Optimal dynamic partial order reduction" (Abdulla, Aronis, Jonsson, Sagonas, POPL 2014): when a process is about to do something that
 * conflicts with an earlier step, not ordered before it by what happened in between, a schedule is tried with the two the other way round;
 * schedules that only swap independent steps of one that was seen are left out.
 *
 * A process is a thread, or, with store buffers, "the oldest store of a thread is seen". Two steps conflict if they touch a common byte and
 * one of them writes. Clocks: the clock of a step counts, for each process, its last step that happened before; it is the join of the clocks
 * of the process's own step before and of all conflicting earlier ones. ctest/model/test_conductor.c checks the reduction against really every
 * schedule, and the memory models against the litmus tests that tell them apart. */
#include "threads.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_STEPS = 1000, N_PROCESSES = 2 * CD_MAX_THREADS };

#define BIT(process) (UINT64_C(1) << (process))

typedef struct clocks {
    int16_t of[N_PROCESSES]; /* steps are counted from 1 */
} clocks;

/* One choice, and the step that followed. */
typedef struct node {
    uint64_t enabled, to_try, tried, asleep;
    int chosen;
    int n_values; /* of a cd_choose; 0: the choice of a process */
    cd_op op;
    clocks clock;
    cd_op next[N_PROCESSES]; /* what each process would have done */
} node;

static struct {
    cd_exploring how;
    node *nodes;
    int n_nodes;  /* of this run */
    int n_replay; /* nodes that repeat the run before; the last of them with another choice */
    bool is_redundant;
    clocks clock[N_PROCESSES];
    clocks at_store[CD_MAX_THREADS][CD_MAX_STORES]; /* of the thread, when it did a store that is not seen yet */
    uint64_t n_schedules;
} its;

/* --- Conflicts and order ---------------------------------------------------------------------------------------------------- */

/* Operations that touch nothing have no bytes. */
static bool writes(const cd_op *op) { return op->kind == CD_WRITE || op->kind == CD_LOCK; }

static bool conflict(const cd_op *a, const cd_op *b)
{
    return (writes(a) || writes(b)) && a->address < b->address + b->n_bytes && b->address < a->address + a->n_bytes;
}

static void join(clocks *into, const clocks *from)
{
    for (int i = 0; i < N_PROCESSES; i++)
        if (from->of[i] > into->of[i])
            into->of[i] = from->of[i];
}

/* The next operation of a process. */
static cd_op next_of(int process)
{
    if (process < CD_MAX_THREADS)
        return cd.threads[process].op;
    const cd_thread *owner = &cd.threads[process - CD_MAX_THREADS];
    const cd_store *store = &owner->stores[0];
    if (owner->n_stores == 0)
        return (cd_op){.kind = CD_LOCAL};
    return (cd_op){.kind = CD_WRITE, .address = store->address, .n_bytes = store->n_bytes, .place = store->place};
}

static bool exists(int process)
{
    return process < CD_MAX_THREADS ? cd.threads[process].is_alive : cd.threads[process - CD_MAX_THREADS].n_stores > 0;
}

/* Of what a process does next, without the steps that it will conflict with. */
static clocks clock_of_next(int process)
{
    clocks clock = its.clock[process];
    if (process >= CD_MAX_THREADS)
        join(&clock, &its.at_store[process - CD_MAX_THREADS][0]);
    return clock;
}

static bool is_in(const clocks *clock, int i_node) { return clock->of[its.nodes[i_node].chosen] > i_node; }

/* The processes with which a schedule may begin at node `first` that does what happened after `first` but not because of it, and then the
 * next operation of `process`, so that this comes before the step of `first`. */
static uint64_t beginnings(int first, int process, const cd_op *next, const clocks *clock)
{
    int kept[MAX_STEPS], n_kept = 0;
    uint64_t result = 0, met = 0;
    for (int i = first + 1; i <= its.n_nodes; i++) {
        bool is_next = i == its.n_nodes, has_to_wait = false;
        if (!is_next && (its.nodes[i].n_values > 0 || is_in(&its.nodes[i].clock, first)))
            continue;
        int who = is_next ? process : its.nodes[i].chosen;
        for (int k = 0; k < n_kept && !has_to_wait && !(met & BIT(who)); k++)
            has_to_wait =
                is_next ? is_in(clock, kept[k]) || conflict(&its.nodes[kept[k]].op, next) : is_in(&its.nodes[i].clock, kept[k]);
        if (!(met & BIT(who)) && !has_to_wait)
            result |= BIT(who);
        met |= BIT(who);
        if (!is_next)
            kept[n_kept++] = i;
    }
    return result & its.nodes[first].enabled;
}

/* For each step that the process's next operation conflicts with, and that is not before it anyhow: sees to it that a schedule with the two
 * the other way round is tried. None can begin if that step alone makes the operation possible. */
static void find_races_of(int process)
{
    cd_op next = next_of(process);
    clocks clock = clock_of_next(process), known = clock;
    for (int i = its.n_nodes - 1; i >= 0; i--) {
        node *then = &its.nodes[i];
        if (then->n_values > 0 || !conflict(&then->op, &next) || is_in(&known, i))
            continue;
        uint64_t possible = beginnings(i, process, &next, &clock);
        if (possible && !(possible & (then->to_try | then->asleep)))
            then->to_try |= possible & -possible;
        join(&known, &then->clock);
    }
}

static void find_races(void)
{
    for (int process = 0; process < N_PROCESSES; process++)
        if (exists(process))
            find_races_of(process);
}

/* --- Choosing --------------------------------------------------------------------------------------------------------------- */

static node *next_node(void)
{
    if (its.n_nodes == MAX_STEPS)
        cd_fail("a schedule has more than %d steps: does the scenario end?", MAX_STEPS);
    return &its.nodes[its.n_nodes];
}

/* Processes that need not be tried: a schedule that begins with them was seen, and nothing since conflicts with what they would do. */
static uint64_t asleep_now(void)
{
    if (its.n_nodes == 0 || its.how.is_plain)
        return 0;
    const node *before = &its.nodes[its.n_nodes - 1];
    uint64_t result = 0;
    for (uint64_t left = before->n_values ? before->asleep : (before->asleep | before->tried) & ~BIT(before->chosen); left;
         left &= left - 1) {
        int process = __builtin_ctzll(left);
        if (before->n_values || !conflict(&before->next[process], &before->op))
            result |= BIT(process);
    }
    return result;
}

/* Without reduction: everything, but a step that touches nothing needs to be done in one order only. */
static uint64_t worth_trying(node *here)
{
    for (uint64_t left = here->enabled; left; left &= left - 1)
        if (next_of(__builtin_ctzll(left)).n_bytes == 0) {
            here->chosen = __builtin_ctzll(left);
            return BIT(here->chosen);
        }
    return here->enabled;
}

static void open_node(node *here, cd_thread *self, uint64_t enabled)
{
    memset(here, 0, offsetof(node, next));
    here->enabled = enabled;
    here->asleep = asleep_now();
    uint64_t candidates = enabled & ~here->asleep;
    if (candidates == 0) {
        its.is_redundant = true;
        candidates = enabled;
    }
    here->chosen = candidates & BIT(self->index) ? self->index : __builtin_ctzll(candidates);
    here->to_try = its.how.is_plain ? worth_trying(here) : BIT(here->chosen);
}

/* Anew in each run: memory may lie elsewhere. */
static void note_next(node *here)
{
    for (uint64_t left = here->enabled | here->asleep; left; left &= left - 1)
        here->next[__builtin_ctzll(left)] = next_of(__builtin_ctzll(left));
}

/* The oldest store of a thread is about to be seen. What waits for all of them comes after the last one. */
static void drop_store(int owner)
{
    clocks *clock = its.at_store[owner];
    memmove(&clock[0], &clock[1], (CD_MAX_STORES - 1) * sizeof clock[0]);
    if (cd.threads[owner].n_stores == 1)
        join(&its.clock[owner], &its.clock[owner + CD_MAX_THREADS]);
}

/* The chosen process's step is about to happen. */
static void count_step(node *here)
{
    int process = here->chosen;
    here->op = next_of(process);
    here->tried |= BIT(process);
    here->clock = clock_of_next(process);
    for (int i = 0; i < its.n_nodes; i++)
        if (its.nodes[i].n_values == 0 && conflict(&its.nodes[i].op, &here->op))
            join(&here->clock, &its.nodes[i].clock);
    here->clock.of[process] = (int16_t)++its.n_nodes;
    its.clock[process] = here->clock;
    if (process >= CD_MAX_THREADS)
        drop_store(process - CD_MAX_THREADS);
}

static int pick(cd_thread *self)
{
    node *here = next_node();
    uint64_t enabled = cd_enabled();
    if (its.n_nodes >= its.n_replay) {
        if (!its.is_redundant && !its.how.is_plain)
            find_races();
        open_node(here, self, enabled);
        if (its.is_redundant)
            here->to_try = 0;
    } else if (here->n_values > 0 || here->enabled != enabled) {
        cd_fail("the scenario is not repeatable: step %d differs from the run before", its.n_nodes);
    }
    note_next(here);
    count_step(here);
    return here->chosen;
}

static int choose(int n)
{
    node *here = next_node();
    if (its.n_nodes >= its.n_replay) {
        uint64_t asleep = asleep_now();
        memset(here, 0, offsetof(node, next));
        here->n_values = n;
        here->asleep = asleep;
        here->to_try = its.is_redundant ? 0 : BIT(n) - 1;
    }
    if (its.n_nodes > 0)
        memcpy(here->next, its.nodes[its.n_nodes - 1].next, sizeof here->next);
    here->tried |= BIT(here->chosen);
    its.n_nodes++;
    return here->chosen;
}

static bool goes_on(void) { return false; }

static void on_create(int creator, int created) { its.clock[created] = its.clock[creator]; }

static void on_wake(int waker, int woken) { join(&its.clock[woken], &its.clock[waker]); }
static void on_store(int owner, int i_store) { its.at_store[owner][i_store] = its.clock[owner]; }

/* --- From run to run -------------------------------------------------------------------------------------------------------- */

static void print(void)
{
    for (int i = 0; i < its.n_nodes; i++) {
        const node *here = &its.nodes[i];
        if (here->n_values > 0)
            fprintf(stderr, "#   choice %d of %d\n", here->chosen + 1, here->n_values);
        else
            cd_print_place(here->chosen, &here->op.place, "");
    }
    fprintf(stderr, "#   (schedule number %llu)\n", (unsigned long long)its.n_schedules + 1);
}

/* The last node with something left to try gets its next choice. False: everything was seen. */
static bool next_schedule(void)
{
    for (; its.n_nodes > 0; its.n_nodes--) {
        node *last = &its.nodes[its.n_nodes - 1];
        uint64_t left = last->to_try & ~last->tried & ~(last->n_values ? 0 : last->asleep);
        if (!left)
            continue;
        last->chosen = __builtin_ctzll(left);
        its.n_replay = its.n_nodes;
        return true;
    }
    return false;
}

uint64_t cd_explore(const cd_exploring *how, void (*scenario)(void))
{
    cd_strategy strategy = {.pick = pick,
                            .goes_on = goes_on,
                            .choose = choose,
                            .on_create = on_create,
                            .on_wake = on_wake,
                            .on_store = on_store,
                            .print = print,
                            .has_store_buffers = how->has_store_buffers,
                            .times_out_any_time = true};
    memset(&its, 0, sizeof its);
    its.how = *how;
    its.nodes = calloc(MAX_STEPS, sizeof *its.nodes);
    if (!its.nodes)
        abort();
    do {
        its.n_nodes = 0;
        its.is_redundant = false;
        memset(its.clock, 0, sizeof its.clock);
        cd_begin(&strategy);
        scenario();
        cd_end();
        its.n_schedules += !its.is_redundant;
    } while (next_schedule());
    free(its.nodes);
    return its.n_schedules;
}
