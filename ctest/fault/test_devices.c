/* test_devices.c - simulated devices that fail: each allocation and each copy of a program in turn. The program uses regions of more
 * arrays than the devices can hold, on single devices and on gangs. Whatever fails: tasks end, failed or cancelled ones say why and spoil
 * only what they were to write, everything else is right to the last bit, nothing stays reserved or pinned, and what was spoilt can be
 * written again. */
#include "../unit/accounts.h"
#include "base/atomic.h"
#include "base/error.h"
#include "device/backends.h"
#include "placed_fixture.h"

#include <stdio.h>

enum { N_ARRAYS = 8, N_ITEMS = 1000, N_ROUNDS = 3, N_STEPS = 3 * N_ARRAYS * N_ROUNDS, N_GPUS = 2 };

/* Devices of kind "refusing" are simulated ones; one of them refuses its n-th allocation, with is_for_ever all after it, too. */
static struct {
    void *devices[N_GPUS];
    int i_gpu;
    bool is_for_ever;
    _Atomic int64_t n_left, n_refused;
} refusal;

static parla_backend refusing;

static int refusing_open(void **out, const parla_device_spec *spec, parla_device_traits *out_traits)
{
    int rc = pl_backend_sim.open(out, spec, out_traits);
    refusal.devices[spec->ordinal] = *out;
    return rc;
}

static int refusing_alloc(void *device, void **out, size_t n_bytes)
{
    int64_t n_left = device == refusal.devices[refusal.i_gpu] ? pl_sub_acq_rel(&refusal.n_left, 1) - 1 : 1;
    if (n_left > 0 || (n_left < 0 && !refusal.is_for_ever))
        return pl_backend_sim.alloc(device, out, n_bytes);
    pl_add_acq_rel(&refusal.n_refused, 1);
    return pl_error_set(PARLA_E_DEVICE_MEMORY, "%zu bytes refused", n_bytes);
}

__attribute__((constructor)) static void register_refusing(void)
{
    refusing = pl_backend_sim;
    refusing.kind = "refusing";
    refusing.open = refusing_open;
    refusing.alloc = refusing_alloc;
    T_OK(parla_backend_register(&refusing));
}

static void refuse_from(int i_gpu, int64_t n, bool is_for_ever)
{
    refusal.i_gpu = i_gpu;
    refusal.is_for_ever = is_for_ever;
    pl_store_release(&refusal.n_left, n);
}

static void refuse_nothing(void) { pl_store_release(&refusal.n_left, INT64_MAX); }

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
    check_accounts(parla_context_runtime(context));
    for (int k = 0; k < s->n_arrays; k++) {
        unsigned char *bytes = bytes_of(context, (size_t)k);
        for (int64_t i = s->region[k].start; i < s->region[k].stop; i += s->region[k].step)
            bytes[i]++;
    }
    return 0;
}

static void note_end(void *arg, const parla_outcome *outcome)
{
    ((step *)arg)->status = outcome->status;
    if (outcome->status == PARLA_E_DEVICE_MEMORY) /* on which device, and who has its memory */
        T_HAS_STR(parla_failure_message(outcome->failure), " bytes more on gpu[");
    else if (outcome->status)
        T_TRUE(parla_failure_message(outcome->failure)[0] != '\0');
}

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

/* What was spoilt is whole again once it is overwritten, on each device. */
static void heal(program *p)
{
    unsigned char values[N_ARRAYS];
    for (int i = 0; i < N_ARRAYS; i++) {
        values[i] = (unsigned char)(100 + i);
        T_OK(finish(p->rt, spawn(p->rt, store_byte, &values[i], on_gpu(i % N_GPUS), p->data[i], PARLA_OUT)));
        T_OK(finish(p->rt, spawn(p->rt, increment, NULL, on_gpu((i + 1) % N_GPUS), p->data[i], PARLA_INOUT)));
    }
    for (int i = 0; i < N_ARRAYS; i++)
        T_EQ(host_byte(p->rt, p->data[i]), values[i] + 1);
}

