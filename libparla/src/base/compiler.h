/* compiler.h - attributes that the internal sources use. */
#ifndef PL_BASE_COMPILER_H
#define PL_BASE_COMPILER_H

#include <stddef.h>

#define PL_CACHE_LINE 64
#define pl_likely(x) __builtin_expect(!!(x), 1)
#define pl_unlikely(x) __builtin_expect(!!(x), 0)
/* For a few bytes that the path of every task reads: an access without a call, from the small space that the loader keeps for such. */
#define PL_HOT_THREAD_LOCAL _Thread_local __attribute__((tls_model("initial-exec")))
#define PL_HIDDEN __attribute__((visibility("hidden"))) /* on declarations of variables: an access without a table */
#define PL_COLD __attribute__((cold, noinline))
#define PL_CONTAINER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* Broken invariants stop debug and test builds; they are never the answer to something that a user or a device did. */
#ifdef NDEBUG
#define PL_ASSERT(condition) ((void)sizeof(condition))
#else
#include <stdio.h>
#include <stdlib.h>
#define PL_ASSERT(condition)                                                                                                       \
    ((condition) ? (void)0                                                                                                         \
                 : (fprintf(stderr, "parla: broken invariant %s in %s, line %d\n", #condition, __FILE__, __LINE__), abort()))
#endif

static inline void pl_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
