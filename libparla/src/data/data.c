/* data.c - array objects while no runtime is involved: made, described, destroyed.
 *
 * What tasks do with arrays is joined in sched/; the public functions that need a runtime are in api_data.c. */
#include "data/data.h"

#include "base/break.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/lock.h"
#include "base/strided.h"
#include "device/backends.h"

#include <stdlib.h>
#include <string.h>

static pl_lock attachment = PL_LOCK_INIT(NULL);

void pl_attachment_lock(void) { pl_lock_take(&attachment); }
void pl_attachment_unlock(void) { pl_lock_give(&attachment); }

static int check_options(const parla_data_options *options, size_t *out_n_bytes)
{
    if (!options || options->size != sizeof *options)
        return pl_error_set(PARLA_E_INVALID, "parla_data_options.size is not %zu: start from PARLA_DATA_OPTIONS_INIT",
                            sizeof *options);
    const parla_strided *host = &options->host;
    parla_strided contiguous;
    int rc = parla_strided_contiguous(&contiguous, NULL, host->item_bytes, host->ndim, host->extent);
    if (rc < 0)
        return rc;
    if (host->base && (rc = pl_strided_check_written(host)) < 0)
        return rc;
    *out_n_bytes = parla_strided_bytes(&contiguous);
    return 0;
}

/* The shape as parla_data_shape tells it. */
static void set_shape(parla_data *data, const parla_strided *host)
{
    data->shape = *host;
    if (!host->base) {
        int rc = parla_strided_contiguous(&data->shape, NULL, host->item_bytes, host->ndim, host->extent);
        PL_ASSERT(rc == 0); /* checked before */
        (void)rc;
        return;
    }
    data->host.memory = host->base;
    data->host.box = *host;
    data->host.is_given = true;
    pl_data_written(data, &data->tiles.root, &data->host);
}

int parla_data_create(parla_data **out, const parla_data_options *options)
{
    size_t n_bytes = 0;
    int rc = check_options(options, &n_bytes);
    if (rc < 0)
        return rc;
    parla_data *data = calloc(1, sizeof *data);
    char *name = options->name ? strdup(options->name) : NULL, *source = options->source ? strdup(options->source) : NULL;
    if (!data || (options->name && !name) || (options->source && !source)) {
        free(data);
        free(name);
        free(source);
        return pl_error_set(PARLA_E_NOMEM, "no memory for an array object");
    }
    atomic_init(&data->refs_shared, 1);
    data->n_bytes = n_bytes;
    data->name = name;
    data->source = source;
    data->release = options->release;
    data->ctx = options->ctx;
    data->host.data = data;
    data->host.is_whole = true;
    data->host.n_bytes = n_bytes;
    pl_tiles_init(&data->tiles, options->host.ndim, options->host.extent);
    set_shape(data, &options->host);
    *out = data;
    return 0;
}

parla_data *parla_data_ref(parla_data *data)
{
    pl_add_relaxed(&data->refs_shared, 1);
    return data;
}

bool pl_data_ref_if_alive(parla_data *data)
{
    uint32_t refs = pl_load_relaxed(&data->refs_shared);
    while (refs > 0)
        if (pl_cas_weak_acq_rel(&data->refs_shared, &refs, refs + 1))
            return true;
    return false;
}

const parla_strided *parla_data_shape(const parla_data *data) { return &data->shape; }
const char *parla_data_name(const parla_data *data) { return data->name ? data->name : ""; }

int pl_data_open_instances(parla_data *data, int n_devices)
{
    data->n_others = n_devices - 1;
    if (data->n_others == 0)
        return 0;
    data->others = calloc((size_t)data->n_others, sizeof data->others[0]);
    if (!data->others)
        return pl_error_set(PARLA_E_NOMEM, "no memory for the copies of %s", pl_data_label(data));
    return 0;
}

void pl_data_close_instances(parla_data *data)
{
    free(data->others);
    data->others = NULL;
    data->n_others = 0;
}

