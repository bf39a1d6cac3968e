/* test_devices.c - simulated devices that fail: each allocation and each copy of a program in turn. The program uses regions of more
 * arrays than the devices can hold, on single devices and on gangs. Whatever fails: tasks end, failed or cancelled ones spoil only what
 * they were to write, everything else is right to the last bit, and nothing stays reserved or pinned. */
#include "placed_fixture.h"

#include <stdio.h>

enum { N_ARRAYS = 8, N_ITEMS = 1000, N_ROUNDS = 3, N_STEPS = 3 * N_ARRAYS * N_ROUNDS, N_GPUS = 2 };

typedef struct program {
    parla_runtime *rt;
    parla_data *data[N_ARRAYS];
    unsigned char memory[N_ARRAYS][N_ITEMS], model[N_ARRAYS][N_ITEMS];
    bool is_spoilt[N_ARRAYS][N_ITEMS];
    int n_failed;
} program;

/* Adds 1 to each element of a region, and, of a gang, to those of a second one. */
typedef struct step {
    int i_array[2], n_arrays;
    parla_range region[2];
    int status;
} step;

static int work(parla_context *context, void *arg)
{
    const step *s = arg;
    for (int k = 0; k < s->n_arrays; k++) {
        unsigned char *bytes = bytes_of(context, (size_t)k);
        for (int64_t i = s->region[k].start; i < s->region[k].stop; i += s->region[k].step)
            bytes[i]++;
    }
    return 0;
}

static void note_end(void *arg, const parla_outcome *outcome) { ((step *)arg)->status = outcome->status; }

static void spawn_step(program *p, step *s, int i)
{
    static const parla_range regions[] = {{0, 600, 1}, {1, N_ITEMS, 2}, {300, N_ITEMS, 3}, {0, N_ITEMS, 1}};
    const parla_demand members[2] = {on_gpu(i % N_GPUS), on_gpu((i + 1) % N_GPUS)}, cpu = on_cpu();
    parla_access accesses[2];
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    s->n_arrays = i % 5 == 4 ? 2 : 1;
    const parla_choice choice = {i % 7 == 6 && s->n_arrays == 1 ? &cpu : members, (size_t)s->n_arrays};
    for (int k = 0; k < s->n_arrays; k++) {
        s->i_array[k] = (i + k) % N_ARRAYS;
        s->region[k] = regions[(i / N_ARRAYS + k) % 4];
        accesses[k] = (parla_access){p->data[s->i_array[k]], PARLA_INOUT, k, &s->region[k]};
    }
    options.body = work;
    options.on_end = note_end;
    options.arg = s;
    options.name = "step";
    options.choices = &choice;
    options.n_choices = 1;
    options.accesses = accesses;
    options.n_accesses = (size_t)s->n_arrays;
    T_OK(parla_task_spawn(p->rt, NULL, &options));
}

/* What the step did, in the order of spawns. */
static void replay(program *p, const step *s)
{
    bool reads_spoilt = false, is_done = s->status == 0;
    for (int k = 0; k < s->n_arrays; k++)
        for (int64_t i = s->region[k].start; i < s->region[k].stop; i += s->region[k].step)
            reads_spoilt = reads_spoilt || p->is_spoilt[s->i_array[k]][i];
    T_EQ(s->status == PARLA_E_CANCELLED, reads_spoilt);
    T_TRUE(is_done || reads_spoilt || s->status == PARLA_E_DEVICE || s->status == PARLA_E_DEVICE_MEMORY);
    p->n_failed += !is_done;
    for (int k = 0; k < s->n_arrays; k++)
        for (int64_t i = s->region[k].start; i < s->region[k].stop; i += s->region[k].step) {
            p->model[s->i_array[k]][i] = (unsigned char)(p->model[s->i_array[k]][i] + is_done);
            p->is_spoilt[s->i_array[k]][i] = !is_done;
        }
}

