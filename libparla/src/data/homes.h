/* homes.h - the instances in which the content of a tile is current, and those where it arrives: a set, usually of one or two.
 *
 * coherence.h speaks of devices; this says in which of a device's instances. The masks of pl_coherence are the summary: device i is valid if
 * some instance there is current, arriving if it arrives in some. Content may arrive in one instance of a device while it is current in
 * another. An instance is at most once in a set: it is current or arriving.
 *
 * Only adding beyond the room takes memory, and pl_homes_reserve takes it beforehand: everything else cannot fail. */
#ifndef PL_DATA_HOMES_H
#define PL_DATA_HOMES_H

#include "base/compiler.h"
#include "data/coherence.h"

enum { PL_HOMES_OWN = 2 };

typedef struct pl_home {
    struct pl_instance *instance;
    bool is_arriving;
} pl_home;

typedef struct pl_homes {
    uint32_t n, capacity; /* capacity 0: `own` */
    union {
        pl_home own[PL_HOMES_OWN];
        pl_home *more;
    };
} pl_homes;

static inline const pl_home *pl_homes_list(const pl_homes *homes) { return homes->capacity ? homes->more : homes->own; }

/* NULL: the instance is not in the set. */
const pl_home *pl_homes_find(const pl_homes *homes, const struct pl_instance *instance);

static inline bool pl_homes_is_current(const pl_homes *homes, const struct pl_instance *instance)
{
    const pl_home *home = pl_homes_find(homes, instance);
    return home && !home->is_arriving;
}

static inline bool pl_homes_is_arriving(const pl_homes *homes, const struct pl_instance *instance)
{
    const pl_home *home = pl_homes_find(homes, instance);
    return home && home->is_arriving;
}

/* The only instance that is current; NULL if there is none or another. */
struct pl_instance *pl_homes_sole(const pl_homes *homes);

/* An instance on a device in which the content is current; NULL: none. */
struct pl_instance *pl_homes_current_on(const pl_homes *homes, int i_device);

bool pl_homes_are_equal(const pl_homes *a, const pl_homes *b);
pl_coherence pl_homes_summary(const pl_homes *homes);

/* Room for n_more instances that are not in the set. Errors: PARLA_E_NOMEM. */
PARLA_MUST_USE int pl_homes_reserve(pl_homes *homes, uint32_t n_more);
/* Room for a copy of another set. */
PARLA_MUST_USE int pl_homes_reserve_copy(pl_homes *homes, const pl_homes *from);
/* Into that room; the set was empty. */
void pl_homes_copy(pl_homes *homes, const pl_homes *from);

/* Adds an instance, which is not in the set, for which there is room. */
void pl_homes_add(pl_homes *homes, struct pl_instance *instance, bool is_arriving);
/* Content has arrived, or not: then the instance is out of the set again. */
void pl_homes_arrive(pl_homes *homes, const struct pl_instance *instance, bool is_whole);
void pl_homes_drop(pl_homes *homes, const struct pl_instance *instance);
/* Nothing but one instance is current, and nothing arrives. */
void pl_homes_set(pl_homes *homes, struct pl_instance *instance);
/* The empty set, without memory. */
void pl_homes_clear(pl_homes *homes);

#endif
