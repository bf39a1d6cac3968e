/* access.h - the order of tasks that use the same array: as if they ran one after the other in spawn order.
 *
 * A task has one pl_use for each array. An array keeps, in spawn order, its last writer and the readers since; a new use waits for
 * those of them that it must not overtake. A use that waits is in the list of each use that it waits for, through a pl_wait of its
 * own.
 *
 * A use leaves when its task has ended and nothing is before it any more. A task that is cancelled before its turn therefore stays
 * in the order, as a ghost, until all before it have left: whoever comes behind it still waits for them.
 *
 * Nothing here is thread-safe: the owner of the arrays holds one lock over all of them. */
#ifndef PL_DATA_ACCESS_H
#define PL_DATA_ACCESS_H

#include <parla/task.h>

typedef struct pl_use pl_use;

typedef struct pl_wait {
    pl_use *follower;
    struct pl_wait *next; /* in the list of the use that is waited for */
} pl_wait;

struct pl_use {
    parla_data *data;
    void *owner;        /* the task's record */
    uint8_t order_mode; /* PARLA_IN, PARLA_OUT or PARLA_INOUT: how it is ordered; 0: another use of the task orders for this one */
    /* The order; under the owner's lock. */
    int n_before;        /* uses that it still waits for */
    pl_wait *followers;  /* that wait for it */
    pl_use *prev, *next; /* among the readers of its array */
    bool is_listed;      /* is among them */
    bool is_ghost;       /* its task has ended before its turn */
    bool has_left;
    pl_use *next_left; /* for pl_order_leave's caller */

    /* What the placed path (sched) keeps with it. */
    uint8_t mode;         /* PARLA_IN … INOUT: what the body does there */
    uint8_t member;       /* on which of the task's devices */
    bool is_untouched;    /* only stands in the order */
    bool is_in_place;     /* PARLA_ORDER: wherever a current copy is */
    bool is_written;      /* of an ordering use: some use of the task writes the array */
    bool may_be_absent;   /* begins without content if nothing was ever written */
    int16_t i_device;     /* where its pinned instance is, or -1 */
    pl_use *next_waiting; /* among those that wait for a movement */
};

typedef struct pl_order {
    pl_use *writer;  /* the last one spawned, if it has not left */
    pl_use *readers; /* spawned since */
} pl_order;

/* How many waits a use with this mode needs now. */
size_t pl_order_n_waits(const pl_order *order, int mode);

/* The use whose content a new use with this mode sees, if that has not left. */
static inline pl_use *pl_order_content(const pl_order *order, int mode) { return mode & PARLA_IN ? order->writer : NULL; }

/* Puts a use behind all others. Takes pl_order_n_waits elements of `waits`; they must live until the use has left. */
void pl_order_enter(pl_order *order, pl_use *use, pl_wait *waits);

/* Takes out a use with n_before == 0. Followers that have nothing before them any more are put in front of *out_free (by
 * next_left). */
void pl_order_leave(pl_order *order, pl_use *use, pl_use **out_free);

#endif
