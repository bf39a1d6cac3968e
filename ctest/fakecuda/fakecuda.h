/* fakecuda.h - a CUDA driver in host memory, for tests: a libcuda.so.1 that does what it is asked, in order, asynchronously, and judges
 * how it is asked.
 *
 * It has two cards, or as many as CUDA_VISIBLE_DEVICES lists. Streams are threads; the default streams (handles 1 and 2) are one more.
 * It runs no PTX: a module "has" the kernels of kernels.c, whatever its text says. What it finds wrong is printed when the process ends,
 * which then exits with status 97:
 *
 *   contexts   a call without a current context, or on a handle of another context than the current one
 *   handles    a stream, event, pool or context that was destroyed, or never made; what is still alive at exit
 *   memory     an address outside of any allocation, after it was given back, or before it is there in the order of streams
 *   order      two accesses to the same bytes, one of them a write, that nothing orders: neither a stream, nor an event that was waited
 *              for, nor a look of the host at an event. Found from the calls alone, whether or not they happen to collide
 *
 * A test reaches these functions with fakecuda() below; on a machine with a real driver that is NULL. */
#ifndef PARLA_TEST_FAKECUDA_H
#define PARLA_TEST_FAKECUDA_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKECUDA_EXIT 97

typedef struct fakecuda_api {
    /* The n-th call of a function from now (1 is the next) does nothing and returns the code. */
    void (*fail_call)(const char *function, int64_t n, int code);
    /* The n-th piece of work (copy, fill, kernel) from now fails, and with it, from then on, all calls and all work of its context. */
    void (*fail_work)(int64_t n, int code);
    /* Streams stop before their next piece of work, and go on. */
    void (*pause)(bool is_paused);
    /* Each piece of work takes at least this long. */
    void (*delay)(int64_t us);
    /* How often a function was called. */
    uint64_t (*n_calls)(const char *function);
    /* What was found wrong so far; forget() makes it 0 again, for tests that do wrong on purpose. */
    int (*n_wrong)(void);
    const char *(*last_wrong)(void);
    void (*forget)(void);
    /* How many copies had host memory that is not page-locked: those stage inside of a real driver, and may block who asks for them. */
    uint64_t (*n_pageable)(void);
} fakecuda_api;

/* NULL unless the process's CUDA driver is this one. */
static inline const fakecuda_api *fakecuda(void)
{
    const fakecuda_api *(*get)(void) = NULL;
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library)
        *(void **)&get = dlsym(library, "fakecuda_get");
    return get ? get() : NULL;
}

/* What it has found wrong so far; 0 on a real driver, which does not judge. */
static inline int fakecuda_n_wrong(void)
{
    const fakecuda_api *fake = fakecuda();
    return fake ? fake->n_wrong() : 0;
}

#endif
