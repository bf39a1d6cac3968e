/* match.c - a hash table whose buckets are lists, oldest item first.
 *
 * It doubles when there are twice as many items as buckets. Growing walks each old bucket from its front, so items of one (rank, tag),
 * which share a bucket before and after, keep their order. Without memory to grow it stays as it is and only becomes slower. */
#include "match.h"

#include <parla/error.h>

#include <stdlib.h>

enum { FIRST_BITS = 8, MOST_BITS = 24 };

static size_t bucket_of(const plm_match *self, int rank, uint64_t tag)
{
    uint64_t mixed = (tag ^ (uint64_t)rank * UINT64_C(0xd6e8feb86659fd93)) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(mixed >> (64 - self->bits));
}

static plm_match_bucket *new_buckets(unsigned bits)
{
    plm_match_bucket *buckets = malloc(sizeof *buckets << bits);
    for (size_t i = 0; buckets != NULL && i < (size_t)1 << bits; i++) {
        buckets[i] = (plm_match_bucket){NULL, &buckets[i].first};
    }
    return buckets;
}

int plm_match_init(plm_match *self)
{
    *self = (plm_match){.buckets = new_buckets(FIRST_BITS), .bits = FIRST_BITS};
    return self->buckets != NULL ? 0 : parla_error_set(PARLA_E_NOMEM, "no memory for the messages of a transport");
}

void plm_match_fini(plm_match *self) { free(self->buckets); }

static void push(plm_match *self, plm_item *item)
{
    size_t i = bucket_of(self, item->rank, item->tag);
    plm_match_bucket *bucket = &self->buckets[i];
    self->i_low = i < self->i_low ? i : self->i_low;
    item->next = NULL;
    *bucket->end = item;
    bucket->end = &item->next;
}

/* Takes out what *link points to. */
static plm_item *take(plm_match *self, plm_match_bucket *bucket, plm_item **link)
{
    plm_item *item = *link;
    *link = item->next;
    if (item->next == NULL) {
        bucket->end = link;
    }
    self->n_items--;
    return item;
}

static void grow(plm_match *self)
{
    plm_match_bucket *old = self->buckets, *larger = new_buckets(self->bits + 1);
    if (larger == NULL) {
        return;
    }
    size_t n_old = (size_t)1 << self->bits;
    self->buckets = larger;
    self->bits++;
    for (size_t i = 0; i < n_old; i++) {
        for (plm_item *item = old[i].first, *next; item != NULL; item = next) {
            next = item->next;
            push(self, item);
        }
    }
    free(old);
}

static bool is_partner(const plm_item *a, const plm_item *b)
{
    return a->tag == b->tag && a->rank == b->rank && a->is_receive != b->is_receive;
}

plm_item *plm_match_take(plm_match *self, const plm_item *item)
{
    plm_match_bucket *bucket = &self->buckets[bucket_of(self, item->rank, item->tag)];
    for (plm_item **link = &bucket->first; *link != NULL; link = &(*link)->next) {
        if (is_partner(*link, item)) {
            return take(self, bucket, link);
        }
    }
    return NULL;
}

void plm_match_add(plm_match *self, plm_item *item)
{
    if (self->n_items >= (size_t)2 << self->bits && self->bits < MOST_BITS) {
        grow(self);
    }
    push(self, item);
    self->n_items++;
}

bool plm_match_remove(plm_match *self, plm_item *item)
{
    plm_match_bucket *bucket = &self->buckets[bucket_of(self, item->rank, item->tag)];
    for (plm_item **link = &bucket->first; *link != NULL; link = &(*link)->next) {
        if (*link == item) {
            take(self, bucket, link);
            return true;
        }
    }
    return false;
}

static plm_item *find_from(plm_item *item, int rank, uint64_t tag)
{
    while (item != NULL && (item->rank != rank || item->tag != tag)) {
        item = item->next;
    }
    return item;
}

plm_item *plm_match_first(const plm_match *self, int rank, uint64_t tag)
{
    return find_from(self->buckets[bucket_of(self, rank, tag)].first, rank, tag);
}

plm_item *plm_match_next(const plm_item *item) { return find_from(item->next, item->rank, item->tag); }

plm_item *plm_match_pop(plm_match *self)
{
    if (self->n_items == 0) {
        return NULL;
    }
    while (self->buckets[self->i_low].first == NULL) {
        self->i_low++;
    }
    plm_match_bucket *bucket = &self->buckets[self->i_low];
    return take(self, bucket, &bucket->first);
}
