/* plan_cache.c - plans by what they were made from.
 *
 * A hash table of singly linked chains; each plan carries its hash, and the time of its last use in lookups. A full cache drops
 * the plan whose last use is oldest, found by looking at all: dropping comes with making a plan, which costs more. Plans are
 * counted, so one that is dropped lives on while somebody uses it. One mutex guards everything; plans are made outside it, and if
 * two threads make the same one the first to come back is kept. */
#include "plan.h"

#include <parla/error.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    struct entry *next;
    cx_plan *plan;
    uint64_t last_use;
} entry;

struct cx_plan_cache {
    size_t capacity;
    size_t n_chains; /* a power of two */
    pthread_mutex_t lock;
    /* guarded by the lock */
    entry **chains;
    size_t n_plans;
    uint64_t n_hits, n_misses;
};

int cx_plan_cache_create(cx_plan_cache **out, size_t capacity)
{
    if (capacity == 0) {
        return parla_error_set(PARLA_E_INVALID, "a cache of 0 plans");
    }
    size_t n_chains = 1;
    while (n_chains < capacity) {
        n_chains *= 2;
    }
    cx_plan_cache *cache = calloc(1, sizeof *cache);
    entry **chains = calloc(n_chains, sizeof(entry *));
    if (!cache || !chains || pthread_mutex_init(&cache->lock, NULL) != 0) {
        free(cache);
        free(chains);
        return parla_error_set(PARLA_E_NOMEM, "no memory for a cache of %zu plans", capacity);
    }
    cache->capacity = capacity;
    cache->n_chains = n_chains;
    cache->chains = chains;
    *out = cache;
    return PARLA_OK;
}

static void entry_destroy(entry *e)
{
    cx_plan_unref(e->plan);
    free(e);
}

void cx_plan_cache_destroy(cx_plan_cache *cache)
{
    if (!cache) {
        return;
    }
    for (size_t i = 0; i < cache->n_chains; i++) {
        for (entry *e = cache->chains[i], *next; e; e = next) {
            next = e->next;
            entry_destroy(e);
        }
    }
    pthread_mutex_destroy(&cache->lock);
    free(cache->chains);
    free(cache);
}

static bool same_axes(const cx_view *a, const cx_view *b)
{
    if (a->dropped != b->dropped || a->is_arranged != b->is_arranged) {
        return false;
    }
    return !a->is_arranged || (a->n_axes == b->n_axes && memcmp(a->axes, b->axes, (size_t)a->n_axes) == 0);
}

static bool same_view(const cx_view *a, const cx_view *b)
{
    return same_axes(a, b) && cx_box_equal(&a->box, &b->box) && cx_layout_equal(a->layout, b->layout);
}

/* The equality of boxes does not tell empty ones of different shape apart, and plans of those may have to be refused: they are
 * made anew. */
static bool is_cacheable(const cx_view *dst, const cx_view *src)
{
    return !cx_box_is_empty(&dst->box) && !cx_box_is_empty(&src->box);
}

static entry *find_locked(cx_plan_cache *cache, uint64_t key, const cx_view *dst, const cx_view *src, size_t item_bytes)
{
    for (entry *e = cache->chains[key & (cache->n_chains - 1)]; e; e = e->next) {
        cx_plan *plan = e->plan;
        if (plan->key == key && plan->item_bytes == item_bytes && same_view(&plan->dst, dst) && same_view(&plan->src, src)) {
            return e;
        }
    }
    return NULL;
}

/* Takes the entry that was not used for longest out of the table. */
static entry *remove_oldest_locked(cx_plan_cache *cache)
{
    entry **oldest = NULL;
    for (size_t i = 0; i < cache->n_chains; i++) {
        for (entry **link = &cache->chains[i]; *link; link = &(*link)->next) {
            if (!oldest || (*link)->last_use < (*oldest)->last_use) {
                oldest = link;
            }
        }
    }
    entry *e = *oldest;
    *oldest = e->next;
    cache->n_plans--;
    return e;
}

/* Returns the plan to use, with a reference for the caller: `plan`, or one that another thread has put there meanwhile. */
static cx_plan *insert(cx_plan_cache *cache, cx_plan *plan)
{
    entry *fresh = malloc(sizeof *fresh), *dropped = NULL;
    if (!fresh) {
        return plan; /* works, only not kept */
    }
    pthread_mutex_lock(&cache->lock);
    entry *found = find_locked(cache, plan->key, &plan->dst, &plan->src, plan->item_bytes);
    cx_plan *kept = found ? cx_plan_ref(found->plan) : plan;
    if (!found) {
        dropped = cache->n_plans == cache->capacity ? remove_oldest_locked(cache) : NULL;
        entry **chain = &cache->chains[plan->key & (cache->n_chains - 1)];
        *fresh = (entry){*chain, cx_plan_ref(plan), cache->n_hits + cache->n_misses};
        *chain = fresh;
        cache->n_plans++;
    }
    pthread_mutex_unlock(&cache->lock);
    if (found) {
        cx_plan_unref(plan);
        free(fresh);
    }
    if (dropped) {
        entry_destroy(dropped);
    }
    return kept;
}

int cx_plan_cache_get(cx_plan_cache *cache, cx_plan **out, const cx_view *dst, const cx_view *src, size_t item_bytes)
{
    if (!is_cacheable(dst, src)) {
        return cx_plan_create(out, dst, src, item_bytes);
    }
    uint64_t key = cx_plan_key(dst, src, item_bytes);
    pthread_mutex_lock(&cache->lock);
    entry *found = find_locked(cache, key, dst, src, item_bytes);
    cx_plan *plan = found ? cx_plan_ref(found->plan) : NULL;
    if (found) {
        found->last_use = cache->n_hits++ + cache->n_misses;
    } else {
        cache->n_misses++;
    }
    pthread_mutex_unlock(&cache->lock);
    if (!plan) {
        int err = cx_plan_create(&plan, dst, src, item_bytes);
        if (err) {
            return err;
        }
        plan = insert(cache, plan);
    }
    *out = plan;
    return PARLA_OK;
}

int cx_plan_cache_query(cx_plan_cache *cache, cx_plan_cache_info *out)
{
    if (out->size != sizeof *out) {
        return parla_error_set(PARLA_E_INVALID, "cx_plan_cache_info.size is %zu, not %zu", out->size, sizeof *out);
    }
    pthread_mutex_lock(&cache->lock);
    out->n_plans = cache->n_plans;
    out->n_hits = cache->n_hits;
    out->n_misses = cache->n_misses;
    pthread_mutex_unlock(&cache->lock);
    return PARLA_OK;
}
