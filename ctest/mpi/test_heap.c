/* test_heap.c - blocks do not overlap, come back whole, and belong to one heap; against a list of what is allocated. */
#include "heap.h"
#include "test.h"

#include <parla/error.h>
#include <parla/log.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { MOST_SEGMENTS = 8, N_BLOCKS = 200 };

typedef struct source {
    void *segments[MOST_SEGMENTS];
    int n, limit;
} source;

static int grow(void *ctx, size_t n_bytes, void **out)
{
    source *s = ctx;
    if (s->n == s->limit || posix_memalign(out, 4096, n_bytes))
        return parla_error_set(PARLA_E_NOMEM, "no more segments");
    s->segments[s->n++] = *out;
    return 0;
}

static void drop(source *s)
{
    while (s->n > 0)
        free(s->segments[--s->n]);
}

typedef struct piece {
    unsigned char *memory;
    size_t n_bytes;
    unsigned char value;
} piece;

static void check_piece(const piece *p)
{
    for (size_t i = 0; i < p->n_bytes; i += i + 1 < p->n_bytes && i % 997 == 0 ? 1 : 1 + p->n_bytes / 50)
        T_EQ(p->memory[i], p->value);
    if (p->n_bytes > 0)
        T_EQ(p->memory[p->n_bytes - 1], p->value);
}

static void turn(plm_heap *heap, t_rng *rng, piece *p, unsigned char value)
{
    if (p->memory) {
        check_piece(p);
        T_TRUE(plm_heap_free(heap, p->memory));
        *p = (piece){NULL};
        return;
    }
    p->n_bytes = t_below(rng, t_below(rng, 10) == 0 ? 300000 : 3000);
    p->memory = plm_heap_alloc(heap, p->n_bytes);
    p->value = value;
    T_TRUE(p->memory != NULL);
    T_EQ((uintptr_t)p->memory % 64, 0);
    memset(p->memory, value, p->n_bytes);
}

T_TEST(random_blocks)
{
    source s = {.limit = MOST_SEGMENTS};
    plm_heap heap;
    piece pieces[N_BLOCKS] = {{NULL}};
    t_rng rng = {t_seed()};
    plm_heap_init(&heap, grow, &s);
    for (int i = 0; i < 20000; i++)
        turn(&heap, &rng, &pieces[t_below(&rng, N_BLOCKS)], (unsigned char)i);
    for (int i = 0; i < N_BLOCKS; i++)
        if (pieces[i].memory)
            turn(&heap, &rng, &pieces[i], 0);
    T_EQ(heap.n_used, 0);
    T_EQ(s.n, 1);                                         /* all of it fits into the first segment */
    void *whole = plm_heap_alloc(&heap, (16 << 20) - 64); /* and that is one piece again */
    T_TRUE(whole != NULL);
    T_EQ(s.n, 1);
    T_TRUE(plm_heap_free(&heap, whole));
    plm_heap_fini(&heap);
    drop(&s);
}

T_TEST(large_blocks_get_a_segment)
{
    source s = {.limit = 1};
    plm_heap heap;
    int stranger;
    plm_heap_init(&heap, grow, &s);
    void *large = plm_heap_alloc(&heap, 40 << 20), *small = plm_heap_alloc(&heap, 0);
    T_TRUE(large && small);
    memset(large, 1, 40 << 20);
    T_EQ(s.n, 1); /* the small one fits behind the large one, in its last page */
    parla_log_set_level(PARLA_LOG_OFF);
    T_TRUE(plm_heap_alloc(&heap, 20 << 20) == NULL);
    T_TRUE(heap.is_full);
    T_TRUE(plm_heap_alloc(&heap, SIZE_MAX) == NULL);
    T_FALSE(plm_heap_free(&heap, &stranger));
    T_TRUE(plm_heap_free(&heap, large));
    void *again = plm_heap_alloc(&heap, 20 << 20);
    T_TRUE(again == large);
    plm_heap_fini(&heap);
    drop(&s);
}

/* --- Pages ---------------------------------------------------------------------------------------------------------------------- */

/* Memory that is shared, as a transport's is. */
static int grow_shared(void *ctx, size_t n_bytes, void **out)
{
    source *s = ctx;
    if (s->n == s->limit)
        return parla_error_set(PARLA_E_NOMEM, "no more segments");
    *out = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    T_TRUE(*out != MAP_FAILED);
    s->segments[s->n++] = *out;
    return 0;
}

static size_t count_pages(const void *memory, size_t n_bytes)
{
    static unsigned char is_there[1 << 16];
    size_t n = 0, n_pages = n_bytes / 4096;
    T_LE(n_pages, sizeof is_there);
    T_EQ(mincore((void *)((uintptr_t)memory / 4096 * 4096), n_bytes, is_there), 0);
    for (size_t i = 0; i < n_pages; i++)
        n += is_there[i] & 1;
    return n;
}

/* A large block that is freed keeps its pages for the next, but all of them together keep no more than the limit. */
T_TEST(pages_go_back)
{
    enum { LARGE = 30 << 20, N = 3 };
    source s = {.limit = N};
    plm_heap heap;
    char *blocks[N];
    plm_heap_init(&heap, grow_shared, &s);
    for (int i = 0; i < N; i++) {
        T_TRUE((blocks[i] = plm_heap_alloc(&heap, LARGE)) != NULL);
        memset(blocks[i], i + 1, LARGE);
    }
    T_TRUE(plm_heap_free(&heap, blocks[0]));
    T_GE(count_pages(blocks[0], LARGE), LARGE / 4096 - 1);
    T_EQ_PTR(plm_heap_alloc(&heap, LARGE), blocks[0]);
    T_EQ(blocks[0][LARGE / 2], 1);
    for (int i = 0; i < N; i++) {
        T_TRUE(plm_heap_free(&heap, blocks[i]));
        T_LE(heap.n_warm, PLM_HEAP_KEPT);
    }
    size_t n_pages = 0;
    for (int i = 0; i < N; i++)
        n_pages += count_pages(blocks[i], LARGE);
    T_LE(n_pages, PLM_HEAP_KEPT / 4096 + N);
    for (int i = 0; i < N; i++) {
        T_TRUE((blocks[i] = plm_heap_alloc(&heap, LARGE)) != NULL);
        memset(blocks[i], i + 1, LARGE);
    }
    T_EQ(s.n, N);
    plm_heap_fini(&heap);
    while (s.n > 0)
        munmap(s.segments[--s.n], LARGE + 4096);
}
