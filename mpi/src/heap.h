/* heap.h - blocks out of few large segments, for memory that is dear to get and that other ranks have to be told of. */
#ifndef PLM_HEAP_H
#define PLM_HEAP_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct plm_heap_segment plm_heap_segment;
typedef struct plm_heap_block plm_heap_block;

enum { PLM_HEAP_BINS = 64 };

typedef struct plm_heap {
    /* Gets a segment, aligned to a page; returns 0 or an error. Segments are kept until their owner frees them, with what is in them. */
    int (*grow)(void *ctx, size_t n_bytes, void **out);
    void *ctx;
    pthread_mutex_t lock;
    plm_heap_segment *segments;
    plm_heap_block *bins[PLM_HEAP_BINS]; /* free blocks of 2^i up to 2^(i+1) bytes */
    uint64_t filled;                     /* bit i: bins[i] is not empty */
    size_t n_used;                       /* bytes that callers have */
    size_t n_warm;                       /* bytes of large free blocks that have pages */
    bool is_full;                        /* `grow` has failed, which is told once */
} plm_heap;

void plm_heap_init(plm_heap *self, int (*grow)(void *ctx, size_t n_bytes, void **out), void *ctx);
void plm_heap_fini(plm_heap *self);

#define PLM_HEAP_KEPT ((size_t)64 << 20) /* what large free blocks may keep of the machine's memory */

/* Aligned to 64 bytes; NULL if `grow` fails. From: any thread. */
void *plm_heap_alloc(plm_heap *self, size_t n_bytes);

/* False if the memory is not from here. From: any thread. */
bool plm_heap_free(plm_heap *self, void *memory);

#endif
