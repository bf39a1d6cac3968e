/* The stream of tasks over ranks: random streams against serial execution, what is sent and what is not, where tasks run, failures. */
#include "flows.h"

#include <stdio.h>
#include <string.h>

static step fill(int block, uint64_t add)
{
    return (step){.rank = CX_OWNER, .n_uses = 1, .block = {block}, .mode = {PARLA_OUT}, .add = add};
}

static step random_step(t_rng *rng, const flows *f, uint64_t add)
{
    step s = {.rank = CX_OWNER, .n_uses = 1 + (int)t_below(rng, 3), .add = add};
    for (int u = 0; u < s.n_uses; u++) {
        static const int modes[3] = {PARLA_IN, PARLA_INOUT, PARLA_OUT};
        do {
            s.block[u] = (int)t_below(rng, (uint64_t)f->n_blocks);
        } while ((u > 0 && s.block[u] == s.block[0]) || (u > 1 && s.block[u] == s.block[1]));
        s.mode[u] = u == 0 ? PARLA_INOUT : modes[t_below(rng, 3)];
    }
    bool is_spread = false;
    for (int u = 1; u < s.n_uses; u++) {
        is_spread |= (s.mode[u] & PARLA_OUT) && f->owner[s.block[u]] != f->owner[s.block[0]];
    }
    if (is_spread || t_below(rng, 4) == 0) {
        s.rank = (int)t_below(rng, (uint64_t)f->hub.n_ranks);
    }
    return s;
}

T_TEST_TIMEOUT(random_streams_do_what_one_rank_would, 100)
{
    uint64_t n_streams = t_scale(12);
    for (uint64_t i = 0; i < n_streams; i++) {
        t_rng rng = {t_seed() + i};
        flows f;
        uint64_t want[MAX_BLOCKS * BLOCK_ITEMS], got[MAX_BLOCKS * BLOCK_ITEMS];
        flows_open(&f, 1 + (int)t_below(&rng, MAX_RANKS), 3 + (int)t_below(&rng, 4), &rng);
        enum { N_STEPS = 60 };
        step steps[MAX_BLOCKS + N_STEPS];
        for (int k = 0; k < f.n_blocks + N_STEPS; k++) {
            steps[k] = k < f.n_blocks ? fill(k, (uint64_t)k) : random_step(&rng, &f, (uint64_t)k);
            flows_spawn(&f, &steps[k], NULL);
            step_apply(&steps[k], want);
        }
        fake_wait(&f.hub);
        flows_read(&f, got);
        T_EQ_MEM(got, want, (size_t)f.n_blocks * BLOCK_ITEMS * sizeof got[0]);
        for (int r = 0; r < f.hub.n_ranks; r++) {
            cx_flow_info info = flows_info(&f, r);
            T_EQ(info.hash, flows_info(&f, 0).hash);
            T_EQ(info.n_sent, f.hub.rank[r].n_sent); /* as many as planned, not one more */
            T_EQ(info.n_sent_bytes, f.hub.rank[r].n_sent_bytes);
        }
        flows_close(&f);
    }
}

T_TEST(a_version_is_sent_once_to_each_reading_rank)
{
    flows f;
    flows_open(&f, 3, 3, NULL);
    step steps[12];
    int n = 0;
    for (int i = 0; i < 3; i++) {
        steps[n] = fill(i, 7);
        flows_spawn(&f, &steps[n++], NULL);
    }
    for (int repeat = 0; repeat < 3; repeat++) {
        for (int i = 1; i < 3; i++) { /* block 0 is read at ranks 1 and 2 */
            steps[n] = (step){CX_OWNER, 2, {i, 0, 0}, {PARLA_INOUT, PARLA_IN, 0}, 1, 0};
            T_EQ(flows_spawn(&f, &steps[n++], NULL), i);
        }
        if (repeat == 1) { /* and again after it was written */
            T_EQ(flows_info(&f, 0).n_sent, 2);
            steps[n] = fill(0, 9);
            flows_spawn(&f, &steps[n++], NULL);
        }
    }
    cx_flow_info info = flows_info(&f, 0);
    T_EQ(info.n_sent, 4);
    T_EQ(info.n_sent_bytes, 4 * BLOCK_ITEMS * sizeof(uint64_t));
    T_EQ(info.n_spawned, (uint64_t)n);
    T_EQ(info.n_foreign, 8);
    T_EQ(flows_info(&f, 1).n_received, 2);
    T_EQ(flows_info(&f, 1).n_sent, 0);
    flows_close(&f);
}

