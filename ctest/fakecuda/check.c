/* check.c - what went wrong, which calls were made, and which of them fail on purpose. */
#include "fakecuda.h"
#include "state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_FUNCTIONS 128

typedef struct counted {
    const char *name;
    uint64_t n;
    int64_t fail_in;
    int code;
} counted;

static counted functions[MAX_FUNCTIONS];
static int64_t fail_work_in;
static int fail_work_code;
static int n_wrong;
static char last_wrong[512];

void fc_wrong(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(last_wrong, sizeof last_wrong, format, arguments);
    va_end(arguments);
    if (n_wrong++ < 20)
        fprintf(stderr, "fakecuda: %s\n", last_wrong);
}

static counted *find(const char *name)
{
    int i = 0;
    while (i < MAX_FUNCTIONS - 1 && functions[i].name && strcmp(functions[i].name, name) != 0)
        i++;
    if (!functions[i].name)
        functions[i].name = strdup(name);
    return &functions[i];
}

int fc_count_call(const char *name)
{
    counted *c = find(name);
    c->n++;
    return c->fail_in > 0 && --c->fail_in == 0 ? c->code : 0;
}

int fc_count_work(void) { return fail_work_in > 0 && --fail_work_in == 0 ? fail_work_code : 0; }

static void fail_call(const char *name, int64_t n, int code)
{
    pthread_mutex_lock(&fc_lock);
    counted *c = find(name);
    c->fail_in = n;
    c->code = code;
    pthread_mutex_unlock(&fc_lock);
}

static void fail_work(int64_t n, int code)
{
    pthread_mutex_lock(&fc_lock);
    fail_work_in = n;
    fail_work_code = code;
    pthread_mutex_unlock(&fc_lock);
}

static void set_pause(bool is_paused)
{
    pthread_mutex_lock(&fc_lock);
    fc_is_paused = is_paused;
    pthread_cond_broadcast(&fc_changed);
    pthread_mutex_unlock(&fc_lock);
}

static void set_delay(int64_t us)
{
    pthread_mutex_lock(&fc_lock);
    fc_delay_us = us;
    pthread_mutex_unlock(&fc_lock);
}

static uint64_t n_pageable;

void fc_count_pageable(void) { n_pageable++; }

static uint64_t get_n_pageable(void)
{
    pthread_mutex_lock(&fc_lock);
    uint64_t n = n_pageable;
    pthread_mutex_unlock(&fc_lock);
    return n;
}

static uint64_t get_n_calls(const char *name)
{
    pthread_mutex_lock(&fc_lock);
    uint64_t n = find(name)->n;
    pthread_mutex_unlock(&fc_lock);
    return n;
}

static int get_n_wrong(void)
{
    pthread_mutex_lock(&fc_lock);
    int n = n_wrong;
    pthread_mutex_unlock(&fc_lock);
    return n;
}

static const char *get_last_wrong(void) { return last_wrong; }

static void forget(void)
{
    pthread_mutex_lock(&fc_lock);
    n_wrong = 0;
    pthread_mutex_unlock(&fc_lock);
}

__attribute__((visibility("default"))) const fakecuda_api *fakecuda_get(void);
const fakecuda_api *fakecuda_get(void)
{
    static const fakecuda_api api = {fail_call,   fail_work,      set_pause, set_delay,     get_n_calls,
                                     get_n_wrong, get_last_wrong, forget,    get_n_pageable};
    return &api;
}

static void find_leaks(void)
{
    static const char *const names[] = {"context", "stream", "event", "pool", "module", "function"};
    for (const fc_object *object = fc_objects; object; object = object->next)
        if (object->is_alive && object->kind < FC_MODULE)
            fc_wrong("a %s is still there when the process ends", names[object->kind - FC_CONTEXT]);
    if (fc_n_allocations() > 0)
        fc_wrong("%d allocations are still there when the process ends", fc_n_allocations());
}

/* A forked child has none of the threads; it ends in its parent's name. */
static pid_t owner;
__attribute__((constructor)) static void know_owner(void) { owner = getpid(); }

__attribute__((destructor)) static void judge(void)
{
    if (getpid() != owner)
        return;
    pthread_mutex_lock(&fc_lock);
    find_leaks();
    if (n_wrong > 0) {
        fprintf(stderr, "fakecuda: the CUDA driver was used wrongly %d times\n", n_wrong);
        _exit(FAKECUDA_EXIT);
    }
    pthread_mutex_unlock(&fc_lock);
}
