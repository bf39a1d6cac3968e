/* data.c - array objects while no runtime is involved: made, described, destroyed.
 *
 * What tasks do with arrays is joined in sched/; the public functions that need a runtime are in api_data.c. */
#include "data/data.h"

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
    pl_data_set_coherence(data, &data->tiles.root, pl_coherence_written(0));
}

int parla_data_create(parla_data **out, const parla_data_options *options)
{
    size_t n_bytes = 0;
    int rc = check_options(options, &n_bytes);
    if (rc < 0)
        return rc;
    parla_data *data = calloc(1, sizeof *data);
    char *name = options->name ? strdup(options->name) : NULL;
    if (!data || (options->name && !name)) {
        free(data);
        free(name);
        return pl_error_set(PARLA_E_NOMEM, "no memory for an array object");
    }
    atomic_init(&data->refs_shared, 1);
    data->n_bytes = n_bytes;
    data->name = name;
    data->release = options->release;
    data->ctx = options->ctx;
    data->host.data = data;
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
    for (int i = 0; i < data->n_others; i++) {
        data->others[i].data = data;
        data->others[i].i_device = i + 1;
    }
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
    free(data->name);
    free(data);
}

/* --- Where the content is ----------------------------------------------------------------------------------------------------- */

static void account(parla_data *data, const pl_tile *leaf, pl_coherence after)
{
    size_t n = pl_data_tile_bytes(data, leaf);
    int owner = pl_coherence_owner(leaf->coherence), next_owner = pl_coherence_owner(after);
    for (uint64_t left = leaf->coherence.valid & ~after.valid; left; left &= left - 1)
        pl_data_instance(data, __builtin_ctzll(left))->current_bytes -= n;
    for (uint64_t left = after.valid & ~leaf->coherence.valid; left; left &= left - 1)
        pl_data_instance(data, __builtin_ctzll(left))->current_bytes += n;
    if (owner >= 0)
        pl_data_instance(data, owner)->sole_bytes -= n;
    if (next_owner >= 0)
        pl_data_instance(data, next_owner)->sole_bytes += n;
}

void pl_data_set_coherence(parla_data *data, pl_tile *leaf, pl_coherence after)
{
    if (leaf->coherence.valid != after.valid)
        account(data, leaf, after);
    leaf->coherence = after;
}

void pl_data_forget_copy(parla_data *data, int i_device)
{
    pl_tile *root = &data->tiles.root;
    for (pl_tile *leaf = pl_tile_first(root); leaf; leaf = pl_tile_next(leaf, root))
        pl_data_set_coherence(data, leaf, pl_coherence_dropped(leaf->coherence, i_device));
    pl_tile_hold(root);
    pl_tile_release(&data->tiles, root);
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
