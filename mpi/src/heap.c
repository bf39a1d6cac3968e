/* heap.c - see heap.h.
 *
 *   segment   | header block | header block | ... | end
 *
 * A segment is a row of blocks without gaps. A block's header lies before it and knows the block before; the one after follows from its size.
 * Free blocks are in bins by the power of two of their size, the last freed first. The first that is large enough in its own bin is taken,
 * else the first of the next bin that has one, so what is warm is used again. Two free blocks never lie side by side.
 *
 * Segments are kept, since other ranks may have mapped them, but not their pages: when large free blocks have more than PLM_HEAP_KEPT bytes of
 * pages, these go back to the machine. The block is cold then: its addresses stay, and the next use finds fresh pages. */
#include "heap.h"

#include <parla/error.h>
#include <parla/log.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { LINE = 64, PAGE = 4096, LEAST_SEGMENT = 16 << 20, LEAST_REST = 4 * LINE, LARGE_BIN = 20, LARGE = 1 << LARGE_BIN };

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
    bool is_cold; /* free, and its whole pages are the machine's */
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

static int bin_of(size_t n_bytes) { return PLM_HEAP_BINS - 1 - __builtin_clzll(n_bytes); }

static bool is_warm(const plm_heap_block *block) { return block->n_bytes >= LARGE && !block->is_cold; }

static void make_free(plm_heap *self, plm_heap_block *block)
{
    int i = bin_of(block->n_bytes);
    block->is_free = true;
    block->previous_free = NULL;
    block->next_free = self->bins[i];
    if (self->bins[i])
        self->bins[i]->previous_free = block;
    self->bins[i] = block;
    self->filled |= UINT64_C(1) << i;
    if (is_warm(block))
        self->n_warm += block->n_bytes;
}

static void take_free(plm_heap *self, plm_heap_block *block)
{
    int i = bin_of(block->n_bytes);
    block->is_free = false;
    *(block->previous_free ? &block->previous_free->next_free : &self->bins[i]) = block->next_free;
    if (block->next_free)
        block->next_free->previous_free = block->previous_free;
    if (!self->bins[i])
        self->filled &= ~(UINT64_C(1) << i);
    if (is_warm(block))
        self->n_warm -= block->n_bytes;
}

static plm_heap_block *find_free(const plm_heap *self, size_t n_bytes)
{
    int i = bin_of(n_bytes);
    plm_heap_block *block = self->bins[i];
    while (block && block->n_bytes < n_bytes)
        block = block->next_free;
    uint64_t larger = self->filled & ~(((UINT64_C(1) << i) << 1) - 1);
    return block ? block : larger ? self->bins[__builtin_ctzll(larger)] : NULL;
}

/* Makes the end of a block a block of its own. */
static plm_heap_block *split(plm_heap_block *block, size_t n_bytes)
{
    plm_heap_block *rest = (plm_heap_block *)(void *)((char *)block + n_bytes), *after = block_after(block);
    *rest = (plm_heap_block){
        .before = block, .segment = block->segment, .n_bytes = block->n_bytes - n_bytes, .is_cold = block->is_cold};
    block->n_bytes = n_bytes;
    if (after)
        after->before = rest;
    return rest;
}

/* The second of two neighbours becomes part of the first. */
static void join(plm_heap_block *first, const plm_heap_block *second)
{
    first->is_cold = false;
    plm_heap_block *after = block_after(second);
    first->n_bytes += second->n_bytes;
    if (after)
        after->before = first;
}

/* Where the memory is not of a kind that can do without pages, it keeps them; then asking once is enough as well. */
static void cool(plm_heap_block *block)
{
    uintptr_t begin = ((uintptr_t)block + LINE + PAGE - 1) / PAGE * PAGE, end = ((uintptr_t)block + block->n_bytes) / PAGE * PAGE;
    (void)madvise((void *)begin, end - begin, MADV_REMOVE);
    block->is_cold = true;
}

static void give_pages_back(plm_heap *self)
{
    for (int i = LARGE_BIN; i < PLM_HEAP_BINS; i++)
        for (plm_heap_block *block = self->bins[i]; block; block = block->next_free)
            if (is_warm(block))
                cool(block);
    self->n_warm = 0;
}

/* --- Segments -------------------------------------------------------------------------------------------------------------------- */

static plm_heap_block *add_segment(plm_heap *self, size_t n_bytes)
{
    plm_heap_segment *segment = malloc(sizeof *segment);
    size_t wanted = n_bytes > LEAST_SEGMENT ? (n_bytes + PAGE - 1) / PAGE * PAGE : LEAST_SEGMENT;
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
    *block = (plm_heap_block){.segment = segment, .n_bytes = wanted, .is_cold = true};
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
    plm_heap_block *block = find_free(self, wanted);
    if (!block)
        block = add_segment(self, wanted);
    if (block) {
        take_free(self, block);
        if (block->n_bytes >= wanted + LEAST_REST)
            make_free(self, split(block, wanted));
        block->is_cold = false;
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
        if (block->before && block->before->is_free) {
            plm_heap_block *before = block->before;
            take_free(self, before);
            join(before, block);
            block = before;
        }
        make_free(self, block);
        if (self->n_warm > PLM_HEAP_KEPT)
            give_pages_back(self);
    }
    pthread_mutex_unlock(&self->lock);
    return found;
}
