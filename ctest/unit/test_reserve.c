/* test_reserve.c - memory and shares: exact accounts, eviction, waiting, and the end of hope. */
#include "accounts.h"
#include "placed_fixture.h"

enum { KIB = 1024 };

T_TEST(reservations_come_and_go)
{
    gate closed = GATE_INIT;
    parla_runtime *rt = start("sim:1,mem=64KiB");
    parla_demand demand = on_gpu(0);
    demand.memory_bytes = 10 * KIB;
    demand.vcus = 0.25;
    parla_data *data = make_array("x", NULL, 20 * KIB);
    parla_task task = spawn(rt, pass_gate, &closed, demand, data, PARLA_OUT);
    T_EVENTUALLY(device_info(rt, 1).reserved_bytes == 10 * KIB, 5000);
    T_EQ(device_info(rt, 1).used_bytes, 20 * KIB);
    T_NEAR(device_info(rt, 1).free_vcus, 0.75, 1e-12);
    gate_open(&closed);
    T_OK(finish(rt, task));
    T_EQ(device_info(rt, 1).reserved_bytes, 0);
    T_EQ(device_info(rt, 1).used_bytes, 20 * KIB);
    T_NEAR(device_info(rt, 1).free_vcus, 1, 0);
    parla_data_unref(data);
    T_EQ(device_info(rt, 1).used_bytes, 0);
    parla_runtime_destroy(rt);
}

/* More shares than there are never run at once. */
static _Atomic int n_running, most_running;

static int count_running(parla_context *context, void *arg)
{
    (void)context;
    (void)arg;
    int now = atomic_fetch_add(&n_running, 1) + 1;
    for (int most = atomic_load(&most_running); now > most && !atomic_compare_exchange_weak(&most_running, &most, now);)
        ;
    for (volatile int i = 0; i < 20000; i++)
        ;
    atomic_fetch_sub(&n_running, 1);
    return 0;
}

/* While another task goes on, which keeps the sums from being set right. */
T_TEST(what_ends_gives_back_what_it_took_and_no_more)
{
    gate first_gate = GATE_INIT, second_gate = GATE_INIT;
    parla_runtime *rt = start("sim:1,mem=10000");
    parla_demand demand = on_gpu(0);
    demand.vcus = 0.25;
    demand.memory_bytes = 1000;
    parla_task first = spawn(rt, pass_gate, &first_gate, demand, NULL, 0);
    parla_task second = spawn(rt, pass_gate, &second_gate, demand, NULL, 0);
    T_EVENTUALLY(device_info(rt, 1).free_vcus == 0.5 && device_info(rt, 1).reserved_bytes == 2000, 5000);
    gate_open(&first_gate);
    T_OK(finish(rt, first));
    T_EQ(device_info(rt, 1).reserved_bytes, 1000);
    T_EQ((int)(device_info(rt, 1).free_vcus * 100), 75);
    gate_open(&second_gate);
    T_OK(finish(rt, second));
    T_EQ(device_info(rt, 1).reserved_bytes, 0);
    T_EQ((int)(device_info(rt, 1).free_vcus * 100), 100);
    parla_runtime_destroy(rt);
}

T_TEST(shares_limit_what_runs_at_once)
{
    parla_runtime *rt = start_with("cpu", NULL, 4);
    parla_demand demand = on_cpu();
    demand.vcus = 0.4;
    for (int i = 0; i < 40; i++)
        parla_task_unref(spawn(rt, count_running, NULL, demand, NULL, 0));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_LE(atomic_load(&most_running), 2);
    T_GE(atomic_load(&most_running), 1);
    parla_runtime_destroy(rt);
}