static parla_receipt use(parla_runtime *rt, int *out_n_failed)
{
    static program p;
    static step steps[N_STEPS];
    parla_receipt receipt = {.size = sizeof receipt};
    memset(&p, 0, sizeof p);
    p.rt = rt;
    for (int i = 0; i < N_ARRAYS; i++)
        p.data[i] = make_array("x", p.memory[i], N_ITEMS);
    for (int i = 0; i < N_STEPS; i++)
        spawn_step(&p, &steps[i], i);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    refuse_nothing();
    for (int i = 0; i < N_GPUS; i++)
        (void)!parla_sim_inject(rt, 1 + i, 0, 0); /* only those of kind "sim" know it */
    for (int i = 0; i < N_STEPS; i++)
        replay(&p, &steps[i]);
    check_accounts(rt);
    T_OK(parla_receipt_query(rt, &receipt));
    for (int i = 0; i < N_ARRAYS; i++)
        check_array(&p, i);
    T_EVENTUALLY(is_at_rest(rt), 5000);
    heal(&p);
    for (int i = 0; i < N_ARRAYS; i++)
        parla_data_unref(p.data[i]);
    parla_runtime_destroy(rt);
    *out_n_failed = p.n_failed;
    return receipt;
}

/* 8,000 bytes of arrays, all used on both devices, which have 2,000 bytes each. */
T_TEST(four_times_the_memory)
{
    int n_failed;
    parla_receipt receipt = use(start("sim:2,mem=2000"), &n_failed);
    T_EQ(n_failed, 0);
    T_GT(receipt.n_evictions, N_ARRAYS);
    T_GT(receipt.n_bytes_for_room, 0);
}

/* Runs the program while the n-th allocation of a device is refused. Returns how many were. */
static int64_t use_refusing(int i_gpu, int64_t n, bool is_for_ever, int *out_n_failed)
{
    static char text[64];
    snprintf(text, sizeof text, "allocation %lld is refused on device %d", (long long)n, 1 + i_gpu);
    t_phase(text);
    pl_store_relaxed(&refusal.n_refused, 0);
    refuse_nothing();
    parla_runtime *rt = start("refusing:2,mem=2000");
    refuse_from(i_gpu, n, is_for_ever);
    (void)use(rt, out_n_failed);
    return pl_load_acquire(&refusal.n_refused);
}

/* Each device allocates for each array at least once, and again where it was evicted. A copy that is spare may make room in the place of
 * what was refused, so not every refusal fails a task. */
static void refuse_each(bool is_for_ever)
{
    int64_t n_refused = 0;
    int n_failed = 0;
    for (int i_gpu = 0; i_gpu < N_GPUS; i_gpu++) {
        int64_t n = 0;
        for (int n_missed = 0; n_missed < 3;) { /* how many there are depends on who is faster */
            int n_failed_now;
            int64_t refused = use_refusing(i_gpu, ++n, is_for_ever, &n_failed_now);
            T_TRUE(is_for_ever || refused <= 1);
            T_TRUE(refused > 0 || n_failed_now == 0);
            n_missed = refused > 0 ? 0 : n_missed + 1;
            n_refused += refused > 0;
            n_failed += n_failed_now;
        }
        T_GT(n, N_ARRAYS);
    }
    T_GT(n_failed, 0);
    t_count((uint64_t)n_refused, "allocations refused");
}

T_TEST_TIMEOUT(each_allocation_fails, 200) { refuse_each(false); }
T_TEST_TIMEOUT(all_allocations_fail_from_each_on, 200) { refuse_each(true); }

T_TEST_TIMEOUT(each_copy_fails, 200)
{
    static char text[64];
    int n_failures = 0;
    for (int i_gpu = 0; i_gpu < N_GPUS; i_gpu++) {
        int n_without = 0;
        for (int64_t n = 1; n_without < 5; n++) {
            int n_failed;
            snprintf(text, sizeof text, "copy %lld fails on device %d", (long long)n, 1 + i_gpu);
            t_phase(text);
            parla_runtime *rt = start("sim:2,mem=2000");
            T_OK(parla_sim_inject(rt, 1 + i_gpu, 0, n));
            (void)use(rt, &n_failed);
            n_failures += n_failed;
            n_without = n_failed ? 0 : n_without + 1;
        }
    }
    T_GT(n_failures, 10);
}
