/* random.c - one schedule, drawn from a seed, in one of two ways. A walk chooses anybody after a few steps, how few depends on the seed. The
 * other way gives threads priorities, lets the first that can go run, and lowers its priority at some moments ("A randomized scheduler with
 * probabilistic guarantees of finding bugs", Burckhardt and others, ASPLOS 2010): it finds what needs one thread to be very late. */
#include "threads.h"

#include "sched/topology.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

enum { LOG = 256, PATIENCE = 3000, MAX_ASKED = 4000000 };

static struct {
    uint64_t state, seed;
    bool is_walk;
    uint64_t mean; /* steps between choices */
    uint64_t left; /* until the next one */
    uint64_t n_asked;
    uint64_t trace;
    int lowest; /* priority */
    int priority[CD_MAX_THREADS];
    struct {
        int thread;
        cd_place place;
    } log[LOG];
} its;

static uint64_t draw(uint64_t n)
{
    uint64_t z = (its.state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % n;
}

static bool goes_on(void)
{
    if (its.left == 0)
        return false;
    its.left--;
    return true;
}

static int any_of(uint64_t mask)
{
    for (uint64_t k = draw((uint64_t)__builtin_popcountll(mask)); k > 0; k--)
        mask &= mask - 1;
    return __builtin_ctzll(mask);
}

static int first_of(uint64_t mask)
{
    int best = __builtin_ctzll(mask);
    for (mask &= mask - 1; mask; mask &= mask - 1)
        if (its.priority[__builtin_ctzll(mask)] > its.priority[best])
            best = __builtin_ctzll(mask);
    return best;
}

static int next_of(cd_thread *self, uint64_t mask)
{
    bool is_moment = its.left == 0 || self->op.kind == CD_LOCAL; /* else it was asked because of something that blocks */
    if (its.is_walk) {
        its.left = draw(2 * its.mean);
        return any_of(mask);
    }
    if (is_moment) {
        its.priority[self->index] = --its.lowest;
        its.left = draw(draw(4) == 0 ? PATIENCE : 20 * its.mean);
    }
    return first_of(mask);
}

static void note(uint64_t what)
{
    its.trace = (its.trace ^ what) * 0x9e3779b97f4a7c15u;
    its.trace ^= its.trace >> 29;
}

static int pick(cd_thread *self)
{
    uint64_t mask = cd_enabled();
    its.log[its.n_asked % LOG].thread = self->index;
    its.log[its.n_asked % LOG].place = self->op.place;
    if (++its.n_asked > MAX_ASKED)
        cd_fail("the schedule does not end");
    int next = next_of(self, mask);
    note(mask);
    note((uint64_t)self->index << 40 | (uint64_t)self->op.kind << 32 | (uint64_t)(uint32_t)self->op.place.line);
    note((uint64_t)next << 40 | its.left);
    return next;
}

static int choose(int n) { return (int)draw((uint64_t)n); }

static void on_create(int creator, int created)
{
    (void)creator;
    its.priority[created] = draw(2) ? 1 + (int)draw(1000) : --its.lowest;
}

static void on_wake(int waker, int woken)
{
    (void)waker;
    (void)woken;
}

static void print(void)
{
    uint64_t i = its.n_asked > LOG ? its.n_asked - LOG : 0;
    fprintf(stderr, "#   (seed %llu, the last of %llu moments)\n", (unsigned long long)its.seed, (unsigned long long)its.n_asked);
    for (; i < its.n_asked; i++)
        cd_print_place(its.log[i % LOG].thread, &its.log[i % LOG].place, "");
}

void cd_prepare(void)
{
    pl_topology topology;
    mallopt(M_ARENA_MAX, 1); /* one thread at a time goes on: the others need none of their own */
    setenv("HWLOC_SYNTHETIC", "core:2 pu:1", 1);
    if (pl_topology_load(&topology))
        cd_fail("the topology cannot be loaded");
    pl_topology_free(&topology);
}

uint64_t cd_trace(void) { return its.trace; }

uint64_t cd_perturb(uint64_t seed, void (*scenario)(void))
{
    static const cd_strategy strategy = {
        .pick = pick, .goes_on = goes_on, .choose = choose, .on_create = on_create, .on_wake = on_wake, .print = print};
    its.state = its.seed = seed;
    its.is_walk = draw(2);
    its.mean = UINT64_C(1) << draw(8);
    its.left = its.n_asked = its.trace = 0;
    its.lowest = 0;
    cd_begin(&strategy);
    scenario();
    cd_end();
    return cd.n_switches;
}
