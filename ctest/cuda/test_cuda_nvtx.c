/* test_cuda_nvtx.c - ranges of tasks reach the profiler, of NVTX 3 or 2, whichever this was built with; without one they cost nothing. */
#include "cuda_fixture.h"

#include <dlfcn.h>

T_TEST(a_body_has_a_range)
{
    setenv("NVTX_INJECTION64_PATH", "libnvToolsExt.so.1", 1); /* as a profiler does; NVTX 2 needs no word */
    card c = card_open(0);
    int (*n_open)(void), (*n_pushed)(void);
    void *nvtx = dlopen("libnvToolsExt.so.1", RTLD_NOW);
    T_TRUE(nvtx != NULL);
    *(void **)&n_open = dlsym(nvtx, "fakenvtx_n_open");
    *(void **)&n_pushed = dlsym(nvtx, "fakenvtx_n_pushed");
    T_OK(c.b->body_begin(c.device, "a task"));
    T_EQ(n_open(), 1);
    T_OK(c.b->body_begin(c.device, "another inside of it"));
    c.b->body_end(c.device);
    c.b->body_end(c.device);
    T_EQ(n_open(), 0);
    T_EQ(n_pushed(), 2);
    card_close(&c);
}

/* NVTX 3 finds no profiler, or NVTX 2 the library that counts: bodies begin and end all the same. */
T_TEST(without_a_profiler_nothing_happens)
{
    unsetenv("NVTX_INJECTION64_PATH");
    card c = card_open(0);
    T_OK(c.b->body_begin(c.device, "a task"));
    c.b->body_end(c.device);
    card_close(&c);
}
