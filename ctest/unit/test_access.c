/* test_access.c - the order of an array's users: who waits for whom, whose content is seen, and ghosts; with random regions against the
 * rule itself, element by element. */
#include "data/access.h"
#include "test.h"

#include <stdlib.h>

enum { MAX_BEFORE = 256 };

typedef struct user {
    pl_use use;
    pl_part parts[2];
    int n_parts;
    pl_wait *waits;
    pl_uses before, content;
} user;

static void set_up(pl_tiles *tiles, int ndim, int64_t n0, int64_t n1)
{
    const int64_t extent[2] = {n0, n1};
    pl_tiles_init(tiles, ndim, extent);
}

static void begin(user *u)
{
    *u = (user){0};
    pl_uses_init(&u->before);
    pl_uses_init(&u->content);
}

static void add_part(pl_tiles *tiles, user *u, int mode, const pl_span *region)
{
    pl_part *part = &u->parts[u->n_parts++];
    *part = (pl_part){.use = &u->use, .order = &u->use, .next = u->use.parts, .mode = (uint8_t)mode};
    u->use.parts = part;
    u->use.order_mode |= (uint8_t)mode;
    T_OK(pl_part_cover(tiles, part, region));
}

static void enter_covered(pl_tiles *tiles, user *u)
{
    T_OK(pl_order_look(tiles, &u->use, &u->before, &u->content));
    u->waits = malloc((u->before.n + 1) * sizeof u->waits[0]);
    pl_order_enter(&u->use, u->before.items, u->before.n, u->waits);
    T_EQ(u->use.n_before, u->before.n);
}

static void enter(pl_tiles *tiles, user *u, int mode, const pl_span *region)
{
    begin(u);
    add_part(tiles, u, mode, region);
    enter_covered(tiles, u);
}

/* Leaves, and returns how many were let go. */
static int leave(pl_tiles *tiles, user *u, pl_use **first)
{
    pl_use *list = NULL;
    int n = 0;
    pl_order_leave(tiles, &u->use, &list);
    if (first)
        *first = list;
    for (; list; list = list->next_left)
        n++;
    return n;
}

static void forget(user *u)
{
    free(u->waits);
    pl_uses_fini(&u->before);
    pl_uses_fini(&u->content);
}

static void tear_down(pl_tiles *tiles)
{
    T_TRUE(!tiles->root.readers && !tiles->root.writer && tiles->root.n_holds == 0);
    T_EQ(tiles->n_leaves, 1);
    T_TRUE(pl_tile_is_leaf(&tiles->root));
    pl_tiles_fini(tiles);
}

static bool is_in(const pl_uses *list, const user *u)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i] == &u->use)
            return true;
    return false;
}

T_TEST(readers_share)
{
    pl_tiles tiles;
    user a, b;
    set_up(&tiles, 1, 10, 0);
    enter(&tiles, &a, PARLA_IN, NULL);
    enter(&tiles, &b, PARLA_IN, NULL);
    T_EQ(a.use.n_before, 0);
    T_EQ(b.use.n_before, 0);
    T_EQ(leave(&tiles, &a, NULL), 0);
    T_EQ(leave(&tiles, &b, NULL), 0);
    forget(&a);
    forget(&b);
    tear_down(&tiles);
}

T_TEST(a_writer_waits_for_readers_and_writer)
{
    pl_tiles tiles;
    user w1, r1, r2, w2, r3;
    pl_use *first;
    set_up(&tiles, 1, 10, 0);
    enter(&tiles, &w1, PARLA_OUT, NULL);
    enter(&tiles, &r1, PARLA_IN, NULL);
    enter(&tiles, &r2, PARLA_IN, NULL);
    enter(&tiles, &w2, PARLA_INOUT, NULL);
    enter(&tiles, &r3, PARLA_IN, NULL);
    T_EQ(r1.use.n_before, 1);
    T_EQ(w2.use.n_before, 3);
    T_EQ(r3.use.n_before, 1);
    T_EQ(w1.content.n, 0);
    T_TRUE(r1.content.n == 1 && is_in(&r1.content, &w1));
    T_TRUE(w2.content.n == 1 && is_in(&w2.content, &w1));
    T_TRUE(r3.content.n == 1 && is_in(&r3.content, &w2));
    T_EQ(leave(&tiles, &w1, NULL), 2);
    T_EQ(leave(&tiles, &r2, NULL), 0);
    T_EQ(leave(&tiles, &r1, &first), 1);
    T_EQ_PTR(first, &w2.use);
    T_EQ(leave(&tiles, &w2, &first), 1);
    T_EQ_PTR(first, &r3.use);
    T_EQ(leave(&tiles, &r3, NULL), 0);
    user *all[] = {&w1, &r1, &r2, &w2, &r3};
    for (int i = 0; i < 5; i++)
        forget(all[i]);
    tear_down(&tiles);
}