T_TEST(what_is_elsewhere_too_is_dropped_without_a_copy)
{
    unsigned char a_memory[40 * KIB] = {1}, b_memory[40 * KIB] = {2}, seen = 0;
    parla_runtime *rt = start("sim:1,mem=64KiB");
    parla_data *a = make_array("a", a_memory, sizeof a_memory), *b = make_array("b", b_memory, sizeof b_memory);
    T_OK(finish(rt, spawn(rt, load_byte, &seen, on_gpu(0), a, PARLA_IN)));
    T_EQ(info_of(a).valid_mask, 3);
    T_OK(finish(rt, spawn(rt, load_byte, &seen, on_gpu(0), b, PARLA_IN)));
    T_EQ(seen, 2);
    T_EQ(info_of(a).valid_mask, 1);
    T_EQ(copies_between(rt, 1, 0), 0);
    parla_data_unref(a);
    parla_data_unref(b);
    parla_runtime_destroy(rt);
}

T_TEST(what_is_nowhere_else_is_written_back)
{
    unsigned char value = 5, seen = 0;
    parla_runtime *rt = start("sim:1,mem=64KiB");
    parla_data *a = make_array("a", NULL, 40 * KIB), *b = make_array("b", NULL, 40 * KIB);
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_gpu(0), a, PARLA_OUT)));
    T_EQ(info_of(a).i_owner, 1);
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_gpu(0), b, PARLA_OUT)));
    T_EQ(info_of(a).i_owner, 0);
    T_EQ(copies_between(rt, 1, 0), 1);
    T_OK(finish(rt, spawn(rt, load_byte, &seen, on_gpu(0), a, PARLA_IN)));
    T_EQ(seen, 5);
    T_EQ(host_byte(rt, b), 5);
    parla_data_unref(a);
    parla_data_unref(b);
    parla_runtime_destroy(rt);
}

T_TEST(the_least_recently_used_goes)
{
    unsigned char memory[3][30 * KIB] = {{1}, {2}, {3}}, seen = 0;
    parla_runtime *rt = start("sim:1,mem=64KiB");
    parla_data *data[3];
    for (int i = 0; i < 3; i++)
        data[i] = make_array("x", memory[i], sizeof memory[i]);
    const int uses[] = {0, 1, 0, 2};
    for (int i = 0; i < 4; i++)
        T_OK(finish(rt, spawn(rt, load_byte, &seen, on_gpu(0), data[uses[i]], PARLA_IN)));
    T_EQ(info_of(data[0]).valid_mask, 3);
    T_EQ(info_of(data[1]).valid_mask, 1);
    T_EQ(info_of(data[2]).valid_mask, 3);
    for (int i = 0; i < 3; i++)
        parla_data_unref(data[i]);
    parla_runtime_destroy(rt);
}

T_TEST(a_task_waits_for_memory_that_others_use)
{
    gate closed = GATE_INIT;
    parla_runtime *rt = start("sim:1,mem=64KiB");
    parla_demand demand = on_gpu(0);
    demand.memory_bytes = 40 * KIB;
    parla_task first = spawn(rt, pass_gate, &closed, demand, NULL, 0);
    T_EVENTUALLY(device_info(rt, 1).reserved_bytes > 0, 5000);
    parla_task second = spawn(rt, do_nothing, NULL, demand, NULL, 0);
    T_EQ(parla_task_wait(rt, &second, 1, 2000000), PARLA_E_TIMEOUT);
    T_EQ(parla_task_query(second), PARLA_TASK_READY);
    gate_open(&closed);
    T_OK(finish(rt, first));
    T_OK(finish(rt, second));
    parla_runtime_destroy(rt);
}

