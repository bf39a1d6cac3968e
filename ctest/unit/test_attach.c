/* test_attach.c - arrays come to a runtime and leave it, with their content. */
#include "placed_fixture.h"

T_TEST(content_comes_home)
{
    unsigned char memory[64] = {1}, value = 9;
    parla_runtime *rt = start("sim:2");
    parla_data *given = make_array("given", memory, sizeof memory), *lazy = make_array("lazy", NULL, 64);
    T_OK(finish(rt, spawn(rt, increment, NULL, on_gpu(0), given, PARLA_INOUT)));
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_gpu(1), lazy, PARLA_OUT)));
    parla_runtime_destroy(rt);
    T_EQ(memory[0], 2);
    T_EQ(host_byte(NULL, lazy), 9);
    T_EQ(info_of(lazy).valid_mask, 1);
    parla_data_unref(given);
    parla_data_unref(lazy);
}

T_TEST(one_runtime_after_the_other)
{
    unsigned char memory[64] = {0};
    parla_data *data = make_array("x", memory, sizeof memory), *lazy = make_array("lazy", NULL, 64);
    for (int i = 0; i < 5; i++) {
        parla_runtime *rt = start(i % 2 ? "sim:1" : "sim:3");
        T_OK(finish(rt, spawn(rt, increment, NULL, on_gpu(0), data, PARLA_INOUT)));
        if (i == 0)
            T_OK(finish(rt, spawn(rt, do_nothing, NULL, on_gpu(2), lazy, PARLA_OUT)));
        T_OK(finish(rt, spawn(rt, increment, NULL, on_gpu(0), lazy, PARLA_INOUT)));
        parla_runtime_destroy(rt);
    }
    T_EQ(memory[0], 5);
    parla_data_unref(data);
    parla_data_unref(lazy);
}

T_TEST(not_two_at_once)
{
    unsigned char memory[64] = {0};
    parla_runtime *first = start("sim:1"), *second = start("sim:1");
    parla_data *data = make_array("x", memory, sizeof memory);
    parla_task task;
    T_OK(finish(first, spawn(first, increment, NULL, on_gpu(0), data, PARLA_INOUT)));
    T_EQ(try_spawn(second, &task, increment, NULL, on_gpu(0), data, PARLA_INOUT), PARLA_E_STATE);
    T_HAS_STR(parla_error_detail(), "another runtime");
    parla_runtime_destroy(first);
    T_OK(finish(second, spawn(second, increment, NULL, on_gpu(0), data, PARLA_INOUT)));
    parla_data_unref(data);
    parla_runtime_destroy(second);
    T_EQ(memory[0], 1); /* the array was gone before the second ended: nobody could ask for its content */
}

static void count_release(void *ctx) { atomic_fetch_add((_Atomic int *)ctx, 1); }

T_TEST(tasks_keep_their_arrays)
{
    unsigned char memory[64] = {0};
    gate closed = GATE_INIT;
    _Atomic int n_released = 0;
    parla_runtime *rt = start("sim:1");
    parla_data *data;
    parla_data_options options = PARLA_DATA_OPTIONS_INIT;
    options.host = (parla_strided){.base = memory, .item_bytes = 1, .ndim = 1, .extent = {64}, .stride = {1}};
    options.release = count_release;
    options.ctx = &n_released;
    T_OK(parla_data_create(&data, &options));
    parla_task first = spawn(rt, pass_gate, &closed, on_gpu(0), data, PARLA_INOUT);
    parla_task second = spawn(rt, increment, NULL, on_gpu(0), data, PARLA_INOUT);
    parla_data_unref(data);
    T_EQ(atomic_load(&n_released), 0);
    gate_open(&closed);
    T_OK(finish(rt, first));
    T_OK(finish(rt, second));
    T_EVENTUALLY(atomic_load(&n_released) == 1, 5000);
    T_EQ(device_info(rt, 1).used_bytes, 0);
    parla_runtime_destroy(rt);
}

T_TEST(a_spoilt_array_has_no_content)
{
    unsigned char memory[64] = {0};
    parla_instance here;
    parla_runtime *rt = start("sim:1");
    parla_data *data = make_array("x", memory, sizeof memory);
    T_EQ(finish(rt, spawn(rt, fail_here, NULL, on_gpu(0), data, PARLA_INOUT)), PARLA_E_USER);
    parla_runtime_destroy(rt);
    T_EQ(parla_data_acquire(NULL, data, PARLA_IN, PARLA_FOREVER, &here), PARLA_E_STATE);
    T_HAS_STR(parla_error_detail(), "the task that should have failed");
    T_OK(parla_data_acquire(NULL, data, PARLA_OUT, PARLA_FOREVER, &here));
    parla_data_release(data, PARLA_OUT);
    parla_data_unref(data);
}

T_TEST(content_that_cannot_come_home_is_told)
{
    unsigned char value = 9;
    parla_instance here;
    parla_log_set_level(PARLA_LOG_OFF);
    parla_runtime *rt = start("sim:1");
    parla_data *data = make_array("x", NULL, 64);
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_gpu(0), data, PARLA_OUT)));
    T_OK(parla_sim_inject(rt, 1, 0, 1));
    parla_runtime_destroy(rt);
    T_EQ(parla_data_acquire(NULL, data, PARLA_IN, PARLA_FOREVER, &here), PARLA_E_STATE);
    parla_data_unref(data);
}

typedef struct watcher {
    parla_data *data;
    _Atomic bool is_over;
} watcher;

static void *look(void *arg)
{
    watcher *w = arg;
    while (!atomic_load(&w->is_over))
        T_EQ(info_of(w->data).n_bytes, 64);
    return NULL;
}

/* For ThreadSanitizer. */
T_TEST(content_comes_home_while_it_is_looked_at)
{
    pthread_t thread;
    watcher w = {.data = make_array("x", NULL, 64)};
    T_EQ(pthread_create(&thread, NULL, look, &w), 0);
    for (int i = 0; i < 10; i++) {
        parla_runtime *rt = start("sim:1");
        T_OK(finish(rt, spawn(rt, do_nothing, NULL, on_gpu(0), w.data, PARLA_OUT)));
        parla_runtime_destroy(rt);
    }
    atomic_store(&w.is_over, true);
    T_EQ(pthread_join(thread, NULL), 0);
    T_EQ(info_of(w.data).valid_mask, 1);
    parla_data_unref(w.data);
}

static void *drop_it(void *arg)
{
    parla_data_unref(arg);
    return NULL;
}

/* For the sanitizers. */
T_TEST(the_last_reference_goes_while_the_runtime_ends)
{
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        parla_runtime *rt = start("cpu");
        parla_data *data = make_array("x", NULL, 64);
        T_EQ(finish(rt, spawn(rt, fail_here, NULL, on_cpu(), data, PARLA_OUT)), PARLA_E_USER);
        T_EQ(pthread_create(&thread, NULL, drop_it, data), 0);
        parla_runtime_destroy(rt);
        T_EQ(pthread_join(thread, NULL), 0);
    }
}