/* The middle one of three writers is cancelled while the first runs: the last still waits for the first. */
T_TEST(a_ghost_keeps_the_order)
{
    pl_tiles tiles;
    user w1, w2, w3;
    pl_use *first;
    set_up(&tiles, 1, 10, 0);
    enter(&tiles, &w1, PARLA_OUT, NULL);
    enter(&tiles, &w2, PARLA_OUT, NULL);
    enter(&tiles, &w3, PARLA_OUT, NULL);
    T_EQ(w3.use.n_before, 1);
    T_EQ(leave(&tiles, &w1, &first), 1); /* w2's task ended long ago: its use leaves only now */
    T_EQ_PTR(first, &w2.use);
    T_EQ(w3.use.n_before, 1);
    T_EQ(leave(&tiles, &w2, &first), 1);
    T_EQ_PTR(first, &w3.use);
    T_EQ(leave(&tiles, &w3, &first), 0);
    forget(&w1);
    forget(&w2);
    forget(&w3);
    tear_down(&tiles);
}

T_TEST(regions_apart_do_not_wait)
{
    pl_tiles tiles;
    user even, odd, first_half, all;
    const pl_span evens = {0, 50, 2}, odds = {1, 50, 2}, half = {0, 50, 1};
    set_up(&tiles, 1, 100, 0);
    enter(&tiles, &even, PARLA_OUT, &evens);
    enter(&tiles, &odd, PARLA_OUT, &odds);
    enter(&tiles, &first_half, PARLA_IN, &half);
    enter(&tiles, &all, PARLA_OUT, NULL);
    T_EQ(even.use.n_before + odd.use.n_before, 0);
    T_EQ(first_half.use.n_before, 2);
    T_EQ(first_half.content.n, 2);
    T_EQ(all.use.n_before, 3);
    T_EQ(all.content.n, 0);
    T_EQ(leave(&tiles, &odd, NULL), 0);
    T_EQ(leave(&tiles, &even, NULL), 1);
    T_EQ(leave(&tiles, &first_half, NULL), 1);
    T_EQ(leave(&tiles, &all, NULL), 0);
    user *users[] = {&even, &odd, &first_half, &all};
    for (int i = 0; i < 4; i++)
        forget(users[i]);
    tear_down(&tiles);
}

/* --- Against the rule itself -------------------------------------------------------------------------------------------------- */

enum { N = 48, EXTENT = 12, MAX_ITEMS = EXTENT * EXTENT };

typedef struct model {
    pl_tiles tiles;
    user users[N];
    unsigned char mode[N][MAX_ITEMS]; /* what each does to each element */
    bool is_coarse[N];
    int n_items;
} model;

static pl_span random_span(t_rng *rng, int64_t extent)
{
    int64_t start = (int64_t)t_below(rng, (uint64_t)extent), step = 1 + (int64_t)t_below(rng, 4);
    int64_t most = (extent - start - 1) / step + 1, n = 1 + (int64_t)t_below(rng, (uint64_t)most);
    if (t_below(rng, 4) == 0)
        return (pl_span){0, extent, 1};
    return (pl_span){start, n, n > 1 ? step : 1};
}

static bool has(const pl_span *span, int64_t i)
{
    return i >= span->start && (i - span->start) % span->step == 0 && (i - span->start) / span->step < span->n;
}

