/* heap.c - see heap.h.
 *
 *   segment   | header block | header block | ... | end
 *
 * A segment is a row of blocks without gaps. A block's header lies before it and knows the block before; the one after follows from its size.
 * Free blocks are in one list, the last freed first, and the first that is large enough is taken, so what is warm is used again. Two free
 * blocks never lie side by side. */
#include "heap.h"

#include <parla/error.h>
#include <parla/log.h>
#include <stdint.h>
#include <stdlib.h>

enum { LINE = 64, LEAST_SEGMENT = 16 << 20, LEAST_REST = 4 * LINE };

struct plm_heap_segment {
    plm_heap_segment *next;
    char *base;
    size_t n_bytes;
};

struct plm_heap_block {
    plm_heap_block *before; /* NULL: the segment's first */
    plm_heap_segment *segment;
    size_t n_bytes; /* with the header */
    bool is_free;
    plm_heap_block *next_free, *previous_free;
};

_Static_assert(sizeof(plm_heap_block) <= LINE, "a header is one line");

void plm_heap_init(plm_heap *self, int (*grow)(void *ctx, size_t n_bytes, void **out), void *ctx)
{
    *self = (plm_heap){.grow = grow, .ctx = ctx};
    pthread_mutex_init(&self->lock, NULL);
}

void plm_heap_fini(plm_heap *self)
{
    for (plm_heap_segment *segment = self->segments, *next; segment; segment = next) {
        next = segment->next;
        free(segment);
    }
    pthread_mutex_destroy(&self->lock);
}

/* --- Blocks ---------------------------------------------------------------------------------------------------------------------- */

static plm_heap_block *block_after(const plm_heap_block *block)
{
    char *end = (char *)block + block->n_bytes;
    return end < block->segment->base + block->segment->n_bytes ? (plm_heap_block *)(void *)end : NULL;
}

static void make_free(plm_heap *self, plm_heap_block *block)
{
    block->is_free = true;
    block->previous_free = NULL;
    block->next_free = self->free_blocks;
    if (self->free_blocks)
        self->free_blocks->previous_free = block;
    self->free_blocks = block;
}

static void take_free(plm_heap *self, plm_heap_block *block)
{
    block->is_free = false;
    *(block->previous_free ? &block->previous_free->next_free : &self->free_blocks) = block->next_free;
    if (block->next_free)
        block->next_free->previous_free = block->previous_free;
}

/* Makes the end of a block a block of its own. */
static plm_heap_block *split(plm_heap_block *block, size_t n_bytes)
{
    plm_heap_block *rest = (plm_heap_block *)(void *)((char *)block + n_bytes), *after = block_after(block);
    *rest = (plm_heap_block){.before = block, .segment = block->segment, .n_bytes = block->n_bytes - n_bytes};
    block->n_bytes = n_bytes;
    if (after)
        after->before = rest;
    return rest;
}

/* The second of two neighbours becomes part of the first. */
static void join(plm_heap_block *first, const plm_heap_block *second)
{
    plm_heap_block *after = block_after(second);
    first->n_bytes += second->n_bytes;
    if (after)
        after->before = first;
}

/* --- Segments -------------------------------------------------------------------------------------------------------------------- */

static plm_heap_block *add_segment(plm_heap *self, size_t n_bytes)
{
    plm_heap_segment *segment = malloc(sizeof *segment);
    size_t wanted = n_bytes > LEAST_SEGMENT ? (n_bytes + 4095) / 4096 * 4096 : LEAST_SEGMENT;
    void *base;
    if (!segment || self->grow(self->ctx, wanted, &base)) {
        if (!self->is_full)
            parla_log(PARLA_LOG_WARN, "arrays do not get memory that other ranks reach directly, so they are copied twice: %s",
                      segment ? parla_error_detail() : "no memory");
        self->is_full = true;
        free(segment);
        return NULL;
    }
    *segment = (plm_heap_segment){.next = self->segments, .base = base, .n_bytes = wanted};
    self->segments = segment;
    plm_heap_block *block = base;
    *block = (plm_heap_block){.segment = segment, .n_bytes = wanted};
    make_free(self, block);
    return block;
}

/* --- Alloc and free -------------------------------------------------------------------------------------------------------------- */

void *plm_heap_alloc(plm_heap *self, size_t n_bytes)
{
    if (n_bytes > PTRDIFF_MAX - LEAST_SEGMENT)
        return NULL;
    size_t wanted = (n_bytes + LINE - 1) / LINE * LINE + LINE;
    pthread_mutex_lock(&self->lock);
    plm_heap_block *block = self->free_blocks;
    while (block && block->n_bytes < wanted)
        block = block->next_free;
    if (!block)
        block = add_segment(self, wanted);
    if (block) {
        take_free(self, block);
        if (block->n_bytes >= wanted + LEAST_REST)
            make_free(self, split(block, wanted));
        self->n_used += block->n_bytes - LINE;
    }
    pthread_mutex_unlock(&self->lock);
    return block ? (char *)block + LINE : NULL;
}

static bool is_ours(const plm_heap *self, const char *memory)
{
    const plm_heap_segment *segment = self->segments;
    while (segment && (memory < segment->base || memory >= segment->base + segment->n_bytes))
        segment = segment->next;
    return segment != NULL;
}

bool plm_heap_free(plm_heap *self, void *memory)
{
    pthread_mutex_lock(&self->lock);
    bool found = is_ours(self, memory);
    if (found) {
        plm_heap_block *block = (plm_heap_block *)(void *)((char *)memory - LINE), *after = block_after(block);
        self->n_used -= block->n_bytes - LINE;
        if (after && after->is_free) {
            take_free(self, after);
            join(block, after);
        }
        if (block->before && block->before->is_free)
            join(block->before, block);
        else
            make_free(self, block);
    }
    pthread_mutex_unlock(&self->lock);
    return found;
}
