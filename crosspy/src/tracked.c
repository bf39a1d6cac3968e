/* tracked.c - versions of blocks, and who has the newest one.
 *
 * The owner remembers which ranks it has sent the newest version to: a word for each block, and where there are more ranks than bits, a
 * row of words that is made when a block is first sent. Copies are dropped when a newer version is announced; tasks that still read one
 * keep it alive. */
#include "tracked.h"

#include <parla/data.h>
#include <parla/error.h>

#include <stdlib.h>

int cx_tracked_create(cx_tracked **out, const cx_layout *layout, size_t item_bytes, parla_data *const *blocks, int rank)
{
    int64_t n = cx_layout_n_blocks(layout);
    cx_tracked *array = calloc(1, sizeof *array + (size_t)n * sizeof array->blocks[0]);
    if (!array) {
        return parla_error_set(PARLA_E_NOMEM, "no memory for the versions of %lld blocks", (long long)n);
    }
    array->layout = cx_layout_ref(layout);
    array->rank = rank;
    array->item_bytes = item_bytes;
    array->n_blocks = n;
    for (int64_t i = 0; i < n; i++) {
        cx_block block;
        int err = cx_layout_block(layout, i, &block);
        if (!err && block.place.rank == rank && !blocks[i]) {
            err = parla_error_set(PARLA_E_INVALID, "block %lld belongs to this rank but is missing", (long long)i);
        }
        if (err) {
            cx_tracked_destroy(array);
            return err;
        }
        array->blocks[i] = (cx_tracked_block){.rank = block.place.rank, .is_empty = cx_box_is_empty(&block.box)};
        if (block.place.rank == rank) {
            array->blocks[i].own = parla_data_ref(blocks[i]);
        }
    }
    *out = array;
    return PARLA_OK;
}

void cx_tracked_destroy(cx_tracked *array)
{
    if (!array) {
        return;
    }
    for (int64_t i = 0; i < array->n_blocks; i++) {
        parla_data_unref(array->blocks[i].own);
        parla_data_unref(array->blocks[i].copy);
    }
    cx_layout_unref(array->layout);
    free(array->many_holders);
    free(array);
}

static uint64_t *holders_of(cx_tracked *array, int64_t i_block, int rank, int n_ranks)
{
    if (n_ranks <= 64) {
        return &array->blocks[i_block].holders;
    }
    if (!array->many_holders) {
        array->n_words = ((size_t)n_ranks + 63) / 64;
        array->many_holders = calloc((size_t)array->n_blocks * array->n_words, sizeof(uint64_t));
    }
    return array->many_holders ? &array->many_holders[(size_t)i_block * array->n_words + (size_t)rank / 64] : NULL;
}

int cx_tracked_note_holder(cx_tracked *array, int64_t i_block, int rank, int n_ranks, bool *out_had)
{
    uint64_t *word = holders_of(array, i_block, rank, n_ranks), bit = UINT64_C(1) << (rank % 64);
    if (!word) {
        return parla_error_set(PARLA_E_NOMEM, "no memory for who has which block among %d ranks", n_ranks);
    }
    *out_had = *word & bit;
    *word |= bit;
    return PARLA_OK;
}

void cx_tracked_renew(cx_tracked *array, int64_t i_block, int holder)
{
    cx_tracked_block *block = &array->blocks[i_block];
    block->version++;
    if (block->copy && holder != array->rank) {
        parla_data_unref(block->copy);
        block->copy = NULL;
    }
    block->holders = UINT64_C(1) << (holder % 64);
    for (size_t i = 0; array->many_holders && i < array->n_words; i++) {
        array->many_holders[(size_t)i_block * array->n_words + i] = i == (size_t)holder / 64 ? block->holders : 0;
    }
}

int cx_tracked_copy(cx_tracked *array, int64_t i_block, parla_data **out, bool *out_is_new)
{
    cx_tracked_block *state = &array->blocks[i_block];
    parla_data_options options = PARLA_DATA_OPTIONS_INIT;
    int64_t extent[CX_MAX_NDIM];
    cx_block block;
    *out = state->copy;
    *out_is_new = !state->copy;
    if (state->copy) {
        return PARLA_OK;
    }
    int err = cx_layout_block(array->layout, i_block, &block);
    for (int k = 0; !err && k < block.box.ndim; k++) {
        extent[k] = cx_range_count(block.box.range[k]);
    }
    err = err ? err : parla_strided_contiguous(&options.host, NULL, array->item_bytes, block.box.ndim, extent);
    options.name = "copy of a block";
    options.source = NULL;
    err = err ? err : parla_data_create(&state->copy, &options);
    *out = state->copy;
    return err;
}
