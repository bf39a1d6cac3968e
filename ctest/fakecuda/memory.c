/* memory.c - allocations, and who touched which bytes: the judge of order.
 *
 * Each allocation, and the host's memory as a whole, keeps the accesses that the host has not seen done yet. A new access is compared with
 * those that overlap it: unless one of the two only reads, or the older one lies in the new one's past, nothing orders them. */
#include "state.h"

#include <stdlib.h>

typedef struct touch {
    fc_box box;
    const fc_context *context;
    int stream;
    uint64_t n;
    bool is_write;
    struct touch *next;
} touch;

typedef struct allocation {
    uintptr_t base;
    size_t n_bytes;
    fc_pool *pool; /* NULL: host memory */
    int stream;    /* where it was taken … */
    uint64_t n;    /* … by this piece of work */
    bool is_given_back;
    touch *touches;
    struct allocation *next;
} allocation;

static allocation *allocations; /* also those that were given back, until their stream comes to it */
static touch *host_touches;
static int n_alive;

static uintptr_t end_of(const fc_box *b) { return b->base + (b->depth - 1) * b->plane + (b->height - 1) * b->pitch + b->width; }
static bool is_empty(const fc_box *b) { return b->width == 0 || b->height == 0 || b->depth == 0; }

/* Does some row of the box meet [begin, end)? */
static bool meets(const fc_box *b, uintptr_t begin, uintptr_t end)
{
    for (size_t z = 0; z < b->depth; z++) {
        uintptr_t base = b->base + z * b->plane;
        if (base >= end)
            return false;
        size_t y = b->pitch > 0 && begin > base + b->width ? (begin - base - b->width) / b->pitch : 0;
        for (; y < b->height && base + y * b->pitch < end; y++)
            if (base + y * b->pitch + b->width > begin)
                return true;
    }
    return false;
}

static bool overlap(const fc_box *a, const fc_box *b)
{
    if (a->base >= end_of(b) || b->base >= end_of(a))
        return false;
    for (size_t z = 0; z < a->depth; z++)
        for (size_t y = 0; y < a->height; y++) {
            uintptr_t row = a->base + z * a->plane + y * a->pitch;
            if (meets(b, row, row + a->width))
                return true;
        }
    return false;
}

static bool is_past(const fc_clock *clock, int stream, uint64_t n) { return clock->seen[stream] >= n; }

/* Forgets what the host has seen done, since all that is queued from now on comes after it, and what a lost context will not do. */
static void prune(touch **list)
{
    while (*list) {
        touch *t = *list;
        if (!t->context->lost && !is_past(&fc_host, t->stream, t->n)) {
            list = &t->next;
            continue;
        }
        *list = t->next;
        free(t);
    }
}

static bool judge(const fc_stream *stream, touch **list, const fc_box *box, bool is_write, const char *function)
{
    prune(list);
    for (const touch *t = *list; t; t = t->next)
        if ((is_write || t->is_write) && !is_past(&stream->clock, t->stream, t->n) && t->stream != stream->id &&
            overlap(&t->box, box)) {
            fc_wrong("order: %s in stream %d %s bytes at %p that stream %d %s, and nothing orders the two", function, stream->id,
                     is_write ? "writes" : "reads", (void *)box->base, t->stream, t->is_write ? "writes" : "reads");
            return false;
        }
    return true;
}

static void add(const fc_stream *stream, touch **list, const fc_box *box, bool is_write)
{
    touch *t = malloc(sizeof *t);
    *t = (touch){*box, stream->head.context, stream->id, stream->n_queued + 1, is_write, *list};
    *list = t;
}

static allocation *find(uintptr_t begin, uintptr_t end)
{
    for (allocation *a = allocations; a; a = a->next)
        if (begin >= a->base && end <= a->base + a->n_bytes)
            return a;
    return NULL;
}

int fc_card_of(uintptr_t memory)
{
    const allocation *a = find(memory, memory + 1);
    return a && a->pool && !a->is_given_back ? a->pool->card : -1;
}

bool fc_is_page_locked(uintptr_t memory)
{
    const allocation *a = find(memory, memory + 1);
    return a && !a->pool;
}

