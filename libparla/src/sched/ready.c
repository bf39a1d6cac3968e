/* ready.c - buckets of waiting tasks. The order is described in ready.h.
 *
 * There are few buckets: one for each pair of priority and set of devices that is in use. So they stand in one sorted list, and a
 * walk asks each of them for its oldest task. */
#include "sched/ready.h"

#include "base/error.h"

#include <stdlib.h>

int pl_ready_open(pl_place *place, pl_placed *placed, uint64_t devices, int priority)
{
    pl_bucket **at = &place->buckets;
    while (*at && (*at)->priority > priority)
        at = &(*at)->next;
    for (; *at && (*at)->priority == priority; at = &(*at)->next)
        if ((*at)->devices == devices && (*at)->is_transfer == placed->is_transfer)
            break;
    if (!*at || (*at)->priority != priority) {
        pl_bucket *bucket = calloc(1, sizeof *bucket);
        if (!bucket)
            return pl_error_set(PARLA_E_NOMEM, "no memory to queue a task");
        *bucket = (pl_bucket){.devices = devices, .priority = priority, .is_transfer = placed->is_transfer, .next = *at};
        *at = bucket;
    }
    (*at)->n_users++;
    placed->bucket = *at;
    return 0;
}

void pl_ready_close(pl_place *place, pl_placed *placed)
{
    pl_bucket *bucket = placed->bucket;
    placed->bucket = NULL;
    if (--bucket->n_users > 0)
        return;
    pl_bucket **at = &place->buckets;
    while (*at != bucket)
        at = &(*at)->next;
    *at = bucket->next;
    free(bucket);
}

static pl_ready_list *list_of(pl_placed *placed) { return placed->is_resumed ? &placed->bucket->resumed : &placed->bucket->fresh; }

void pl_ready_push(pl_place *place, pl_placed *placed)
{
    pl_ready_list *list = list_of(placed);
    placed->age = place->n_arrivals++;
    placed->next = NULL;
    placed->prev = list->last;
    if (list->last)
        list->last->next = placed;
    else
        list->first = placed;
    list->last = placed;
    place->n_queued++;
}

void pl_ready_remove(pl_place *place, pl_placed *placed)
{
    pl_ready_list *list = list_of(placed);
    if (list->cursor == placed)
        list->cursor = placed->next;
    if (placed->prev)
        placed->prev->next = placed->next;
    else
        list->first = placed->next;
    if (placed->next)
        placed->next->prev = placed->prev;
    else
        list->last = placed->prev;
    place->n_queued--;
}

static void rewind_list(pl_ready_list *list)
{
    list->cursor = list->first;
    list->n_seen = 0;
}

void pl_ready_rewind(pl_place *place)
{
    for (pl_bucket *bucket = place->buckets; bucket; bucket = bucket->next) {
        rewind_list(&bucket->resumed);
        rewind_list(&bucket->fresh);
    }
}

static bool can_go(const pl_bucket *bucket, uint64_t open, uint64_t reachable)
{
    return (bucket->devices & (bucket->is_transfer ? reachable : open)) != 0;
}

/* The list whose next task comes first, of the resumed or of the fresh ones. */
static pl_ready_list *best_list(pl_place *place, bool resumed, uint64_t open, uint64_t reachable)
{
    pl_ready_list *best = NULL;
    int priority = 0;
    for (pl_bucket *bucket = place->buckets; bucket; bucket = bucket->next) {
        if (best && bucket->priority < priority)
            break;
        pl_ready_list *list = resumed ? &bucket->resumed : &bucket->fresh;
        if (!list->cursor || list->n_seen >= PL_READY_LOOK_AHEAD || !can_go(bucket, open, reachable))
            continue;
        if (!best || list->cursor->age < best->cursor->age) {
            best = list;
            priority = bucket->priority;
        }
    }
    return best;
}

pl_placed *pl_ready_next(pl_place *place, uint64_t open, uint64_t reachable)
{
    pl_ready_list *list = best_list(place, true, open, reachable);
    if (!list)
        list = best_list(place, false, open, reachable);
    if (!list)
        return NULL;
    pl_placed *placed = list->cursor;
    list->cursor = placed->next;
    list->n_seen++;
    return placed;
}

void pl_ready_waits_for_turn(pl_placed *placed) { list_of(placed)->n_seen += PL_READY_TURN_WEIGHT - 1; }
