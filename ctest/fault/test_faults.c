/* test_faults.c - faults of simulated devices by their string: what fails says so, what is late is waited for, and what is done on a device
 * that is lost, after any number of operations, is lost, told, or right; the other device and the runtime go on. */
#include "../unit/accounts.h"
#include "placed_fixture.h"

#include <stdio.h>

enum { N_ARRAYS = 6, N_ROUNDS = 5, N_BYTES = 600 };

T_TEST(an_allocation_fails)
{
    unsigned char value = 3;
    parla_runtime *rt = start("sim:1,failalloc=2");
    parla_data *first = make_array("first", NULL, N_BYTES), *second = make_array("second", NULL, N_BYTES);
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_gpu(0), first, PARLA_OUT)));
    T_OK(parla_data_evict(rt, first, 1, PARLA_FOREVER));
    T_EQ(finish(rt, spawn(rt, store_byte, &value, on_gpu(0), second, PARLA_OUT)), PARLA_E_DEVICE_MEMORY);
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_gpu(0), second, PARLA_OUT)));
    T_EQ(host_byte(rt, second), 3);
    parla_data_unref(first);
    parla_data_unref(second);
    parla_runtime_destroy(rt);
}

T_TEST(a_copy_fails)
{
    unsigned char memory[N_BYTES] = {1};
    parla_runtime *rt = start("sim:1,failcopy=2");
    parla_data *data = make_array("x", memory, N_BYTES);
    T_OK(finish(rt, spawn(rt, increment, NULL, on_gpu(0), data, PARLA_INOUT)));
    T_EQ(finish(rt, spawn(rt, increment, NULL, on_cpu(), data, PARLA_INOUT)), PARLA_E_DEVICE);
    T_HAS_STR(parla_error_detail(), "copying x from gpu[0]");
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

/* In modelled time, so that nothing takes long; the body must see what came late. */
T_TEST(a_copy_is_late)
{
    unsigned char memory[N_BYTES] = {7}, seen = 0;
    parla_runtime *rt = start("sim:1,time=virtual,late=2/300ms");
    parla_data *data = make_array("x", memory, N_BYTES);
    parla_link_info link = {.size = sizeof link};
    for (int i = 0; i < 3; i++) {
        T_OK(finish(rt, spawn(rt, increment, NULL, on_cpu(), data, PARLA_INOUT)));
        T_OK(finish(rt, spawn(rt, load_byte, &seen, on_gpu(0), data, PARLA_IN)));
        T_EQ(seen, 8 + i);
        T_OK(parla_link_query(rt, 0, 1, &link));
        T_EQ(link.busy_ns >= 300000000, i > 0);
    }
    T_LE(link.busy_ns, 590000000); /* once */
    parla_data_unref(data);
    parla_runtime_destroy(rt);
}

static void note_end(void *arg, const parla_outcome *outcome) { *(int *)arg = outcome->status; }

static void spawn_increment(parla_runtime *rt, parla_data *data, int number, int *status)
{
    const parla_demand gpu = on_gpu(number);
    const parla_choice choice = {&gpu, 1};
    const parla_access access = {.data = data, .mode = PARLA_INOUT};
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = increment;
    options.on_end = note_end;
    options.arg = status;
    options.name = "step";
    options.choices = &choice;
    options.n_choices = 1;
    options.accesses = &access;
    options.n_accesses = 1;
    T_OK(parla_task_spawn(rt, NULL, &options));
}

/* Even arrays are used on the device that is lost, odd ones on the other. */
static bool check_array(parla_runtime *rt, parla_data *data, bool is_on_lost, int status)
{
    parla_instance here;
    int rc = parla_data_acquire(rt, data, PARLA_IN, PARLA_FOREVER, &here);
    T_TRUE(is_on_lost || (rc == 0 && status == 0));
    T_TRUE(status == 0 || rc < 0);
    T_TRUE(status == 0 || status == PARLA_E_DEVICE || status == PARLA_E_DEVICE_MEMORY || status == PARLA_E_CANCELLED);
    if (rc == 0) {
        T_EQ(((unsigned char *)here.box.base)[0], N_ROUNDS);
        parla_data_release(data, PARLA_IN);
    }
    return rc == 0;
}

/* A device that is lost after n operations, with room for two arrays: so there are copies in both directions. */
static int run_losing(int n)
{
    char devices[96];
    int status[N_ARRAYS], n_lost = 0;
    parla_data *data[N_ARRAYS];
    unsigned char memory[N_ARRAYS][N_BYTES] = {{0}};
    snprintf(devices, sizeof devices, "sim:1,mem=1400,lost=%d,sim:1,mem=1400", n);
    t_phase(devices);
    parla_runtime *rt = start(devices);
    for (int i = 0; i < N_ARRAYS; i++)
        data[i] = make_array("x", memory[i], N_BYTES);
    for (int k = 0; k < N_ROUNDS * N_ARRAYS; k++)
        spawn_increment(rt, data[k % N_ARRAYS], k % N_ARRAYS % 2, &status[k % N_ARRAYS]);
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    for (int i = 0; i < N_ARRAYS; i++)
        n_lost += !check_array(rt, data[i], i % 2 == 0, status[i]);
    check_accounts(rt);
    T_EVENTUALLY(device_info(rt, 1).reserved_bytes == 0 && device_info(rt, 1).free_vcus == 1, 5000);
    for (int i = 0; i < N_ARRAYS; i++)
        parla_data_unref(data[i]);
    parla_runtime_destroy(rt);
    return n_lost;
}

T_TEST_TIMEOUT(a_device_is_lost_after_any_number_of_operations, 120)
{
    int n_with_loss = 0, n = 1;
    for (int n_without = 0; n_without < 3; n++) {
        bool any = run_losing(n) > 0;
        n_with_loss += any;
        n_without = any ? 0 : n_without + 1;
    }
    T_GT(n_with_loss, 20);
    T_GT(n, n_with_loss);
}