T_TEST(a_block_that_is_written_elsewhere_comes_home)
{
    flows f;
    uint64_t want[2 * BLOCK_ITEMS], got[2 * BLOCK_ITEMS];
    flows_open(&f, 2, 2, NULL);
    step steps[5] = {fill(0, 1),
                     fill(1, 2),
                     {1, 2, {0, 1, 0}, {PARLA_INOUT, PARLA_IN, 0}, 5, 0},  /* rank 1 writes block 0 */
                     {1, 2, {0, 1, 0}, {PARLA_INOUT, PARLA_IN, 0}, 6, 0},  /* again: its copy is the newest */
                     {CX_OWNER, 1, {0, 0, 0}, {PARLA_INOUT, 0, 0}, 7, 0}}; /* rank 0 goes on from there */
    for (int k = 0; k < 5; k++) {
        flows_spawn(&f, &steps[k], NULL);
        step_apply(&steps[k], want);
    }
    fake_wait(&f.hub);
    flows_read(&f, got);
    T_EQ_MEM(got, want, sizeof got);
    T_EQ(flows_info(&f, 0).n_sent, 1);
    T_EQ(flows_info(&f, 1).n_sent, 2);
    flows_close(&f);
}

T_TEST(where_a_task_runs_must_be_clear)
{
    flows f;
    int rank = -1;
    parla_data *data[2];
    flows_open(&f, 2, 2, NULL);
    cx_use both[2] = {{f.array[0], 0, PARLA_INOUT}, {f.array[0], 1, PARLA_INOUT}};
    T_EQ(cx_flow_begin(f.flow[0], CX_OWNER, both, 2, &rank, data), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "writes block 0 of rank 0 and block 1 of rank 1: say where it runs");
    both[0].mode = both[1].mode = PARLA_IN;
    T_EQ(cx_flow_begin(f.flow[0], CX_OWNER, both, 2, &rank, data), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "only reads");
    T_EQ(cx_flow_begin(f.flow[0], 2, both, 2, &rank, data), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "a task at rank 2: there are 2 ranks");
    both[0].i_block = 2;
    T_EQ(cx_flow_begin(f.flow[0], 0, both, 2, &rank, data), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "block 2 of an array of 2 blocks");
    cx_flow_info unset = {0};
    T_EQ(cx_flow_query(f.flow[0], &unset), PARLA_E_INVALID);
    T_EQ(flows_info(&f, 0).n_calls, 0); /* what is refused is no part of the stream */
    flows_close(&f);
}

/* A step fails at rank 0; what follows from it fails at rank 1 and back at rank 0, with the reason; the rest goes on. */
T_TEST(a_failure_reaches_the_ranks_that_wait_for_it)
{
    flows f;
    parla_task task[6];
    flows_open(&f, 2, 4, NULL);
    step steps[6] = {fill(0, 1),
                     fill(1, 2),
                     fill(2, 3),
                     {CX_OWNER, 1, {0, 0, 0}, {PARLA_INOUT, 0, 0}, 42, PARLA_E_SYSTEM},
                     {CX_OWNER, 2, {1, 0, 0}, {PARLA_INOUT, PARLA_IN, 0}, 5, 0},  /* at rank 1, reads what has failed */
                     {CX_OWNER, 2, {2, 1, 0}, {PARLA_INOUT, PARLA_IN, 0}, 6, 0}}; /* at rank 0, reads what followed */
    for (int k = 0; k < 6; k++) {
        flows_spawn(&f, &steps[k], &task[k]);
    }
    fake_wait(&f.hub);
    T_EQ(parla_task_query(task[3]), PARLA_TASK_FAILED);
    for (int k = 4; k < 6; k++) {
        T_EQ(parla_task_query(task[k]), PARLA_TASK_CANCELLED);
        parla_failure *failure = parla_task_failure(task[k]);
        T_TRUE(parla_failure_cause(failure) != NULL);
        T_EQ_STR(parla_failure_message(parla_failure_cause(failure)),
                 "task 'step' of rank 0 failed: the body of step 42 does not work");
        parla_failure_unref(failure);
    }
    T_GE(flows_take_failures(&f), 1);
    flows_close(&f);
}

