/* plan.h - which boxes to copy from which block to which, to assign one view to another.
 *
 * A plan is made once from two views and run many times. It holds the overlaps of the two layouts' intervals per dimension, so
 * making it costs their number, not the number of pairs of blocks. A plan names every element of the destination once, and no
 * element of the source that the destination does not ask for.
 *
 * The source is stretched to the destination as NumPy does: dimensions are matched from the last one backwards, an extent of 1 is
 * repeated, dimensions that the source lacks are added in front, and those of extent 1 that it has in front of the destination's
 * are left out. */
#ifndef CROSSPY_PLAN_H
#define CROSSPY_PLAN_H

#include <crosspy/layout.h>

typedef struct cx_plan cx_plan;

/* One copy: a box of a block to a box of a block, each in the coordinates of its block. */
typedef struct cx_transfer {
    int64_t dst_block, src_block;
    cx_place dst_place, src_place;
    cx_box dst_box, src_box;
    int64_t n_items; /* elements read; those written are more where the source is repeated */
} cx_transfer;

/* Copies from one place to another, or within one. */
typedef struct cx_link {
    cx_place src, dst;
    int64_t n_transfers;
    int64_t n_bytes; /* read */
} cx_link;

PARLA_BEGIN_DECLS

/* Makes the plan for dst[...] = src. It keeps references on both layouts.
 * Owns:   the caller holds one reference on *out.
 * Errors: PARLA_E_INVALID (boxes outside their layout, shapes that do not fit: the detail names both), PARLA_E_NOMEM. */
PARLA_API PARLA_MUST_USE int cx_plan_create(cx_plan **out, const cx_view *dst, const cx_view *src, size_t item_bytes);

PARLA_API cx_plan *cx_plan_ref(const cx_plan *plan);
PARLA_API void cx_plan_unref(cx_plan *plan);

/* Number of transfers, and the i-th of them. O(number of dimensions) each. */
PARLA_API int64_t cx_plan_n_transfers(const cx_plan *plan);
PARLA_API void cx_plan_transfer(const cx_plan *plan, int64_t i, cx_transfer *out);

/* axes[k]: the dimension of the source that runs along dimension k of the destination, or -1 where the source is repeated.
 * Borrowed. */
PARLA_API const int *cx_plan_axes(const cx_plan *plan);

PARLA_API size_t cx_plan_item_bytes(const cx_plan *plan);
PARLA_API const cx_view *cx_plan_dst(const cx_plan *plan);
PARLA_API const cx_view *cx_plan_src(const cx_plan *plan);

/* Traffic per pair of places, in order of first use; at most `capacity` entries are written and sets *out_n to how many there are.
 * Errors: PARLA_E_NOMEM. */
PARLA_API PARLA_MUST_USE int cx_plan_links(const cx_plan *plan, cx_link *out, size_t capacity, size_t *out_n);

/* --- Cache ------------------------------------------------------------------------------------------------------------------ */

/* Plans that were asked for before, by views and item size; the ones not used for longest are dropped. Thread-safe. */
typedef struct cx_plan_cache cx_plan_cache;

typedef struct cx_plan_cache_info {
    size_t size; /* sizeof(cx_plan_cache_info), set by the caller */
    size_t n_plans;
    uint64_t n_hits, n_misses;
} cx_plan_cache_info;

/* Owns: the caller destroys *out, when no other thread uses it. Errors: PARLA_E_INVALID for a capacity of 0, PARLA_E_NOMEM. */
PARLA_API PARLA_MUST_USE int cx_plan_cache_create(cx_plan_cache **out, size_t capacity);
PARLA_API void cx_plan_cache_destroy(cx_plan_cache *cache);

/* As cx_plan_create, but returns the same plan for the same views. */
PARLA_API PARLA_MUST_USE int cx_plan_cache_get(cx_plan_cache *cache, cx_plan **out, const cx_view *dst, const cx_view *src,
                                               size_t item_bytes);

/* Errors: PARLA_E_INVALID if out->size is not set. */
PARLA_API PARLA_MUST_USE int cx_plan_cache_query(cx_plan_cache *cache, cx_plan_cache_info *out);

PARLA_END_DECLS

#endif
