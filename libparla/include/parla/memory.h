/* memory.h - where the memory of arrays on the host and on simulated devices comes from, for those who need it in a special place: a
 * transport that lets other processes reach it. */
#ifndef PARLA_MEMORY_H
#define PARLA_MEMORY_H

#include <parla/common.h>

PARLA_BEGIN_DECLS

/* Must outlive the runtime that it is given to. From: any thread; the functions must not call the library. */
typedef struct parla_memory_source {
    size_t size; /* sizeof(parla_memory_source) */
    void *ctx;   /* first argument of the functions */
    /* Aligned to 64 bytes. NULL if it has none left: then plain memory is taken. */
    void *(*alloc)(void *ctx, size_t n_bytes);
    /* Frees what `alloc` gave. False if that was not from here. */
    bool (*free)(void *ctx, void *memory);
    /* Arrays on the host may outlive the runtime: they lie here only if the source can be held. `hold` is called once as the runtime starts,
     * `release` once when it has ended and the last such array is gone; `free` works until then, `alloc` until the runtime has ended.
     * Both NULL: only arrays on simulated devices lie here. */
    void (*hold)(void *ctx);
    void (*release)(void *ctx);
} parla_memory_source;

PARLA_END_DECLS

#endif
