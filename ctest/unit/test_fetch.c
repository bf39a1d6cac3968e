/* test_fetch.c - regions of arrays: exactly the tiles that are missing are moved, and each region has its own order, content and
 * failures. */
#include "placed_fixture.h"

enum { N = 1000 };

typedef struct region_task {
    const parla_range *region;
    int mode, value;
    _Atomic int n_wrong;
} region_task;

static uint64_t bytes_between(parla_runtime *rt, int from, int to)
{
    parla_link_info info = {.size = sizeof info};
    T_OK(parla_link_query(rt, from, to, &info));
    return info.n_bytes;
}

/* Adds `value` to each element of the region, or sets it, or checks it. */
static int work(parla_context *context, void *arg)
{
    region_task *t = arg;
    unsigned char *bytes = bytes_of(context, 0);
    for (int64_t i = t->region->start; i < t->region->stop; i += t->region->step) {
        if (t->mode == PARLA_IN)
            atomic_fetch_add(&t->n_wrong, bytes[i] != t->value);
        else
            bytes[i] = (unsigned char)(t->mode == PARLA_OUT ? t->value : bytes[i] + t->value);
    }
    return 0;
}

static parla_task spawn_on(parla_runtime *rt, region_task *t, parla_demand demand, parla_data *data, parla_body body)
{
    parla_task task;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    const parla_choice choice = {&demand, 1};
    const parla_access access = {.data = data, .mode = t->mode, .region = t->region};
    options.body = body;
    options.arg = t;
    options.name = "region";
    options.choices = &choice;
    options.n_choices = 1;
    options.accesses = &access;
    options.n_accesses = 1;
    T_OK(parla_task_create(rt, &task, "region"));
    options.task = task;
    T_OK(parla_task_spawn(rt, NULL, &options));
    return task;
}

static void run_on(parla_runtime *rt, region_task *t, parla_demand demand, parla_data *data)
{
    T_OK(finish(rt, spawn_on(rt, t, demand, data, work)));
    T_EQ(atomic_load(&t->n_wrong), 0);
}