/* The owner's copy of a block is spoilt when the new version comes home from another rank: the message is taken all the same. */
T_TEST(a_message_for_a_spoilt_block_is_taken)
{
    flows f;
    flows_open(&f, 2, 2, NULL);
    step steps[4] = {fill(0, 1),
                     fill(1, 2),
                     {CX_OWNER, 1, {0, 0, 0}, {PARLA_INOUT, 0, 0}, 1, PARLA_E_SYSTEM},
                     {1, 2, {0, 1, 0}, {PARLA_OUT, PARLA_IN, 0}, 5, 0}};
    for (int k = 0; k < 4; k++) {
        flows_spawn(&f, &steps[k], NULL);
    }
    fake_wait(&f.hub);
    T_GE(flows_take_failures(&f), 1);
    flows_close(&f);
}

/* --- Assignments --- */

/* Reverses the array over the ranks: a plan in the stream, between two spawns that use the blocks. */
T_TEST(assignments_are_steps_of_the_stream)
{
    flows f, *p = &f;
    uint64_t want[4 * BLOCK_ITEMS], got[4 * BLOCK_ITEMS];
    flows_open(&f, 3, 4, NULL);
    step steps[10];
    for (int k = 0; k < 4; k++) {
        steps[k] = fill(k, (uint64_t)k);
        flows_spawn(&f, &steps[k], NULL);
        step_apply(&steps[k], want);
    }
    steps[4] = (step){CX_OWNER, 2, {1, 0, 0}, {PARLA_INOUT, PARLA_IN, 0}, 5, 0}; /* rank 1 has a copy of block 0 */
    flows_spawn(&f, &steps[4], NULL);
    step_apply(&steps[4], want);
    cx_view dst = {.layout = f.layout, .box = cx_layout_box(f.layout)}, src = dst;
    dst.box.range[0] = (parla_range){0, 2 * BLOCK_ITEMS, 1};
    src.box.range[0] = (parla_range){2 * BLOCK_ITEMS, 4 * BLOCK_ITEMS, 1};
    cx_plan *plan = NULL;
    T_OK(cx_plan_create(&plan, &dst, &src, sizeof(uint64_t)));
    for (int r = 0; r < 3; r++) {
        cx_run run = CX_RUN_INIT;
        run.dst = run.src = p->data[r];
        run.rank = r;
        T_OK(cx_flow_assign(f.flow[r], plan, f.array[r], &run));
    }
    cx_plan_unref(plan);
    memcpy(want, want + 2 * BLOCK_ITEMS, 2 * BLOCK_ITEMS * sizeof want[0]);
    steps[5] = (step){CX_OWNER, 2, {1, 0, 0}, {PARLA_INOUT, PARLA_IN, 0}, 6, 0}; /* and must get the new one */
    flows_spawn(&f, &steps[5], NULL);
    step_apply(&steps[5], want);
    fake_wait(&f.hub);
    flows_read(&f, got);
    T_EQ_MEM(got, want, sizeof got);
    for (int r = 1; r < 3; r++) {
        T_EQ(flows_info(&f, r).hash, flows_info(&f, 0).hash);
    }
    flows_close(&f);
}

T_TEST(what_is_overwritten_outside_is_sent_anew)
{
    flows f;
    flows_open(&f, 2, 2, NULL);
    step steps[4] = {fill(0, 1),
                     fill(1, 2),
                     {CX_OWNER, 2, {1, 0, 0}, {PARLA_INOUT, PARLA_IN, 0}, 5, 0},
                     {CX_OWNER, 2, {1, 0, 0}, {PARLA_INOUT, PARLA_IN, 0}, 6, 0}};
    for (int k = 0; k < 4; k++) {
        if (k == 3) {
            T_OK(cx_flow_overwrite(f.flow[0], f.array[0]));
            T_OK(cx_flow_overwrite(f.flow[1], f.array[1]));
        }
        flows_spawn(&f, &steps[k], NULL);
    }
    T_EQ(flows_info(&f, 0).n_sent, 2);
    flows_close(&f);
}