int pl_data_alloc_detached(parla_data *data)
{
    pl_instance *host = &data->host;
    void *memory;
    int rc = pl_backend_cpu.alloc(NULL, &memory, data->n_bytes);
    if (rc < 0)
        return rc;
    rc = parla_strided_contiguous(&host->box, memory, data->shape.item_bytes, data->shape.ndim, data->shape.extent);
    PL_ASSERT(rc == 0); /* the shape was checked when the array was made */
    host->memory = memory;
    return rc;
}

void pl_data_destroy(parla_data *data)
{
    PL_ASSERT(!data->others && !data->waiting);
    pl_tiles_fini(&data->tiles);
    pl_instance_free_detached(&data->host);
    if (data->release)
        data->release(data->ctx);
    free(data->source);
    free(data->name);
    free(data);
}

/* --- Where the content is ----------------------------------------------------------------------------------------------------- */

/* Adds a leaf to the accounts of its homes, or takes it away. */
static void account(const parla_data *data, const pl_tile *leaf, bool adds)
{
    size_t n = pl_data_tile_bytes(data, leaf);
    const pl_home *list = pl_homes_list(&leaf->homes);
    pl_instance *sole = pl_homes_sole(&leaf->homes);
    n = adds ? n : (size_t)0 - n;
    for (uint32_t i = 0; i < leaf->homes.n; i++)
        if (!list[i].is_arriving)
            list[i].instance->current_bytes += n;
    if (sole)
        sole->sole_bytes += n;
}

/* The masks go by the rules for devices (coherence.h), and are what the homes add up to. */
static void set_coherence(pl_tile *leaf, pl_coherence after)
{
    pl_coherence summary = pl_homes_summary(&leaf->homes);
    PL_ASSERT((after.valid == summary.valid && after.arriving == summary.arriving) || pl_is_broken(PL_BREAK_STALE) ||
              pl_is_broken(PL_BREAK_ARRIVE) || pl_is_broken(PL_BREAK_SETTLE));
    leaf->coherence = summary;
    (void)after;
}

void pl_data_leaving(parla_data *data, pl_tile *leaf, pl_instance *to)
{
    (void)data;
    pl_homes_add(&leaf->homes, to, true);
    set_coherence(leaf, pl_coherence_leaving(leaf->coherence, to->i_device));
}

void pl_data_arrived(parla_data *data, pl_tile *leaf, pl_instance *to, bool is_whole)
{
    if (!pl_homes_is_arriving(&leaf->homes, to)) { /* by a rule broken on purpose, somebody has written it meanwhile */
        PL_ASSERT(pl_is_broken(PL_BREAK_ARRIVE) || pl_is_broken(PL_BREAK_SETTLE));
        if (!pl_homes_find(&leaf->homes, to) && pl_homes_reserve(&leaf->homes, 1) == 0)
            pl_homes_add(&leaf->homes, to, true);
        else
            return;
    }
    account(data, leaf, false);
    pl_homes_arrive(&leaf->homes, to, is_whole);
    account(data, leaf, true);
    set_coherence(leaf, pl_coherence_arrived(leaf->coherence, to->i_device, is_whole));
}

void pl_data_written(parla_data *data, pl_tile *leaf, pl_instance *to)
{
    if (leaf->homes.n == 1 && pl_homes_is_current(&leaf->homes, to))
        return;
    bool stays = pl_is_broken(PL_BREAK_STALE) && (pl_homes_find(&leaf->homes, to) || pl_homes_reserve(&leaf->homes, 1) == 0);
    account(data, leaf, false);
    if (!stays)
        pl_homes_set(&leaf->homes, to);
    else if (!pl_homes_find(&leaf->homes, to))
        pl_homes_add(&leaf->homes, to, false);
    account(data, leaf, true);
    set_coherence(leaf, pl_coherence_written(to->i_device));
}

void pl_data_lost(parla_data *data, pl_tile *leaf)
{
    account(data, leaf, false);
    pl_homes_clear(&leaf->homes);
    leaf->coherence = (pl_coherence){0};
}

static void drop(parla_data *data, pl_tile *leaf, pl_instance *instance, bool is_evicted)
{
    account(data, leaf, false);
    pl_homes_drop(&leaf->homes, instance);
    account(data, leaf, true);
    bool is_elsewhere_there = pl_homes_current_on(&leaf->homes, instance->i_device) != NULL;
    set_coherence(leaf, is_elsewhere_there ? leaf->coherence : pl_coherence_dropped(leaf->coherence, instance->i_device));
    if (is_evicted && !is_elsewhere_there)
        leaf->evicted |= UINT64_C(1) << instance->i_device;
}

