/* block_stress.c - blocks of device memory that bodies take, keep and hand round, given back by whoever comes: by their own task, by tasks in
 * other queues, by the main thread, and after the end of the runtime. Each is used once, its bytes stay its own while it is held, and the
 * accounts are empty when all are gone. On simulated devices, and on two of one card of the fake driver. */
#include "fakecuda/fakecuda.h"
#include "placed_fixture.h"

#include <parla/native.h>
#include <pthread.h>
#include <string.h>

/* Less than a device has, however they are spread. */
enum { N_SHELVES = 64, MAX_BYTES = 4096, RESERVED_BYTES = 6000 };

typedef struct shelf {
    parla_block *block;
    size_t n_bytes;
    unsigned char mark;
} shelf;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static shelf shelves[N_SHELVES];
static _Atomic uint64_t next_seed;

/* On simulated devices a body may write its memory; on a card it queues a copy into it. */
static bool is_host_memory;
static unsigned char zeros[MAX_BYTES];

static void use(parla_context *context, const shelf *s)
{
    parla_strided dst = {
        .base = parla_block_memory(s->block), .item_bytes = 1, .ndim = 1, .extent = {(int64_t)s->n_bytes}, .stride = {1}};
    parla_strided src = dst;
    src.base = zeros;
    if (is_host_memory)
        memset(dst.base, s->mark, s->n_bytes);
    else
        T_OK(parla_context_copy(context, 0, &dst, parla_context_device(context, 0), &src, 0));
}

static void destroy(const shelf *s)
{
    if (is_host_memory && s->block && s->n_bytes > 0) {
        const unsigned char *bytes = parla_block_memory(s->block);
        T_EQ(bytes[0], s->mark);
        T_EQ(bytes[s->n_bytes - 1], s->mark);
    }
    parla_block_destroy(s->block);
}

/* Puts a block on a shelf, and takes away what was there. */
static shelf swap(t_rng *rng, shelf own)
{
    shelf *at = &shelves[t_below(rng, N_SHELVES)];
    pthread_mutex_lock(&lock);
    shelf before = *at;
    *at = own;
    pthread_mutex_unlock(&lock);
    return before;
}

static int body(parla_context *context, void *arg)
{
    t_rng rng = {t_seed() + atomic_fetch_add(&next_seed, 1)};
    (void)arg;
    for (uint64_t n = t_below(&rng, 5); n > 0; n--) {
        shelf own = {.n_bytes = t_below(&rng, MAX_BYTES), .mark = (unsigned char)t_next(&rng)};
        T_OK(parla_block_create(&own.block, context, 0, own.n_bytes));
        use(context, &own);
        if (t_below(&rng, 3) == 0) {
            destroy(&own);
        } else {
            shelf before = swap(&rng, own);
            destroy(&before);
        }
    }
    return 0;
}

static void clear_shelves(void)
{
    for (int i = 0; i < N_SHELVES; i++) {
        pthread_mutex_lock(&lock);
        shelf before = shelves[i];
        shelves[i] = (shelf){0};
        pthread_mutex_unlock(&lock);
        destroy(&before);
    }
}

static void storm(const char *devices, int n_devices, bool ends_empty)
{
    t_rng rng = {t_seed()};
    parla_runtime *rt = start_with(devices, NULL, 4);
    int64_t n_tasks = (int64_t)t_scale(3000);
    for (int64_t i = 0; i < n_tasks; i++) {
        parla_demand demand = on_gpu((int)t_below(&rng, (uint64_t)n_devices));
        demand.memory_bytes = t_below(&rng, 2) ? RESERVED_BYTES : 0;
        parla_task_unref(spawn(rt, body, NULL, demand, NULL, 0));
        if (t_below(&rng, 8) == 0) {
            shelf before = swap(&rng, (shelf){0});
            destroy(&before);
        }
    }
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    if (ends_empty) {
        clear_shelves();
        for (int i = 1; i <= n_devices; i++) {
            T_EVENTUALLY(device_info(rt, i).used_bytes == 0, 10000);
            T_EQ(device_info(rt, i).reserved_bytes, 0);
        }
    }
    parla_runtime_destroy(rt);
    clear_shelves();
}

T_TEST_TIMEOUT(simulated_devices, 120)
{
    is_host_memory = true;
    storm("sim:2,mem=1MiB", 2, true);
    storm("sim:2,mem=1MiB", 2, false);
}

T_TEST_TIMEOUT(devices_on_one_card, 120)
{
    if (!fakecuda())
        T_SKIP("not on the fake driver");
    storm("cuda:0,cuda:0,cuda:1", 3, true);
    storm("cuda:0,cuda:0,cuda:1", 3, false);
    T_EQ(fakecuda_n_wrong(), 0);
}
