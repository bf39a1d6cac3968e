/* test_host_pool.c - a source of memory that arrays on the host share with a runtime, which they outlive. */
#include "device/host_pool.h"

#include "test.h"

#include <parla/data.h>
#include <parla/error.h>
#include <parla/runtime.h>

typedef struct counted_source {
    int n_held, n_out, n_given, limit;
    bool is_released_in_use;
    _Alignas(64) char memory[4][4096];
} counted_source;

static void *counted_alloc(void *ctx, size_t n_bytes)
{
    counted_source *s = ctx;
    if (n_bytes > sizeof s->memory[0] || s->n_given == s->limit)
        return NULL;
    s->n_out++;
    return s->memory[s->n_given++];
}

static bool counted_free(void *ctx, void *memory)
{
    counted_source *s = ctx;
    bool is_ours = (char *)memory >= s->memory[0] && (char *)memory < s->memory[4];
    s->n_out -= is_ours;
    return is_ours;
}

static void counted_hold(void *ctx) { ((counted_source *)ctx)->n_held++; }

static void counted_release(void *ctx)
{
    counted_source *s = ctx;
    s->n_held--;
    s->is_released_in_use = s->n_out > 0;
}

static parla_memory_source describe(counted_source *s)
{
    return (parla_memory_source){sizeof(parla_memory_source), s, counted_alloc, counted_free, counted_hold, counted_release};
}

T_TEST(the_last_reference_lets_go)
{
    static counted_source s = {.limit = 1};
    parla_memory_source source = describe(&s);
    pl_host_pool *pool;
    T_OK(pl_host_pool_create(&pool, &source));
    T_EQ(s.n_held, 1);
    void *memory = pl_host_pool_alloc(pool, 100);
    T_TRUE(memory == s.memory[0]);
    T_TRUE(pl_host_pool_alloc(pool, 100) == NULL);
    pl_host_pool_unref(pool);
    T_EQ(s.n_held, 1);
    pl_host_pool_free(pool, memory);
    T_EQ(s.n_held, 0);
    T_EQ(s.n_out, 0);
    pl_host_pool_unref(NULL);
}

/* An array of its own memory, which no runtime has seen. */
static parla_data *write_array(char value)
{
    parla_data_options options = PARLA_DATA_OPTIONS_INIT;
    parla_data *data;
    parla_instance host;
    options.host = (parla_strided){.item_bytes = 1, .ndim = 1, .extent = {1000}};
    T_OK(parla_data_create(&data, &options));
    T_OK(parla_data_acquire(NULL, data, PARLA_OUT, PARLA_FOREVER, &host));
    memset(host.box.base, value, 1000);
    parla_data_release(data, PARLA_OUT);
    return data;
}

/* An array that tasks made lies in the source, keeps its content after the runtime's end, and lets go of the source with its own. */
T_TEST(arrays_outlive_their_runtime)
{
    static counted_source s = {.limit = 1};
    parla_memory_source source = describe(&s);
    parla_options options = PARLA_OPTIONS_INIT;
    parla_data_options made = PARLA_DATA_OPTIONS_INIT;
    parla_runtime *rt;
    parla_data *inside, *outside, *plain = write_array(1);
    parla_task copies[2];
    parla_instance host;
    options.n_workers = 1;
    options.memory = &source;
    T_OK(parla_runtime_create(&rt, &options));
    made.host = (parla_strided){.item_bytes = 1, .ndim = 1, .extent = {1000}};
    T_OK(parla_data_create(&inside, &made));
    T_OK(parla_data_create(&outside, &made));
    T_OK(parla_data_copy(rt, &copies[0], inside, NULL, plain, NULL, 0));
    T_OK(parla_task_wait(rt, copies, 1, PARLA_FOREVER));
    T_OK(parla_data_copy(rt, &copies[1], outside, NULL, plain, NULL, 0)); /* for which there is no room */
    T_OK(parla_task_wait(rt, copies, 2, PARLA_FOREVER));
    parla_data_unref(plain);
    parla_data_unref(outside);
    T_EQ(s.n_out, 1);
    parla_runtime_destroy(rt);
    T_EQ(s.n_held, 1);
    T_OK(parla_data_acquire(NULL, inside, PARLA_IN, PARLA_FOREVER, &host));
    T_TRUE(host.box.base == s.memory[0]);
    T_EQ(((char *)host.box.base)[999], 1);
    parla_data_release(inside, PARLA_IN);
    parla_data_unref(inside);
    T_EQ(s.n_out, 0);
    T_EQ(s.n_held, 0);
    T_FALSE(s.is_released_in_use);
}

/* Where nobody outlives it, the runtime's end is the source's; a source that cannot be held is for devices only. */
T_TEST(a_runtime_alone)
{
    static counted_source s = {.limit = 4};
    parla_memory_source source = describe(&s);
    parla_options options = PARLA_OPTIONS_INIT;
    parla_runtime *rt;
    options.n_workers = 1;
    options.memory = &source;
    T_OK(parla_runtime_create(&rt, &options));
    T_EQ(s.n_held, 1);
    parla_runtime_destroy(rt);
    T_EQ(s.n_held, 0);
    source.hold = NULL;
    T_EQ(parla_runtime_create(&rt, &options), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "both or neither");
}