void pl_data_forget(parla_data *data, pl_instance *instance, bool is_evicted)
{
    pl_tile *root = &data->tiles.root;
    for (pl_tile *leaf = pl_tile_first(root); leaf && instance->current_bytes > 0; leaf = pl_tile_next(leaf, root))
        if (pl_homes_is_current(&leaf->homes, instance))
            drop(data, leaf, instance, is_evicted);
    pl_tile_hold(root);
    pl_tile_release(&data->tiles, root);
}

pl_instance *pl_data_find(parla_data *data, int i_device, const pl_span *spans, pl_tile *near)
{
    pl_instance *at = pl_data_first(data, i_device);
    const pl_homes *homes = near ? &pl_tile_first(near)->homes : NULL;
    const pl_home *list = homes ? pl_homes_list(homes) : NULL;
    if (i_device == 0 || !at)
        return at;
    for (uint32_t i = 0; homes && i < homes->n; i++)
        if (list[i].instance->i_device == i_device && pl_instance_covers(list[i].instance, spans))
            return list[i].instance;
    while (at && !pl_instance_covers(at, spans))
        at = at->next;
    return at;
}

bool pl_data_has_content(parla_data *data)
{
    pl_tile *root = &data->tiles.root;
    for (pl_tile *leaf = pl_tile_first(root); leaf; leaf = pl_tile_next(leaf, root))
        if (leaf->coherence.valid)
            return true;
    return false;
}

uint64_t pl_data_valid_mask(pl_tile *top)
{
    uint64_t mask = ~UINT64_C(0), any = 0;
    for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top)) {
        any |= leaf->coherence.valid;
        if (leaf->coherence.valid)
            mask &= leaf->coherence.valid;
    }
    return any ? mask : 0;
}

/* --- Regions ------------------------------------------------------------------------------------------------------------------ */

static int check_range(const parla_data *data, int k, const parla_range *range)
{
    int64_t extent = data->shape.extent[k];
    if (range->step < 1)
        return pl_error_set(PARLA_E_INVALID, "%s, dimension %d: the step is %lld, it must be at least 1", pl_data_label(data), k,
                            (long long)range->step);
    if (range->start < 0 || range->stop < range->start || range->stop > extent)
        return pl_error_set(PARLA_E_INVALID, "%s, dimension %d: the range %lld to %lld is not inside 0 to %lld",
                            pl_data_label(data), k, (long long)range->start, (long long)range->stop, (long long)extent);
    return 0;
}

int pl_data_check_region(const parla_data *data, const parla_range *region, bool *out_is_whole)
{
    bool is_whole = true;
    for (int k = 0; region && k < data->shape.ndim; k++) {
        int rc = check_range(data, k, &region[k]);
        if (rc < 0)
            return rc;
        is_whole = is_whole && region[k].start == 0 && region[k].stop == data->shape.extent[k] &&
                   (region[k].step == 1 || data->shape.extent[k] <= 1);
    }
    *out_is_whole = is_whole;
    return 0;
}

parla_strided pl_box_region(const parla_strided *box, const parla_range *region)
{
    parla_strided part = *box;
    char *base = box->base;
    for (int k = 0; region && k < box->ndim; k++) {
        int64_t length = region[k].stop - region[k].start;
        base += region[k].start * box->stride[k];
        part.extent[k] = length == 0 ? 0 : (length - 1) / region[k].step + 1;
        part.stride[k] = box->stride[k] * region[k].step;
    }
    part.base = base;
    return part;
}

parla_strided pl_box_part(const parla_strided *box, const pl_span *spans)
{
    parla_strided part = *box;
    char *base = box->base;
    for (int k = 0; k < box->ndim; k++) {
        base += spans[k].start * box->stride[k];
        part.extent[k] = spans[k].n;
        part.stride[k] = box->stride[k] * spans[k].step;
    }
    part.base = base;
    return part;
}
