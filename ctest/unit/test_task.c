/* test_task.c - task objects without a scheduler: handles, references, and the edges between tasks. */
#include "task/failure.h"
#include "task/task.h"
#include "test.h"

#include <parla/error.h>
#include <stdlib.h>

static pl_slabs slabs;
static pl_slab_cache cache;

static void open_slabs(void)
{
    T_OK(pl_slabs_init(&slabs, (parla_runtime *)&slabs));
    memset(&cache, 0, sizeof cache);
}

static pl_task *make(void)
{
    pl_task *task = pl_task_alloc(&slabs, &cache);
    T_TRUE(task != NULL);
    return task;
}

static void drop(pl_task *task)
{
    T_TRUE(pl_task_unref(task));
    T_EQ_PTR(pl_task_recycle(&slabs, &cache, task), NULL);
}

/* Ends a task the way pl_end does, without a scheduler: lowers `pending` of each successor. Returns how many edges it had. */
static int end(pl_task *task, uint32_t how)
{
    int n = 0;
    uint32_t edge = pl_task_close(task, how);
    while (edge != PL_HEAD_NONE) {
        pl_task *owner = pl_edge_owner(&slabs, edge, &edge);
        pl_sub_acq_rel(&owner->pending_shared, 1);
        n++;
    }
    return n;
}

T_TEST(a_fresh_task)
{
    open_slabs();
    pl_task *task = make();
    parla_task handle = pl_task_handle(task);
    T_EQ(handle.generation, 1); /* never 0, which would be PARLA_TASK_NONE's */
    T_EQ(pl_load_relaxed(&task->refs_shared), 1);
    T_EQ((int)pl_task_state(task), PL_TASK_SPAWNING);
    T_FALSE(pl_handle_has_ended(handle));
    T_EQ_PTR(pl_task_extra_or_null(task), NULL);
    T_EQ_PTR(pl_task_failure(task), NULL);
    T_EQ_PTR(pl_task_runtime(task), slabs.rt);
    drop(task);
    pl_slabs_fini(&slabs);
}

T_TEST(a_handle_outlives_its_task)
{
    open_slabs();
    pl_task *task = make();
    parla_task old = pl_task_handle(task);
    T_TRUE(pl_task_pin(old));
    T_FALSE(pl_task_unref(task));
    drop(task);
    T_FALSE(pl_task_pin(old));
    T_TRUE(pl_handle_has_ended(old));
    T_EQ_PTR(make(), task); /* the slot lives again */
    T_TRUE(pl_handle_has_ended(old));
    T_NE(pl_task_handle(task).generation, old.generation);
    pl_task *successor = make();
    T_OK(pl_task_reserve_edges(&slabs, &cache, successor, 1));
    T_EQ(pl_task_link(&slabs, successor, old), PL_MET); /* a forgotten task reads as done */
    pl_slabs_fini(&slabs);
}

T_TEST(generations_wrap_past_zero)
{
    open_slabs();
    pl_task *task = make();
    pl_store_relaxed(&task->head_shared, UINT64_C(0xffffffff) << 32);
    drop(task);
    T_EQ_PTR(make(), task);
    T_EQ(pl_task_handle(task).generation, 1);
    pl_slabs_fini(&slabs);
}

T_TEST(moves_between_states_have_one_winner)
{
    open_slabs();
    pl_task *task = make();
    pl_store_relaxed(&task->state_shared, (uint8_t)PARLA_TASK_READY);
    T_FALSE(pl_task_move(task, PARLA_TASK_WAITING, PARLA_TASK_CANCELLED));
    T_TRUE(pl_task_move(task, PARLA_TASK_READY, PARLA_TASK_RUNNING));
    T_FALSE(pl_task_move(task, PARLA_TASK_READY, PARLA_TASK_CANCELLED));
    T_EQ(pl_task_state(task), PARLA_TASK_RUNNING);
    pl_slabs_fini(&slabs);
}

T_TEST(linking_tells_how_the_predecessor_ended)
{
    static const struct {
        uint32_t how;
        pl_link_result result;
    } cases[] = {{PL_HEAD_DONE, PL_MET}, {PL_HEAD_FAILED, PL_PREDECESSOR_FAILED}, {PL_HEAD_CANCELLED, PL_PREDECESSOR_FAILED}};
    open_slabs();
    for (size_t i = 0; i < 3; i++) {
        pl_task *before = make(), *after = make();
        T_OK(pl_task_reserve_edges(&slabs, &cache, after, 2));
        T_EQ(pl_task_link(&slabs, after, pl_task_handle(before)), PL_LINKED);
        T_EQ(end(before, cases[i].how), 1);
        T_TRUE(pl_handle_has_ended(pl_task_handle(before)));
        T_EQ(pl_task_link(&slabs, after, pl_task_handle(before)), cases[i].result);
        T_EQ(after->n_inline_shared, 1); /* what was not linked uses no edge */
        T_EQ(pl_task_failure(before) != NULL, cases[i].result == PL_PREDECESSOR_FAILED);
    }
    pl_slabs_fini(&slabs);
}