static void enter_random(model *m, t_rng *rng, int i)
{
    user *u = &m->users[i];
    int n_parts = 1 + (int)t_below(rng, 2);
    begin(u);
    for (int p = 0; p < n_parts; p++) {
        pl_span region[2] = {random_span(rng, EXTENT), random_span(rng, EXTENT)};
        int mode = 1 + (int)t_below(rng, 3);
        add_part(&m->tiles, u, mode, t_below(rng, 8) == 0 ? NULL : region);
        /* What the marks stand for is exactly the region. */
        unsigned char marked[MAX_ITEMS] = {0};
        for (uint32_t k = 0; k < u->parts[p].n_marks; k++) {
            pl_span box[2];
            pl_tile_box(&m->tiles, u->parts[p].marks[k].tile, box);
            for (int e = 0; e < MAX_ITEMS; e++)
                if (has(&box[0], e / EXTENT) && has(&box[1], e % EXTENT)) {
                    T_EQ(marked[e], 0);
                    marked[e] = 1;
                }
        }
        for (int e = 0; e < MAX_ITEMS; e++)
            if (marked[e])
                m->mode[i][e] |= (unsigned char)mode;
    }
    enter_covered(&m->tiles, u);
}

static bool conflict(const model *m, int a, int b)
{
    for (int e = 0; e < MAX_ITEMS; e++)
        if (m->mode[a][e] && m->mode[b][e] && ((m->mode[a][e] | m->mode[b][e]) & PARLA_OUT))
            return true;
    return false;
}

/* Whose content does user b see, of those that have not left? */
static void check_content_of(const model *m, int b)
{
    bool is_seen[N] = {false};
    for (int e = 0; e < MAX_ITEMS; e++) {
        if (!(m->mode[b][e] & PARLA_IN))
            continue;
        int a = b - 1;
        while (a >= 0 && !(m->mode[a][e] & PARLA_OUT))
            a--;
        if (a >= 0 && !m->users[a].use.has_left)
            is_seen[a] = true;
    }
    for (int a = 0; a < b; a++)
        T_EQ(is_in(&m->users[b].content, &m->users[a]), is_seen[a]);
}

/* Nobody leaves before all that it conflicts with; and nobody is waited for without a reason. */
static void check_before(const model *m, int b)
{
    for (int a = 0; a < b; a++)
        if (is_in(&m->users[b].before, &m->users[a]))
            T_TRUE(conflict(m, a, b));
}

static void leave_random(model *m, t_rng *rng, int n)
{
    int i = (int)t_below(rng, (uint64_t)n);
    user *u = &m->users[i];
    if (u->use.has_left || u->use.n_before > 0)
        return;
    for (int a = 0; a < i; a++)
        T_TRUE(m->users[a].use.has_left || !conflict(m, a, i));
    leave(&m->tiles, u, NULL);
}

T_TEST(random_regions_keep_the_order_of_each_element)
{
    t_rng rng = {t_seed()};
    model *m = malloc(sizeof *m);
    uint64_t n_rounds = t_scale(150);
    for (uint64_t round = 0; round < n_rounds; round++) {
        memset(m, 0, sizeof *m);
        set_up(&m->tiles, 2, EXTENT, EXTENT);
        for (int i = 0; i < N; i++) {
            enter_random(m, &rng, i);
            check_before(m, i);
            check_content_of(m, i);
            for (int k = 0; k < 3; k++)
                leave_random(m, &rng, i + 1);
        }
        for (bool any = true; any;) {
            leave_random(m, &rng, N);
            any = false;
            for (int i = 0; i < N; i++)
                any = any || !m->users[i].use.has_left;
        }
        for (int i = 0; i < N; i++)
            forget(&m->users[i]);
        tear_down(&m->tiles);
    }
    free(m);
}

/* A list that outgrows its own room keeps everything. */
T_TEST(many_readers_before_one_writer)
{
    pl_tiles tiles;
    user *readers = malloc(MAX_BEFORE * sizeof readers[0]), writer;
    set_up(&tiles, 1, 10, 0);
    for (int i = 0; i < MAX_BEFORE; i++)
        enter(&tiles, &readers[i], PARLA_IN, NULL);
    enter(&tiles, &writer, PARLA_OUT, NULL);
    T_EQ(writer.use.n_before, MAX_BEFORE);
    for (int i = 0; i < MAX_BEFORE; i++) {
        T_EQ(leave(&tiles, &readers[i], NULL), i == MAX_BEFORE - 1);
        forget(&readers[i]);
    }
    leave(&tiles, &writer, NULL);
    forget(&writer);
    free(readers);
    tear_down(&tiles);
}