T_TEST(only_the_missing_tiles_are_moved)
{
    unsigned char memory[N] = {0};
    const parla_range a = {100, 300, 1}, b = {200, 500, 1}, evens = {0, N, 2}, all = {0, N, 1};
    parla_runtime *rt = start("sim:1");
    parla_data *data = make_array("x", memory, N);
    region_task read = {.region = &a, .mode = PARLA_IN};
    run_on(rt, &read, on_gpu(0), data);
    T_EQ(bytes_between(rt, 0, 1), 200);
    read.region = &b;
    run_on(rt, &read, on_gpu(0), data);
    T_EQ(bytes_between(rt, 0, 1), 400);
    T_EQ(copies_between(rt, 0, 1), 2);
    read.region = &evens;
    run_on(rt, &read, on_gpu(0), data);
    T_EQ(bytes_between(rt, 0, 1), 400 + 300);
    read.region = &all;
    run_on(rt, &read, on_gpu(0), data);
    T_EQ(bytes_between(rt, 0, 1), N);
    run_on(rt, &read, on_gpu(0), data);
    T_EQ(bytes_between(rt, 0, 1), N);
    T_EQ(info_of(data).valid_mask, 3);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

T_TEST(an_overwritten_region_is_not_fetched)
{
    unsigned char memory[N] = {0};
    const parla_range odds = {1, N, 2}, all = {0, N, 1}, head = {0, 10, 1};
    parla_runtime *rt = start("sim:2");
    parla_data *data = make_array("x", memory, N);
    region_task out = {.region = &odds, .mode = PARLA_OUT, .value = 7}, read = {.region = &odds, .mode = PARLA_IN, .value = 7};
    run_on(rt, &out, on_gpu(0), data);
    T_EQ(bytes_between(rt, 0, 1), 0);
    T_EQ(info_of(data).valid_mask, 0); /* neither has all of it */
    run_on(rt, &read, on_gpu(1), data);
    T_EQ(bytes_between(rt, 1, 2), N / 2);
    T_EQ(bytes_between(rt, 0, 2), 0);
    region_task update = {.region = &all, .mode = PARLA_INOUT, .value = 1};
    run_on(rt, &update, on_gpu(1), data);
    T_EQ(bytes_between(rt, 0, 2), N / 2);
    T_EQ(info_of(data).i_owner, 2);
    region_task check = {.region = &head, .mode = PARLA_IN};
    check.region = &odds;
    check.value = 8;
    run_on(rt, &check, on_cpu(), data);
    T_EQ(bytes_between(rt, 2, 0), N / 2);
    T_EQ(host_byte(rt, data), 1);
    T_EQ(bytes_between(rt, 2, 0), N);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

static int meet_at_gate(parla_context *context, void *arg)
{
    region_task *t = arg;
    static gate both[2] = {GATE_INIT, GATE_INIT};
    gate_open(&both[t->value]);
    gate_pass(&both[1 - t->value]);
    return work(context, arg);
}

/* Each waits in its body until the other has begun. */
T_TEST(writers_of_regions_apart_run_at_once)
{
    unsigned char memory[N] = {0};
    const parla_range evens = {0, N, 2}, odds = {1, N, 2};
    parla_runtime *rt = start("sim:2");
    parla_data *data = make_array("x", memory, N);
    region_task t[2] = {{.region = &evens, .mode = PARLA_INOUT, .value = 0}, {.region = &odds, .mode = PARLA_INOUT, .value = 1}};
    parla_task first = spawn_on(rt, &t[0], on_gpu(0), data, meet_at_gate);
    parla_task second = spawn_on(rt, &t[1], on_gpu(1), data, meet_at_gate);
    T_OK(finish(rt, first));
    T_OK(finish(rt, second));
    region_task check = {.region = &odds, .mode = PARLA_IN, .value = 1};
    run_on(rt, &check, on_cpu(), data);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

static int fail_region(parla_context *context, void *arg)
{
    (void)arg;
    return parla_fail(context, PARLA_E_USER, "this part failed");
}

T_TEST(a_failure_spoils_its_region_only)
{
    unsigned char memory[N] = {0};
    const parla_range bad = {100, 200, 1}, good = {200, 300, 1}, across = {150, 250, 1}, inside = {120, 130, 1};
    parla_runtime *rt = start("sim:1");
    parla_data *data = make_array("x", memory, N);
    region_task t = {.region = &bad, .mode = PARLA_INOUT, .value = 1};
    T_EQ(finish(rt, spawn_on(rt, &t, on_gpu(0), data, fail_region)), PARLA_E_USER);
    region_task read_good = {.region = &good, .mode = PARLA_IN}, read_across = {.region = &across, .mode = PARLA_IN};
    run_on(rt, &read_good, on_gpu(0), data);
    T_EQ(finish(rt, spawn_on(rt, &read_across, on_cpu(), data, work)), PARLA_E_CANCELLED);
    T_HAS_STR(parla_error_detail(), "this part failed");
    region_task cure = {.region = &inside, .mode = PARLA_OUT, .value = 3},
                read_inside = {.region = &inside, .mode = PARLA_IN, .value = 3};
    run_on(rt, &cure, on_cpu(), data);
    run_on(rt, &read_inside, on_gpu(0), data);
    T_EQ(finish(rt, spawn_on(rt, &read_across, on_cpu(), data, work)), PARLA_E_CANCELLED);
    parla_instance here;
    T_EQ(parla_data_acquire(rt, data, PARLA_IN, PARLA_FOREVER, &here), PARLA_E_CANCELLED);
    parla_runtime_destroy(rt);
    T_EQ(parla_data_acquire(NULL, data, PARLA_IN, PARLA_FOREVER, &here), PARLA_E_STATE); /* part of it is lost */
    parla_data_unref(data);
}

T_TEST(parts_may_be_written_before_the_whole_is_read)
{
    const parla_range head = {0, 10, 1}, tail = {990, N, 1};
    parla_runtime *rt = start("sim:2");
    parla_data *data = make_array("x", NULL, N);
    region_task out = {.region = &head, .mode = PARLA_OUT, .value = 4}, read = {.region = &tail, .mode = PARLA_IN};
    parla_task task;
    run_on(rt, &out, on_gpu(0), data);
    const parla_access access = {.data = data, .mode = PARLA_IN, .region = &tail};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = work;
    options.arg = &read;
    options.accesses = &access;
    options.n_accesses = 1;
    T_EQ(parla_task_spawn(rt, &task, &options), PARLA_E_STATE); /* nothing was ever written there */
    T_EQ(host_byte(rt, data), 4);
    T_EQ(bytes_between(rt, 1, 0), 10);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

/* A copy whose source lies on two devices: the rest comes to the one that has most of it. */
T_TEST(a_source_in_pieces_is_put_together)
{
    unsigned char memory[N] = {0}, target[N] = {0};
    const parla_range head = {0, 600, 1}, rest = {600, N, 1};
    parla_runtime *rt = start("sim:3");
    parla_data *src = make_array("src", memory, N), *dst = make_array("dst", target, N);
    region_task a = {.region = &head, .mode = PARLA_OUT, .value = 1}, b = {.region = &rest, .mode = PARLA_OUT, .value = 2};
    run_on(rt, &a, on_gpu(0), src);
    run_on(rt, &b, on_gpu(1), src);
    parla_task task;
    T_OK(parla_data_copy(rt, &task, dst, NULL, src, NULL, 3));
    T_OK(parla_task_wait(rt, &task, 1, PARLA_FOREVER));
    T_EQ(bytes_between(rt, 2, 1), 400);
    T_EQ(bytes_between(rt, 1, 3), N);
    region_task check = {.region = &rest, .mode = PARLA_IN, .value = 2};
    run_on(rt, &check, on_cpu(), dst);
    check = (region_task){.region = &head, .mode = PARLA_IN, .value = 1};
    run_on(rt, &check, on_cpu(), dst);
    parla_data_unref(src);
    parla_data_unref(dst);
    parla_runtime_destroy(rt);
}

T_TEST(only_what_is_nowhere_else_is_written_back)
{
    enum { KIB = 1024 };
    static unsigned char memory[40 * KIB], other_memory[40 * KIB];
    const parla_range part = {KIB, 3 * KIB, 1}, all = {0, 40 * KIB, 1};
    parla_runtime *rt = start("sim:1,mem=64KiB");
    parla_data *data = make_array("x", memory, sizeof memory), *other = make_array("y", other_memory, sizeof other_memory);
    region_task read = {.region = &all, .mode = PARLA_IN}, update = {.region = &part, .mode = PARLA_INOUT, .value = 5};
    run_on(rt, &read, on_gpu(0), data);
    run_on(rt, &update, on_gpu(0), data);
    run_on(rt, &read, on_gpu(0), other); /* needs its room */
    T_EQ(bytes_between(rt, 1, 0), 2 * KIB);
    T_EQ(info_of(data).i_owner, 0);
    T_EQ(memory[KIB], 5);
    parla_data_unref(data);
    parla_data_unref(other);
    parla_runtime_destroy(rt);
}

static int fill_halves(parla_context *context, void *arg)
{
    const parla_range *halves = arg;
    for (size_t k = 0; k < 2; k++) {
        unsigned char *bytes = bytes_of(context, k);
        for (int64_t i = halves[k].start; i < halves[k].stop; i++)
            bytes[i] = (unsigned char)(k + 1);
    }
    return 0;
}

T_TEST(members_of_a_gang_write_their_parts)
{
    unsigned char memory[N] = {0};
    parla_range halves[2] = {{0, 500, 1}, {500, N, 1}};
    const parla_demand members[2] = {on_gpu(0), on_gpu(1)};
    const parla_choice gang = {members, 2};
    parla_runtime *rt = start("sim:2");
    parla_data *data = make_array("x", memory, N);
    parla_access accesses[2] = {{data, PARLA_OUT, 0, &halves[0]}, {data, PARLA_OUT, 1, &halves[1]}};
    parla_task task;
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = fill_halves;
    options.arg = halves;
    options.choices = &gang;
    options.n_choices = 1;
    options.accesses = accesses;
    options.n_accesses = 2;
    T_OK(parla_task_spawn(rt, &task, &options));
    T_OK(parla_task_wait(rt, &task, 1, PARLA_FOREVER));
    region_task check = {.region = &halves[1], .mode = PARLA_IN, .value = 2};
    run_on(rt, &check, on_cpu(), data);
    T_EQ(bytes_between(rt, 1, 0), 0);
    T_EQ(bytes_between(rt, 2, 0), 500);
    halves[1].start = 499;
    T_EQ(parla_task_spawn(rt, &task, &options), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "written on member 0");
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

/* More regions than tiles: the order is coarser, what is read stays right. */
T_TEST(too_many_regions)
{
    enum { LARGE = 20000 };
    static unsigned char memory[LARGE];
    static region_task tasks[LARGE / 2];
    static parla_range regions[LARGE / 2];
    gate closed = GATE_INIT;
    parla_runtime *rt = start("sim:2");
    parla_data *data = make_array("x", memory, LARGE);
    parla_task first = spawn(rt, pass_gate, &closed, on_cpu(), data, PARLA_IN);
    for (int i = 0; i < LARGE / 2; i++) {
        regions[i] = (parla_range){2 * i, 2 * i + 1, 1};
        tasks[i] = (region_task){.region = &regions[i], .mode = i % 2 ? PARLA_OUT : PARLA_INOUT, .value = 1 + i % 2};
        parla_task_unref(spawn_on(rt, &tasks[i], on_gpu(i % 2), data, work));
    }
    gate_open(&closed);
    T_OK(finish(rt, first));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(host_byte(rt, data), 1);
    for (int i = 0; i < LARGE; i++)
        T_EQ(memory[i], i % 2 ? 0 : 1 + i / 2 % 2);
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

/* A device that has some array alone or together with others reads it once more. */
static void read_on_gpu(parla_runtime *rt, int number, parla_data *first, parla_data *second)
{
    const parla_demand demand = on_gpu(number);
    const parla_choice choice = {&demand, 1};
    const parla_access accesses[] = {{.data = first, .mode = PARLA_IN}, {.data = second, .mode = PARLA_IN}};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = do_nothing;
    options.choices = &choice;
    options.n_choices = 1;
    options.accesses = accesses;
    options.n_accesses = second ? 2 : 1;
    T_OK(parla_task_spawn(rt, NULL, &options));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
}

/* In modelled time: by the link; and from the slow one when the fast one's device sends something long already. */
T_TEST(copies_come_over_the_link_that_is_fastest_now)
{
    enum { SMALL = 100000, LARGE = 10000000 };
    unsigned char value = 1;
    parla_runtime *rt = start("sim:1,link=1GB/s,time=virtual,sim:1,link=4GB/s,time=virtual,sim:1,link=50GB/s,time=virtual");
    parla_data *first = make_array("first", NULL, SMALL), *second = make_array("second", NULL, SMALL);
    parla_data *large = make_array("large", NULL, LARGE);
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_gpu(0), first, PARLA_OUT)));
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_gpu(0), second, PARLA_OUT)));
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_gpu(1), large, PARLA_OUT)));
    read_on_gpu(rt, 1, first, second);
    T_EQ(bytes_between(rt, 1, 2), 2 * SMALL);
    read_on_gpu(rt, 2, first, NULL);
    T_EQ(bytes_between(rt, 1, 3), 0);
    T_EQ(bytes_between(rt, 2, 3), SMALL);
    read_on_gpu(rt, 2, large, second);
    T_EQ(bytes_between(rt, 2, 3), SMALL + LARGE);
    T_EQ(bytes_between(rt, 1, 3), SMALL);
    parla_data_unref(first);
    parla_data_unref(second);
    parla_data_unref(large);
    parla_runtime_destroy(rt);
}