/* Reads the parts that are not spoilt, each in one piece. */
static void check_array(program *p, int i_array)
{
    const bool *is_spoilt = p->is_spoilt[i_array];
    for (int64_t i = 0, end; i < N_ITEMS; i = end) {
        parla_instance here;
        for (end = i; end < N_ITEMS && is_spoilt[end] == is_spoilt[i];)
            end++;
        const parla_range part = {i, end, 1};
        /* Every second element is spoilt: some of them will do. */
        if (is_spoilt[i] || (end - i == 1 && i % 50 > 1))
            continue;
        T_OK(parla_data_acquire_region(p->rt, p->data[i_array], &part, PARLA_IN, PARLA_FOREVER, &here));
        T_EQ_MEM((unsigned char *)here.box.base + i, &p->model[i_array][i], (size_t)(end - i));
        parla_data_release_region(p->data[i_array], &part, PARLA_IN);
    }
}

static bool is_at_rest(parla_runtime *rt)
{
    bool answer = true;
    for (int i = 0; i <= N_GPUS; i++)
        answer = answer && device_info(rt, i).reserved_bytes == 0 && device_info(rt, i).free_vcus == 1;
    return answer;
}

static parla_receipt run(const char *devices, int64_t fail_alloc_n, int64_t fail_copy_n, int i_gpu, int *out_n_failed)
{
    static program p;
    static step steps[N_STEPS];
    parla_receipt receipt = {.size = sizeof receipt};
    memset(&p, 0, sizeof p);
    p.rt = start(devices);
    for (int i = 0; i < N_ARRAYS; i++)
        p.data[i] = make_array("x", p.memory[i], N_ITEMS);
    T_OK(parla_sim_inject(p.rt, 1 + i_gpu, fail_alloc_n, fail_copy_n));
    for (int i = 0; i < N_STEPS; i++)
        spawn_step(&p, &steps[i], i);
    T_OK(parla_runtime_wait(p.rt, PARLA_FOREVER));
    for (int i = 0; i < N_GPUS; i++)
        T_OK(parla_sim_inject(p.rt, 1 + i, 0, 0));
    for (int i = 0; i < N_STEPS; i++)
        replay(&p, &steps[i]);
    T_OK(parla_receipt_query(p.rt, &receipt));
    for (int i = 0; i < N_ARRAYS; i++)
        check_array(&p, i);
    T_EVENTUALLY(is_at_rest(p.rt), 5000);
    for (int i = 0; i < N_ARRAYS; i++)
        parla_data_unref(p.data[i]);
    parla_runtime_destroy(p.rt);
    *out_n_failed = p.n_failed;
    return receipt;
}

/* 8,000 bytes of arrays, all used on both devices, which have 2,000 bytes each. */
T_TEST(four_times_the_memory)
{
    int n_failed;
    parla_receipt receipt = run("sim:2,mem=2000", 0, 0, 0, &n_failed);
    T_EQ(n_failed, 0);
    T_GT(receipt.n_evictions, N_ARRAYS);
    T_GT(receipt.n_bytes_for_room, 0);
}

static void fail_each(bool is_copy)
{
    static char text[64];
    for (int i_gpu = 0; i_gpu < N_GPUS; i_gpu++) {
        int n_failures = 0, n_without = 0;
        for (int64_t n = 1; n_without < 5; n++) {
            int n_failed;
            snprintf(text, sizeof text, "%s %lld fails on device %d", is_copy ? "copy" : "allocation", (long long)n, 1 + i_gpu);
            t_phase(text);
            (void)run("sim:2,mem=2000", is_copy ? 0 : n, is_copy ? n : 0, i_gpu, &n_failed);
            n_failures += n_failed;
            n_without = n_failed || (!is_copy && n < N_STEPS / 2) ? 0 : n_without + 1; /* a refused allocation may be got over */
        }
        if (is_copy)
            T_GT(n_failures, 10);
    }
}

T_TEST_TIMEOUT(each_allocation_fails, 200) { fail_each(false); }
T_TEST_TIMEOUT(each_copy_fails, 200) { fail_each(true); }
