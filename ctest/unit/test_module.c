/* test_module.c - backends in modules of their own: opened once, and only where they are of use. The driver is the fake one or none. */
#include "base/atomic.h"
#include "device/backends.h"
#include "device/module.h"
#include "fakecuda/fakecuda.h"
#include "test.h"

#include <parla/log.h>

#include <pthread.h>
#include <stdlib.h>

static int n_lines;

static void count_lines(void *ctx, parla_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    n_lines += strstr(line, "no devices of kind cuda") != NULL;
}

T_TEST(without_a_driver_it_stays_away_and_says_so_once)
{
    if (fakecuda()) {
        setenv("CUDA_VISIBLE_DEVICES", "", 1); /* a driver without a card is no better than none */
    } else if (dlopen("libcuda.so.1", RTLD_NOW)) {
        T_SKIP("there is a driver");
    }
    parla_log_set_level(PARLA_LOG_INFO);
    parla_log_set_sink(count_lines, NULL);
    for (int i = 0; i < 3; i++)
        T_EQ_PTR(parla_backend_find("cuda"), NULL);
    T_EQ(n_lines, 1);
    T_TRUE(pl_module_reason("cuda")[0] != '\0');
    T_EQ_STR(pl_module_reason("sim"), "");
    T_EQ_PTR(pl_backend_at(2), NULL);
}

static void *find_it(void *arg)
{
    *(const parla_backend **)arg = parla_backend_find("cuda");
    return NULL;
}

T_TEST(with_a_driver_all_threads_find_one_backend)
{
    if (!fakecuda())
        T_SKIP("the fake driver is not there");
    enum { N = 8 };
    pthread_t threads[N];
    const parla_backend *found[N];
    for (int i = 0; i < N; i++)
        T_EQ(pthread_create(&threads[i], NULL, find_it, &found[i]), 0);
    for (int i = 0; i < N; i++) {
        pthread_join(threads[i], NULL);
        T_TRUE(found[i] != NULL);
        T_EQ_PTR(found[i], found[0]);
    }
    T_EQ_STR(found[0]->kind, "cuda");
    T_EQ(found[0]->probe(), 2);
    T_EQ(fakecuda()->n_calls("cuInit"), 1);
    T_EQ_STR(pl_module_reason("cuda"), "");
}

T_TEST(a_kind_without_a_module_is_not_looked_for)
{
    pl_module_open("sim");
    pl_module_open("nothing");
    pl_module_open(NULL);
    T_EQ_PTR(parla_backend_find("nothing"), NULL);
}
