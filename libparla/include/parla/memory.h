/* memory.h - where the memory of simulated devices comes from, for those who need it in a special place: a transport that lets other processes
 * reach it. Arrays on the host do not lie there, since they may outlive the runtime. */
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
} parla_memory_source;

PARLA_END_DECLS

#endif