/* What is wrong with the place of an access, apart from order; true if nothing is. */
static bool judge_place(const fc_stream *stream, const allocation *a, const fc_box *box, bool on_device, int card,
                        const char *function)
{
    if (!on_device && a && a->pool)
        fc_wrong("memory: %s is told that %p is host memory, but it is a card's", function, (void *)box->base);
    else if (on_device && (!a || !a->pool))
        fc_wrong("memory: %s: %p to %p is in no allocation of a card", function, (void *)box->base, (void *)end_of(box));
    else if (on_device && card >= 0 && a->pool->card != card && !a->pool->is_reachable[card])
        fc_wrong("memory: %s on card %d touches memory of card %d, which it does not reach", function, card, a->pool->card);
    else if (on_device && a->is_given_back)
        fc_wrong("memory: %s touches %p after it was given back", function, (void *)box->base);
    else if (on_device && !is_past(&stream->clock, a->stream, a->n))
        fc_wrong("memory: %s in stream %d touches %p before it is there in the order of stream %d", function, stream->id,
                 (void *)box->base, a->stream);
    else
        return true;
    return false;
}

bool fc_access(fc_stream *stream, const fc_box *box, bool on_device, bool is_write, int card, const char *function)
{
    if (is_empty(box) || stream->head.context->lost) /* no work is done in a lost context */
        return true;
    fc_merge(&stream->clock, &fc_host);
    allocation *a = find(box->base, end_of(box));
    if (!judge_place(stream, a, box, on_device, card, function))
        return false;
    touch **list = a ? &a->touches : &host_touches;
    bool is_fine = judge(stream, list, box, is_write, function);
    add(stream, list, box, is_write);
    return is_fine;
}

static allocation *enlist(void *memory, size_t n_bytes, fc_pool *pool)
{
    allocation *a = calloc(1, sizeof *a);
    a->base = (uintptr_t)memory;
    a->n_bytes = n_bytes;
    a->pool = pool;
    a->next = allocations;
    allocations = a;
    n_alive++;
    return a;
}

static void forget(allocation *gone)
{
    allocation **at = &allocations;
    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    while (gone->touches) {
        touch *t = gone->touches;
        gone->touches = t->next;
        free(t);
    }
    free(gone);
}

void fc_forget(const void *memory)
{
    allocation *a = memory ? find((uintptr_t)memory, (uintptr_t)memory + 1) : NULL;
    if (a)
        forget(a);
}

void *fc_alloc(fc_stream *stream, fc_pool *pool, size_t n_bytes)
{
    void *memory = aligned_alloc(512, (n_bytes + 511) / 512 * 512);
    if (!memory)
        return NULL;
    allocation *a = enlist(memory, n_bytes, pool);
    fc_push(stream, &(fc_work){.kind = FC_FREE}); /* of nothing: its place in the stream */
    a->stream = stream->id;
    a->n = stream->n_queued;
    pool->n_allocated++;
    return memory;
}

bool fc_free(fc_stream *stream, uintptr_t memory)
{
    allocation *a = find(memory, memory + 1);
    if (!a || !a->pool || a->base != memory)
        return false;
    if (a->is_given_back) {
        fc_wrong("memory: %p is given back twice", (void *)memory);
        return true;
    }
    fc_box all = {memory, a->n_bytes, 1, 1, 0, 0};
    bool is_fine = fc_access(stream, &all, true, true, -1, "cuMemFreeAsync");
    fc_push(stream, &(fc_work){.kind = FC_FREE, .memory = is_fine ? (void *)memory : NULL});
    a->is_given_back = true;
    a->pool->n_allocated--;
    n_alive--;
    return true;
}

void *fc_host_alloc(size_t n_bytes)
{
    void *memory = aligned_alloc(4096, (n_bytes + 4095) / 4096 * 4096);
    if (memory)
        enlist(memory, n_bytes, NULL);
    return memory;
}

bool fc_host_free(void *memory)
{
    allocation *a = find((uintptr_t)memory, (uintptr_t)memory + 1);
    if (!a || a->pool || a->base != (uintptr_t)memory)
        return false;
    prune(&a->touches);
    if (a->touches)
        fc_wrong("memory: page-locked memory at %p is freed while work that uses it may be under way", memory);
    forget(a);
    n_alive--;
    free(memory);
    return true;
}

int fc_n_allocations(void) { return n_alive; }