T_TEST(a_task_without_memory_for_its_failure_still_has_one)
{
    open_slabs();
    pl_task *task = make();
    end(task, PL_HEAD_FAILED);
    T_EQ(parla_failure_code(pl_task_failure(task)), PARLA_E_NOMEM);
    pl_slabs_fini(&slabs);
}

static bool note_edge(void *ctx, parla_task predecessor)
{
    ((unsigned char *)ctx)[pl_slot_number(predecessor.object)]++;
    return true;
}

/* Any number of predecessors: each edge is found again from its predecessor and from its owner, once. */
static void check_fan_in(size_t n)
{
    static pl_task *before[200];
    static unsigned char seen[4096];
    pl_task *after = make();
    T_OK(pl_task_reserve_edges(&slabs, &cache, after, n));
    pl_store_relaxed(&after->pending_shared, (int32_t)n + 1);
    for (size_t i = 0; i < n; i++) {
        before[i] = make();
        T_EQ(pl_task_link(&slabs, after, pl_task_handle(before[i])), PL_LINKED);
    }
    memset(seen, 0, sizeof seen);
    pl_task_each_edge(&slabs, after, note_edge, seen);
    for (size_t i = 0; i < n; i++)
        T_EQ(seen[pl_slot_number(before[i])], 1);
    for (size_t i = 0; i < n; i++)
        T_EQ(end(before[i], PL_HEAD_DONE), 1);
    T_EQ(pl_load_relaxed(&after->pending_shared), 1);
    drop(after);
    for (size_t i = 0; i < n; i++)
        drop(before[i]);
}

T_TEST(any_number_of_predecessors)
{
    open_slabs();
    for (size_t n = 0; n < 200; n++)
        check_fan_in(n);
    T_LE(pl_slab_count(&slabs), 2 * PL_SLOTS_PER_SLAB); /* blocks of edges come back */
    pl_slabs_fini(&slabs);
}

/* A task that waits again and again uses the edges that it has; edges that were not linked are given back at any position. */
T_TEST(edges_are_used_again)
{
    open_slabs();
    t_rng rng = {t_seed()};
    pl_task *after = make(), *done = make();
    end(done, PL_HEAD_DONE);
    for (int round = 0; round < 300; round++) {
        size_t n = t_below(&rng, 60);
        int n_linked = 0;
        pl_task *before[60];
        T_OK(pl_task_reserve_edges(&slabs, &cache, after, n));
        pl_store_relaxed(&after->pending_shared, (int32_t)n);
        for (size_t i = 0; i < n; i++) {
            bool is_open = t_below(&rng, 3) > 0;
            before[i] = is_open ? make() : NULL;
            T_EQ(pl_task_link(&slabs, after, pl_task_handle(is_open ? before[i] : done)), is_open ? PL_LINKED : PL_MET);
            n_linked += is_open;
        }
        for (size_t i = 0; i < n; i++)
            if (before[i])
                T_EQ(end(before[i], PL_HEAD_DONE), 1);
        T_EQ(pl_load_relaxed(&after->pending_shared), (int)n - n_linked);
        for (size_t i = 0; i < n; i++)
            if (before[i])
                drop(before[i]);
    }
    drop(after);
    T_EQ(pl_slab_count(&slabs), PL_SLOTS_PER_SLAB);
    pl_slabs_fini(&slabs);
}

T_TEST(the_last_reference_can_be_revived)
{
    open_slabs();
    pl_task *task = make();
    parla_task handle = pl_task_handle(task);
    T_TRUE(pl_task_unref(task));
    T_FALSE(pl_task_pin(handle));
    pl_task_revive(task);
    T_TRUE(pl_task_pin(handle));
    T_FALSE(pl_task_unref(task));
    drop(task);
    pl_slabs_fini(&slabs);
}

T_TEST(extra_is_made_once_and_freed)
{
    open_slabs();
    pl_task *task = make();
    pl_extra *extra = pl_task_extra(task);
    T_TRUE(extra != NULL);
    T_EQ_PTR(pl_task_extra(task), extra);
    pl_store_relaxed(&extra->failure_shared, pl_failure_create(PARLA_E_USER, "t", NULL, "why"));
    T_EQ_PTR(pl_task_failure(task), NULL); /* not before the end */
    end(task, PL_HEAD_FAILED);
    T_EQ_STR(parla_failure_message(pl_task_failure(task)), "why");
    drop(task);
    pl_slabs_fini(&slabs);
}
