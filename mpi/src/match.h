/* match.h - what waits for its partner: posted receives and arrived messages, paired by (rank, tag) in the order added.
 *
 * Of one (rank, tag) only receives or only messages wait at any time. Not thread-safe: the owner locks. */
#ifndef PLM_MATCH_H
#define PLM_MATCH_H

#include <parla/common.h>

/* The first member of whatever waits. */
typedef struct plm_item {
    struct plm_item *next;
    uint64_t tag;
    int rank; /* the sender */
    bool is_receive;
} plm_item;

typedef struct plm_match_bucket {
    plm_item *first;
    plm_item **end;
} plm_match_bucket;

typedef struct plm_match {
    plm_match_bucket *buckets;
    unsigned bits; /* 1 << bits buckets */
    size_t n_items;
    size_t i_low; /* the buckets before it are empty */
} plm_match;

/* Errors: PARLA_E_NOMEM. */
int plm_match_init(plm_match *self);

/* The items are the owner's. */
void plm_match_fini(plm_match *self);

/* Takes out the oldest partner of an item that is not in it; NULL if none waits. */
plm_item *plm_match_take(plm_match *self, const plm_item *item);

void plm_match_add(plm_match *self, plm_item *item);

/* Takes an item out; false if it is not in it. */
bool plm_match_remove(plm_match *self, plm_item *item);

/* The first item of this rank and tag, and the one after another; NULL at the end. */
plm_item *plm_match_first(const plm_match *self, int rank, uint64_t tag);
plm_item *plm_match_next(const plm_item *item);

/* Takes out any item; NULL if it is empty. */
plm_item *plm_match_pop(plm_match *self);

#endif
