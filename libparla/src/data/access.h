/* access.h - the order of tasks that use the same elements of an array: as if they ran one after the other in spawn order.
 *
 * A task has one pl_use for each array that orders it, with a pl_part for each of its accesses. A part covers its region with nodes of
 * the array's tree of tiles (tile.h) and leaves a mark at each. A node knows the last writer that covers all of it, and the readers
 * since. A new use looks at the marks that its region meets: those at its own nodes, above them, and below; it waits for those that it
 * must not overtake.
 *
 * Invariant: marks below a node are younger than the writer at the node. A writer therefore turns every mark at its node and below into
 * a thing of the past: who comes later waits for the writer, which waits for them. It never touches marks above.
 *
 * A use that waits is in the list of each use that it waits for, through a pl_wait of its own. A use leaves when its task has ended and
 * nothing is before it any more. A task that is cancelled before its turn therefore stays in the order, as a ghost, until all before it
 * have left: whoever comes behind it still waits for them. Until a use leaves, its marks hold their nodes.
 *
 * Nothing here is thread-safe: the owner of the arrays holds one lock over all of them. */
#ifndef PL_DATA_ACCESS_H
#define PL_DATA_ACCESS_H

#include "data/tile.h"

typedef struct pl_use pl_use;
typedef struct pl_part pl_part;

typedef struct pl_wait {
    pl_use *follower;
    pl_use *before;       /* that is waited for; NULL: it has left */
    bool is_launched;     /* the follower may go on behind the work of that one's task (sched/ahead.c) */
    struct pl_wait *next; /* in the list of the use that is waited for */
} pl_wait;

typedef enum pl_mark_state {
    PL_MARK_NONE,   /* holds its node, stands in no order yet */
    PL_MARK_READER, /* among the node's readers */
    PL_MARK_WRITER, /* the node's writer */
    PL_MARK_PAST    /* a later writer has overwritten what it stands for */
} pl_mark_state;

/* A use at one node. */
typedef struct pl_mark {
    pl_use *use;
    pl_tile *tile;
    struct pl_mark *prev, *next; /* among the readers of the node */
    pl_mark_state state;
} pl_mark;

/* One access: its region, as marks. */
struct pl_part {
    pl_use *use;        /* whose copy of the array it works on */
    pl_use *order;      /* that orders its task by this array */
    pl_part *next;      /* of the same `order` */
    uint8_t mode;       /* PARLA_IN … INOUT: what the body does there */
    bool is_alone;      /* reads, but comes after the readers before it, too */
    bool may_be_absent; /* begins without content if nothing was ever written */
    bool is_coarse;     /* covers more than its region: the rest must stay as it is */

    /* What the placed path (sched) keeps with it: pieces (sched/piece.c). */
    pl_part *lead;                /* of its piece; leads itself if it is that */
    pl_part *next_lead;           /* of a lead: in the list of its use */
    pl_span *box;                 /* of a lead: around its piece, steps of 1; NULL: all of the array */
    uint8_t piece_mode;           /* of a lead: of all in its piece */
    struct pl_instance *instance; /* of a lead: where its piece lies, pinned; or NULL */

    pl_mark *marks; /* &own, or malloc'ed */
    uint32_t n_marks, capacity;
    pl_mark own;
};

struct pl_use {
    parla_data *data;
    void *owner;        /* the task's record */
    uint8_t order_mode; /* of its parts together; 0: another use of the task orders for this one */
    /* The order; under the owner's lock. */
    pl_part *parts;     /* that it orders */
    int n_before;       /* uses that it still waits for, … */
    int n_launched;     /* … and how many of those waits are launched */
    pl_wait *followers; /* that wait for it */
    bool is_ghost;      /* its task has ended before its turn */
    bool has_left;
    uint64_t seq;        /* its number among those that have entered the array's order */
    uint64_t seen_by;    /* the last one that was told to wait for it, */
    uint64_t content_by; /* and the last one that was told to depend on it */
    pl_use *next_left;   /* for pl_order_leave's caller */
    bool is_soft;        /* something is before it, all of it launched; counted in its task's record */

    /* What the placed path (sched) keeps with it. */
    uint8_t mode;         /* of all that the body does there */
    uint8_t member;       /* on which of the task's devices */
    bool is_untouched;    /* only stands in the order */
    bool is_in_place;     /* PARLA_ORDER: wherever a current copy is */
    bool is_written;      /* of an ordering use: some use of the task writes the array */
    bool may_be_absent;   /* begins without content if nothing was ever written */
    pl_part *leads;       /* its pieces */
    pl_use *next_waiting; /* among those that wait for movements of the array */
};

/* A list of uses that grows. */
typedef struct pl_uses {
    pl_use **items; /* own, or malloc'ed */
    size_t n, capacity;
    pl_use *own[16];
} pl_uses;

void pl_uses_init(pl_uses *uses);
void pl_uses_fini(pl_uses *uses);

/* Covers a part's region (NULL: the whole array) and holds what covers it. On error nothing is held. Errors: PARLA_E_NOMEM. */
PARLA_MUST_USE int pl_part_cover(pl_tiles *tiles, pl_part *part, const pl_span *region);
/* Gives up the marks of a part that has not entered the order, or has left it. */
void pl_part_uncover(pl_tiles *tiles, pl_part *part);

/* Whose content a new use of this tile, or of the part of it that no younger writer covers, would see: NULL if that has left. */
pl_mark *pl_tile_writer(const pl_tile *tile);

/* Does a part see what was there before? */
static inline bool pl_part_reads(const pl_part *part) { return (part->mode & PARLA_IN) || part->is_coarse; }

/* Appends to `before` the uses that a use with covered parts must wait for, and to `content` those whose content it sees; each once.
 * Errors: PARLA_E_NOMEM. */
PARLA_MUST_USE int pl_order_look(pl_tiles *tiles, pl_use *use, pl_uses *before, pl_uses *content);

/* Puts a use behind all others: `before` is what pl_order_look found. `waits` has n elements and lives until the use has left. */
void pl_order_enter(pl_use *use, pl_use *const *before, size_t n, pl_wait *waits);

/* Takes out a use with n_before == 0, marks and all. Followers that have nothing before them any more, or only what is launched, are put in
 * front of *out_free (by next_left). */
void pl_order_leave(pl_tiles *tiles, pl_use *use, pl_use **out_free);

#endif
