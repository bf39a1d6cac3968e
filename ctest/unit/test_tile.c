/* test_tile.c - tiles: what covers a region is exactly the region, tiles stay disjoint and complete, content follows the elements, and
 * what is equal again becomes one. */
#include "data/tile.h"
#include "test.h"

#include <parla/error.h>

#include <stdlib.h>

enum { MAX_FOUND = 8192, EXTENT = 10, N_ITEMS = EXTENT * EXTENT };

typedef struct cover {
    pl_tile *tiles[MAX_FOUND];
    int n, n_coarse;
} cover;

static int keep(void *ctx, pl_tile *tile, bool is_coarse)
{
    cover *c = ctx;
    T_LT(c->n, MAX_FOUND);
    pl_tile_hold(tile);
    c->tiles[c->n++] = tile;
    c->n_coarse += is_coarse;
    return 0;
}

static void cover_region(pl_tiles *tiles, cover *c, const pl_span *region)
{
    c->n = c->n_coarse = 0;
    T_OK(pl_tiles_cover(tiles, region, keep, c));
}

static void uncover(pl_tiles *tiles, cover *c)
{
    for (int i = 0; i < c->n; i++)
        pl_tile_release(tiles, c->tiles[i]);
    c->n = 0;
}

static void set_valid(cover *c, uint64_t valid)
{
    for (int i = 0; i < c->n; i++)
        for (pl_tile *leaf = pl_tile_first(c->tiles[i]); leaf; leaf = pl_tile_next(leaf, c->tiles[i]))
            leaf->coherence.valid = valid;
}

static int count_leaves(pl_tiles *tiles)
{
    int n = 0;
    int64_t n_items = 0;
    for (pl_tile *leaf = pl_tile_first(&tiles->root); leaf; leaf = pl_tile_next(leaf, &tiles->root)) {
        n++;
        n_items += leaf->n_items;
    }
    T_EQ(n, tiles->n_leaves);
    T_EQ(n_items, tiles->root.n_items);
    return n;
}

T_TEST(a_sweep_of_blocks_is_one_list)
{
    static cover c;
    pl_tiles tiles;
    const int64_t extent[1] = {1000};
    pl_tiles_init(&tiles, 1, extent);
    for (int i = 0; i < 100; i++) {
        const pl_span block = {10 * i, 10, 1};
        cover_region(&tiles, &c, &block);
        T_EQ(c.n, 1);
        set_valid(&c, 1u << (i % 2));
        uncover(&tiles, &c);
    }
    T_EQ(count_leaves(&tiles), 100);
    T_EQ(tiles.root.n_children, 100);
    for (int i = 1; i < 100; i += 2) {
        const pl_span block = {10 * i, 10, 1};
        cover_region(&tiles, &c, &block);
        set_valid(&c, 1);
        uncover(&tiles, &c);
    }
    T_EQ(count_leaves(&tiles), 1);
    T_TRUE(pl_tile_is_leaf(&tiles.root));
    pl_tiles_fini(&tiles);
}

T_TEST(what_is_held_stays)
{
    static cover held, c;
    pl_tiles tiles;
    const int64_t extent[1] = {100};
    const pl_span a = {0, 40, 1}, b = {20, 40, 1}, evens = {0, 50, 2};
    pl_tiles_init(&tiles, 1, extent);
    cover_region(&tiles, &held, &a);
    pl_tile *tile = held.tiles[0];
    cover_region(&tiles, &c, &b);
    T_EQ(c.n, 2);
    uncover(&tiles, &c);
    T_EQ(count_leaves(&tiles), 2);
    cover_region(&tiles, &c, &evens);
    pl_span box[1];
    pl_tile_box(&tiles, tile, box);
    T_TRUE(box[0].start == 0 && box[0].n == 40 && box[0].step == 1);
    uncover(&tiles, &c);
    T_TRUE(pl_tile_is_leaf(tile));
    uncover(&tiles, &held);
    T_EQ(count_leaves(&tiles), 1);
    pl_tiles_fini(&tiles);
}

/* Beyond the bound a region is covered by more than itself, and told so; nothing else changes. */
T_TEST(beyond_the_bound_regions_are_coarse)
{
    static cover c[2];
    pl_tiles tiles;
    const int64_t extent[1] = {1000000};
    const pl_span many = {0, 200, 4000}, comb = {0, 200, 5000}, more = {1, 333333, 3};
    pl_tiles_init(&tiles, 1, extent);
    cover_region(&tiles, &c[0], &many); /* 4,000 tiles, and the rest of the array */
    T_EQ(c[0].n_coarse, 0);
    T_LE(count_leaves(&tiles), PL_TILES_MAX);
    cover_region(&tiles, &c[1], &comb);
    T_GT(c[1].n_coarse, 0);
    T_LE(count_leaves(&tiles), PL_TILES_MAX);
    uncover(&tiles, &c[1]);
    uncover(&tiles, &c[0]);
    T_EQ(count_leaves(&tiles), 1);
    cover_region(&tiles, &c[0], &more);
    T_EQ(c[0].n_coarse, 0);
    uncover(&tiles, &c[0]);
    pl_tiles_fini(&tiles);
}

