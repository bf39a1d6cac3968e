/* homes.c - the set, as a list without order: comparing two is quadratic, and they have one or two members. */
#include "data/homes.h"

#include "base/error.h"
#include "data/instance.h"

#include <stdlib.h>
#include <string.h>

static pl_home *list_of(pl_homes *homes) { return homes->capacity ? homes->more : homes->own; }

static uint32_t room_of(const pl_homes *homes) { return homes->capacity ? homes->capacity : PL_HOMES_OWN; }

const pl_home *pl_homes_find(const pl_homes *homes, const pl_instance *instance)
{
    const pl_home *list = pl_homes_list(homes);
    for (uint32_t i = 0; i < homes->n; i++)
        if (list[i].instance == instance)
            return &list[i];
    return NULL;
}

pl_instance *pl_homes_sole(const pl_homes *homes)
{
    const pl_home *list = pl_homes_list(homes);
    pl_instance *found = NULL;
    for (uint32_t i = 0; i < homes->n; i++) {
        if (list[i].is_arriving)
            continue;
        if (found)
            return NULL;
        found = list[i].instance;
    }
    return found;
}

pl_instance *pl_homes_current_on(const pl_homes *homes, int i_device)
{
    const pl_home *list = pl_homes_list(homes);
    for (uint32_t i = 0; i < homes->n; i++)
        if (!list[i].is_arriving && list[i].instance->i_device == i_device)
            return list[i].instance;
    return NULL;
}

bool pl_homes_are_equal(const pl_homes *a, const pl_homes *b)
{
    const pl_home *list = pl_homes_list(a);
    if (a->n != b->n)
        return false;
    for (uint32_t i = 0; i < a->n; i++) {
        const pl_home *other = pl_homes_find(b, list[i].instance);
        if (!other || other->is_arriving != list[i].is_arriving)
            return false;
    }
    return true;
}

pl_coherence pl_homes_summary(const pl_homes *homes)
{
    const pl_home *list = pl_homes_list(homes);
    pl_coherence summary = {0};
    for (uint32_t i = 0; i < homes->n; i++) {
        uint64_t device = UINT64_C(1) << list[i].instance->i_device;
        summary.valid |= list[i].is_arriving ? 0 : device;
        summary.arriving |= list[i].is_arriving ? device : 0;
    }
    return summary;
}

/* --- Changes ------------------------------------------------------------------------------------------------------------------ */

int pl_homes_reserve(pl_homes *homes, uint32_t n_more)
{
    if (homes->n + n_more <= room_of(homes))
        return 0;
    uint32_t capacity = homes->n + n_more > 2 * room_of(homes) ? homes->n + n_more : 2 * room_of(homes);
    pl_home *list = malloc(capacity * sizeof *list);
    if (!list)
        return pl_error_set(PARLA_E_NOMEM, "no memory for where a tile is");
    memcpy(list, list_of(homes), homes->n * sizeof *list);
    if (homes->capacity)
        free(homes->more);
    homes->more = list;
    homes->capacity = capacity;
    return 0;
}

int pl_homes_reserve_copy(pl_homes *homes, const pl_homes *from) { return pl_homes_reserve(homes, from->n); }

void pl_homes_copy(pl_homes *homes, const pl_homes *from)
{
    memcpy(list_of(homes), pl_homes_list(from), from->n * sizeof(pl_home));
    homes->n = from->n;
}

void pl_homes_add(pl_homes *homes, pl_instance *instance, bool is_arriving)
{
    PL_ASSERT(homes->n < room_of(homes) && !pl_homes_find(homes, instance));
    list_of(homes)[homes->n++] = (pl_home){instance, is_arriving};
}

void pl_homes_drop(pl_homes *homes, const pl_instance *instance)
{
    pl_home *list = list_of(homes);
    const pl_home *home = pl_homes_find(homes, instance);
    if (home)
        list[home - list] = list[--homes->n];
}

void pl_homes_arrive(pl_homes *homes, const pl_instance *instance, bool is_whole)
{
    pl_home *list = list_of(homes);
    const pl_home *home = pl_homes_find(homes, instance);
    PL_ASSERT(home && home->is_arriving);
    if (is_whole)
        list[home - list].is_arriving = false;
    else
        pl_homes_drop(homes, instance);
}

void pl_homes_set(pl_homes *homes, pl_instance *instance)
{
    homes->n = 0;
    pl_homes_add(homes, instance, false);
}

void pl_homes_clear(pl_homes *homes)
{
    if (homes->capacity)
        free(homes->more);
    *homes = (pl_homes){0};
}