/* The backend refuses although the accounts say that there is room, and nothing can be evicted. */
T_TEST(a_device_that_refuses_fails_the_task)
{
    parla_runtime *rt = start("sim:1,mem=64KiB");
    parla_data *data = make_array("big", NULL, 40 * KIB);
    T_OK(parla_sim_inject(rt, 1, 1, 0));
    T_EQ(finish(rt, spawn(rt, do_nothing, NULL, on_gpu(0), data, PARLA_OUT)), PARLA_E_DEVICE_MEMORY);
    T_HAS_STR(parla_error_detail(), "gpu[0]");
    T_HAS_STR(parla_error_detail(), "40960 bytes");
    T_OK(finish(rt, spawn(rt, do_nothing, NULL, on_gpu(0), data, PARLA_OUT)));
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(a_device_that_refuses_once_is_asked_again_after_an_eviction)
{
    unsigned char memory[8 * KIB] = {1}, seen = 0;
    parla_runtime *rt = start("sim:1,mem=64KiB");
    parla_data *small = make_array("small", memory, sizeof memory), *data = make_array("x", NULL, 8 * KIB);
    T_OK(finish(rt, spawn(rt, load_byte, &seen, on_gpu(0), small, PARLA_IN)));
    T_OK(parla_sim_inject(rt, 1, 1, 0));
    T_OK(finish(rt, spawn(rt, do_nothing, NULL, on_gpu(0), data, PARLA_OUT)));
    T_EQ(info_of(small).valid_mask, 1);
    parla_data_unref(small);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

/* Room could only be made by a copy that fails: the task fails, the array that was to go stays whole. */
T_TEST(a_write_back_that_fails_loses_nothing)
{
    unsigned char value = 5;
    parla_runtime *rt = start("sim:1,mem=64KiB");
    parla_data *a = make_array("a", NULL, 40 * KIB), *b = make_array("b", NULL, 40 * KIB);
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_gpu(0), a, PARLA_OUT)));
    T_OK(parla_sim_inject(rt, 1, 0, 1));
    T_EQ(finish(rt, spawn(rt, store_byte, &value, on_gpu(0), b, PARLA_OUT)), PARLA_E_DEVICE_MEMORY);
    T_HAS_STR(parla_error_detail(), "the largest: a (40960, made at ");
    T_HAS_STR(parla_error_detail(), "placed_fixture.h:");
    T_EQ(info_of(a).i_owner, 1);
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_gpu(0), b, PARLA_OUT)));
    T_EQ(host_byte(rt, a), 5);
    parla_data_unref(a);
    parla_data_unref(b);
    parla_runtime_destroy(rt);
}

/* --- Arrays larger than a device ---------------------------------------------------------------------------------------------- */

typedef struct slice {
    parla_range range[2];
    int n; /* 2: two slices at once */
} slice;

static int increment_slices(parla_context *context, void *arg)
{
    const slice *s = arg;
    for (int k = 0; k < s->n; k++)
        for (int64_t i = s->range[k].start; i < s->range[k].stop; i += s->range[k].step)
            bytes_of(context, (size_t)k)[i]++;
    check_accounts(parla_context_runtime(context));
    return 0;
}

static int try_slices(parla_runtime *rt, parla_data *data, const slice *s)
{
    parla_access accesses[2] = {{data, PARLA_INOUT, 0, &s->range[0]}, {data, PARLA_INOUT, 0, &s->range[1]}};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    const parla_demand gpu = on_gpu(0);
    const parla_choice choice = {&gpu, 1};
    options.body = increment_slices;
    options.arg = (void *)s;
    options.name = "slices";
    options.choices = &choice;
    options.n_choices = 1;
    options.accesses = accesses;
    options.n_accesses = (size_t)s->n;
    return parla_task_spawn(rt, NULL, &options);
}

T_TEST(an_array_larger_than_a_device_is_used_by_slices)
{
    enum { N = 256 * KIB, PART = 8 * KIB, N_PARTS = N / PART };
    static unsigned char memory[N], expected[N];
    slice slices[2 * N_PARTS];
    parla_runtime *rt = start("sim:1,mem=64KiB");
    parla_data *data = make_array("large", memory, N);
    for (int i = 0; i < 2 * N_PARTS; i++) {
        int64_t begin = i % N_PARTS * PART, other = (i * 7 + 3) % N_PARTS * PART;
        slices[i] = (slice){{{begin, i >= N_PARTS ? begin + PART : begin + 5 * PART / 4, 1}, {other, other + PART, 3}}, 1 + i % 2};
        for (int k = 0; k < slices[i].n; k++) {
            slices[i].range[k].stop = slices[i].range[k].stop < N ? slices[i].range[k].stop : N;
            for (int64_t e = slices[i].range[k].start; e < slices[i].range[k].stop; e += slices[i].range[k].step)
                expected[e]++;
        }
        T_OK(try_slices(rt, data, &slices[i]));
    }
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    check_accounts(rt);
    T_GT(device_info(rt, 1).used_bytes, 0);
    parla_runtime_destroy(rt);
    T_EQ_MEM(memory, expected, N);
    parla_data_unref(data);
}

