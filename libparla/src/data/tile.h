/* tile.h - the tiles of an array: disjoint boxes that cover it, as coarse as tasks allow.
 *
 * A fresh array is one tile. A region that a task names splits the tiles that it hits, and only those; what has become equal again is put
 * together. So the tiles are the leaves of a tree, each inner node of which is a box that was split along one axis: into intervals, or
 * into every m-th element.
 *
 *        A[0:100]              a task names A[20:60:2]                           A
 *                                                          [0:20]          [20:60]          [60:100]
 *                                                                     [20:60:2] [21:60:2]
 *
 * A region is covered by nodes: the largest ones that lie inside it. Who uses a region holds them, and while a node is held it stays: its
 * children may be split further or put together, but it does not become part of anything larger. All elements of a leaf share one content
 * (in which instances it is current, whether it is spoilt); inner nodes have none. Order stands at any node (access.h).
 *
 * There are at most PL_TILES_MAX tiles. Beyond that a region is covered coarsely: by nodes that reach beyond it.
 *
 * Nothing here is thread-safe: the owner of the array holds a lock. */
#ifndef PL_DATA_TILE_H
#define PL_DATA_TILE_H

#include "data/homes.h"
#include "data/span.h"

#include <parla/strided.h>

enum { PL_TILES_MAX = 4096, PL_TILES_MAX_DEPTH = 256 };

/* What tiles point to whose content may not be read, because its owner, the last writer, has failed. */
typedef struct pl_poison {
    int n_tiles;
    void *owner;
} pl_poison;

typedef struct pl_tile pl_tile;
struct pl_tile {
    pl_tile *parent; /* NULL: the root, all of the array */
    int i_child;     /* among the parent's children */
    pl_span span;    /* of the parent's axis; along all others it is as large as the parent */
    int64_t n_items; /* elements */

    /* How it is split. */
    pl_tile **children; /* NULL: a leaf */
    int n_children, capacity;
    int axis;
    int64_t period; /* 1: the children are intervals, in order; m: child i has every m-th element, from the i-th on */

    /* Order (access.h). */
    struct pl_mark *writer, *readers;
    uint32_t n_holds;

    /* Content, of a leaf. */
    pl_coherence coherence;       /* by device, */
    pl_homes homes;               /* and in which instances */
    pl_poison *poison;            /* NULL: none */
    struct parla_failure *spoilt; /* how the last writer whose turn is over failed, a reference; NULL: it did not */
    bool is_lost;                 /* there was content, which could not be kept */
    uint64_t aimed;               /* bit i: a queued task that uses it waits for device i; a hint (sched/aim.c) */
    uint64_t evicted;             /* bit i: it was current on device i, and dropped there to make room */
};

typedef struct pl_tiles {
    pl_tile root;
    int ndim;
    int64_t extent[PARLA_MAX_NDIM];
    int n_leaves;
    uint64_t n_entered; /* uses that have entered the order */
} pl_tiles;

void pl_tiles_init(pl_tiles *tiles, int ndim, const int64_t *extent);
/* Nothing is held, nothing poisoned. */
void pl_tiles_fini(pl_tiles *tiles);

/* Calls found(ctx, tile, is_coarse) for the nodes that cover a region of `ndim` spans; NULL is all of the array. `found` holds what it
 * wants to keep, before it returns. Stops at the first error of `found`. Errors: PARLA_E_NOMEM; what `found` returns. */
PARLA_MUST_USE int pl_tiles_cover(pl_tiles *tiles, const pl_span *region, int (*found)(void *ctx, pl_tile *tile, bool is_coarse),
                                  void *ctx);

static inline bool pl_tile_is_leaf(const pl_tile *tile) { return !tile->children; }

static inline void pl_tile_hold(pl_tile *tile) { tile->n_holds++; }
/* Drops a hold, and puts together what nobody needs apart any more. */
void pl_tile_release(pl_tiles *tiles, pl_tile *tile);
/* Puts together what is equal below a tile that is held. */
void pl_tile_tidy(pl_tiles *tiles, pl_tile *top);

/* The box of a tile. */
void pl_tile_box(const pl_tiles *tiles, const pl_tile *tile, pl_span *out);
/* Makes a box of steps of 1 large enough for a tile's. */
void pl_tile_stretch(const pl_tiles *tiles, const pl_tile *tile, pl_span *box);

/* All nodes from `top` down, each before its children: begin with at == top. NULL after the last. */
pl_tile *pl_tile_walk(const pl_tile *at, const pl_tile *top);

/* The leaves under `top`: pl_tile_first, then pl_tile_next until NULL. */
pl_tile *pl_tile_first(pl_tile *top);
static inline pl_tile *pl_tile_next(pl_tile *leaf, const pl_tile *top)
{
    pl_tile *at = leaf == top ? NULL : pl_tile_walk(leaf, top);
    return at ? pl_tile_first(at) : NULL;
}

#endif