/* Windows that each begin one later, all held: the tree does not get too deep to walk. */
T_TEST(nested_regions)
{
    enum { N = 600 };
    static cover c[N];
    pl_tiles tiles;
    const int64_t extent[1] = {N};
    pl_tiles_init(&tiles, 1, extent);
    for (int i = 0; i < N; i++) {
        const pl_span tail = {i, N - i, 1};
        cover_region(&tiles, &c[i], &tail);
    }
    T_EQ(c[1].n_coarse, 0);
    T_GT(c[N - 1].n_coarse, 0);
    for (int i = 0; i < N; i++)
        uncover(&tiles, &c[i]);
    T_EQ(count_leaves(&tiles), 1);
    pl_tiles_fini(&tiles);
}

T_TEST(empty_regions_and_points)
{
    static cover c;
    pl_tiles tiles, point;
    const int64_t extent[2] = {5, 0};
    const pl_span none[2] = {{0, 0, 1}, {0, 0, 1}};
    pl_tiles_init(&tiles, 2, extent);
    cover_region(&tiles, &c, none);
    T_EQ(c.n, 0);
    cover_region(&tiles, &c, NULL);
    T_EQ(c.n, 1);
    uncover(&tiles, &c);
    pl_tiles_fini(&tiles);
    pl_tiles_init(&point, 0, extent);
    cover_region(&point, &c, none);
    T_EQ(c.n, 1);
    T_EQ(c.tiles[0]->n_items, 1);
    uncover(&point, &c);
    pl_tiles_fini(&point);
}

/* --- Against one value for each element --------------------------------------------------------------------------------------- */

static bool has(const pl_span *span, int64_t i)
{
    return i >= span->start && (i - span->start) % span->step == 0 && (i - span->start) / span->step < span->n;
}

static pl_span random_span(t_rng *rng)
{
    int64_t start = (int64_t)t_below(rng, EXTENT), step = 1 + (int64_t)t_below(rng, 4), most = (EXTENT - start - 1) / step + 1;
    return (pl_span){start, 1 + (int64_t)t_below(rng, (uint64_t)most), step};
}

static void check_cover(const pl_tiles *tiles, const cover *c, const pl_span *region)
{
    int n_in[N_ITEMS] = {0};
    for (int i = 0; i < c->n; i++) {
        pl_span box[2];
        pl_tile_box(tiles, c->tiles[i], box);
        for (int e = 0; e < N_ITEMS; e++)
            n_in[e] += has(&box[0], e / EXTENT) && has(&box[1], e % EXTENT);
    }
    for (int e = 0; e < N_ITEMS; e++)
        T_EQ(n_in[e], has(&region[0], e / EXTENT) && has(&region[1], e % EXTENT));
}

static void check_content(pl_tiles *tiles, const uint64_t *model)
{
    int n_in[N_ITEMS] = {0};
    for (pl_tile *leaf = pl_tile_first(&tiles->root); leaf; leaf = pl_tile_next(leaf, &tiles->root)) {
        pl_span box[2];
        int64_t n = 0;
        pl_tile_box(tiles, leaf, box);
        for (int e = 0; e < N_ITEMS; e++)
            if (has(&box[0], e / EXTENT) && has(&box[1], e % EXTENT)) {
                T_EQ(leaf->coherence.valid, model[e]);
                n_in[e]++;
                n++;
            }
        T_EQ(n, leaf->n_items);
    }
    for (int e = 0; e < N_ITEMS; e++)
        T_EQ(n_in[e], 1);
}

T_TEST(random_regions)
{
    enum { N_HELD = 4 };
    static cover held[N_HELD];
    t_rng rng = {t_seed()};
    for (uint64_t round = 0, n = t_scale(60); round < n; round++) {
        pl_tiles tiles;
        uint64_t model[N_ITEMS] = {0};
        const int64_t extent[2] = {EXTENT, EXTENT};
        pl_tiles_init(&tiles, 2, extent);
        for (int step = 0; step < 60; step++) {
            cover *c = &held[t_below(&rng, N_HELD)];
            uncover(&tiles, c);
            pl_span region[2] = {random_span(&rng), random_span(&rng)};
            uint64_t valid = 1 + t_below(&rng, 2);
            cover_region(&tiles, c, region);
            check_cover(&tiles, c, region);
            set_valid(c, valid);
            for (int e = 0; e < N_ITEMS; e++)
                if (has(&region[0], e / EXTENT) && has(&region[1], e % EXTENT))
                    model[e] = valid;
            for (int i = 0; i < c->n; i++)
                pl_tile_tidy(&tiles, c->tiles[i]);
            check_content(&tiles, model);
            count_leaves(&tiles);
        }
        for (int i = 0; i < N_HELD; i++)
            uncover(&tiles, &held[i]);
        check_content(&tiles, model);
        cover_region(&tiles, &held[0], NULL);
        set_valid(&held[0], 1);
        uncover(&tiles, &held[0]);
        T_EQ(count_leaves(&tiles), 1);
        pl_tiles_fini(&tiles);
    }
}

static int refuse(void *ctx, pl_tile *tile, bool is_coarse)
{
    (void)ctx, (void)tile, (void)is_coarse;
    return PARLA_E_NOMEM;
}

T_TEST(an_error_of_the_caller_is_passed_on)
{
    pl_tiles tiles;
    const int64_t extent[1] = {10};
    const pl_span region = {2, 3, 2};
    pl_tiles_init(&tiles, 1, extent);
    T_EQ(pl_tiles_cover(&tiles, &region, refuse, NULL), PARLA_E_NOMEM);
    T_EQ(pl_tiles_cover(&tiles, NULL, refuse, NULL), PARLA_E_NOMEM);
    count_leaves(&tiles);
    pl_tiles_fini(&tiles);
}