T_TEST(a_slice_that_does_not_fit_is_refused)
{
    static unsigned char memory[128 * KIB];
    parla_runtime *rt = start("sim:1,mem=64KiB");
    parla_data *data = make_array("large", memory, sizeof memory);
    const slice large = {{{0, 100 * KIB, 1}}, 1}, apart = {{{0, 40 * KIB, 1}, {64 * KIB, 100 * KIB, 1}}, 2};
    T_EQ(try_slices(rt, data, &large), PARLA_E_RESOURCES);
    T_HAS_STR(parla_error_detail(), "102400 bytes");
    T_EQ(try_slices(rt, data, &apart), PARLA_E_RESOURCES);
    T_HAS_STR(parla_error_detail(), "77824 bytes");
    parla_runtime_destroy(rt);
    parla_data_unref(data);
}

/* One instance would serve one of the slices, but is too large to stay beside the other. */
T_TEST(an_instance_that_is_larger_than_needed_makes_room)
{
    static unsigned char memory[200 * KIB];
    parla_runtime *rt = start("sim:1,mem=64KiB");
    parla_data *data = make_array("large", memory, sizeof memory);
    const slice most = {{{0, 60 * KIB, 1}}, 1}, apart = {{{0, 10 * KIB, 1}, {100 * KIB, 140 * KIB, 1}}, 2};
    T_OK(try_slices(rt, data, &most));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(device_info(rt, 1).used_bytes, 60 * KIB);
    T_OK(try_slices(rt, data, &apart));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(device_info(rt, 1).used_bytes, 50 * KIB);
    parla_runtime_destroy(rt);
    T_EQ(memory[0], 2);
    T_EQ(memory[20 * KIB], 1);
    T_EQ(memory[120 * KIB], 1);
    parla_data_unref(data);
}

T_TEST(small_arrays_are_kept_whole)
{
    static unsigned char memory[2 * KIB];
    parla_runtime *rt = start("sim:1,mem=64KiB");
    parla_data *data = make_array("small", memory, sizeof memory);
    const slice first = {{{0, 10, 1}}, 1}, second = {{{5, 900, 1}}, 1};
    T_OK(try_slices(rt, data, &first));
    T_OK(try_slices(rt, data, &second));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(device_info(rt, 1).used_bytes, sizeof memory);
    T_EQ(copies_between(rt, 1, 1), 0);
    parla_runtime_destroy(rt);
    parla_data_unref(data);
}

/* What is on the device in one instance is copied into the next inside it: each element crosses the link once. */
T_TEST(slices_that_overlap_share_what_is_there)
{
    static unsigned char memory[128 * KIB];
    parla_runtime *rt = start("sim:1,mem=64KiB");
    parla_data *data = make_array("large", memory, sizeof memory);
    slice slices[20];
    for (int i = 0; i < 20; i++) {
        slices[i] = (slice){{{KIB * i, KIB * (i + 2), 1}}, 1};
        T_OK(try_slices(rt, data, &slices[i]));
    }
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    parla_link_info link = {.size = sizeof link};
    T_OK(parla_link_query(rt, 0, 1, &link));
    T_EQ(link.n_bytes, 21 * KIB);
    T_EQ(copies_between(rt, 1, 0), 0);
    T_EQ(copies_between(rt, 1, 1), 19);
    parla_runtime_destroy(rt);
    T_EQ(memory[0], 1);
    T_EQ(memory[5 * KIB], 2);
    parla_data_unref(data);
}
