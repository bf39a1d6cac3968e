/* box.c - see box.h.
 *
 * pack and unpack walk the items like an odometer, row by row of the last dimension; they may begin and end inside an item, since
 * whoever moves a message in pieces cuts it anywhere. */
#include "box.h"

#include <parla/error.h>

#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES ((size_t)64 * 1024)

int plm_box_check(const parla_strided *box, bool is_written)
{
    parla_strided same_shape;
    int code = parla_strided_contiguous(&same_shape, box->base, box->item_bytes, box->ndim, box->extent);
    if (code != 0 || parla_strided_bytes(box) == 0) {
        return code;
    }
    if (box->base == NULL) {
        return parla_error_set(PARLA_E_INVALID, "the memory of a transfer is NULL");
    }
    for (int k = 0; is_written && k < box->ndim; k++) {
        if (box->stride[k] == 0 && box->extent[k] > 1) {
            return parla_error_set(PARLA_E_INVALID,
                                   "dimension %d of the memory to receive into has stride 0, so its %lld elements overlap", k,
                                   (long long)box->extent[k]);
        }
    }
    return 0;
}

void plm_box_simplify(parla_strided *out, const parla_strided *box)
{
    parla_strided simple = {.base = box->base, .item_bytes = box->item_bytes, .ndim = 0};
    if (parla_strided_bytes(box) == 0) {
        *out = (parla_strided){.base = box->base};
        return;
    }
    for (int k = 0; k < box->ndim; k++) {
        int last = simple.ndim - 1;
        if (box->extent[k] == 1) {
            continue;
        }
        if (last >= 0 && simple.stride[last] == box->extent[k] * box->stride[k]) {
            simple.extent[last] *= box->extent[k];
            simple.stride[last] = box->stride[k];
        } else {
            simple.extent[last + 1] = box->extent[k];
            simple.stride[last + 1] = box->stride[k];
            simple.ndim++;
        }
    }
    if (simple.ndim > 0 && simple.stride[simple.ndim - 1] == (int64_t)simple.item_bytes) {
        simple.item_bytes *= (size_t)simple.extent[--simple.ndim];
    }
    *out = simple;
}

/* --- Walking ----------------------------------------------------------------------------------------------------------------- */

typedef struct walk {
    const parla_strided *box;
    char *at; /* the item that `index` names */
    int64_t index[PARLA_MAX_NDIM];
} walk;

static walk walk_begin(const parla_strided *box, size_t i_item)
{
    walk self = {.box = box, .at = box->base};
    for (int k = box->ndim - 1; k >= 0; k--) {
        self.index[k] = (int64_t)(i_item % (size_t)box->extent[k]);
        i_item /= (size_t)box->extent[k];
        self.at += self.index[k] * box->stride[k];
    }
    return self;
}

/* Items from here to the end of the row. */
static size_t walk_row(const walk *self)
{
    int last = self->box->ndim - 1;
    return last < 0 ? 1 : (size_t)(self->box->extent[last] - self->index[last]);
}

/* Goes on by n items, at most to the end of the row. */
static void walk_step(walk *self, size_t n)
{
    const parla_strided *box = self->box;
    int k = box->ndim - 1;
    if (k < 0) {
        return;
    }
    self->index[k] += (int64_t)n;
    self->at += (int64_t)n * box->stride[k];
    while (self->index[k] == box->extent[k]) {
        self->at -= box->extent[k] * box->stride[k];
        self->index[k] = 0;
        if (--k < 0) {
            return;
        }
        self->index[k]++;
        self->at += box->stride[k];
    }
}

/* The usual item sizes get a loop of their own, in which the copy is one or two instructions. */
#define ITEM_LOOP(bytes)                                                                                                           \
    case bytes:                                                                                                                    \
        for (size_t i = 0; i < n; i++, to += to_stride, from += from_stride) {                                                     \
            memcpy(to, from, bytes);                                                                                               \
        }                                                                                                                          \
        return

static void copy_items(char *to, int64_t to_stride, const char *from, int64_t from_stride, size_t item_bytes, size_t n)
{
    switch (item_bytes) {
        ITEM_LOOP(1);
        ITEM_LOOP(2);
        ITEM_LOOP(4);
        ITEM_LOOP(8);
        ITEM_LOOP(16);
    default:
        for (size_t i = 0; i < n; i++, to += to_stride, from += from_stride) {
            memcpy(to, from, item_bytes);
        }
    }
}

static void move(const parla_strided *box, size_t offset, char *flat, size_t n_bytes, bool is_pack)
{
    if (n_bytes == 0) {
        return;
    }
    size_t item = box->item_bytes, within = offset % item;
    walk position = walk_begin(box, offset / item);
    int64_t stride = box->ndim > 0 ? box->stride[box->ndim - 1] : 0;
    while (n_bytes > 0) {
        size_t n_items = 1, piece = item - within < n_bytes ? item - within : n_bytes;
        if (piece == item) {
            size_t row = walk_row(&position), wanted = n_bytes / item;
            n_items = row < wanted ? row : wanted;
            piece = n_items * item;
        }
        size_t one = n_items > 1 ? item : piece;
        if (is_pack) {
            copy_items(flat, (int64_t)one, position.at + within, stride, one, n_items);
        } else {
            copy_items(position.at + within, stride, flat, (int64_t)one, one, n_items);
        }
        walk_step(&position, n_items);
        flat += piece;
        n_bytes -= piece;
        within = 0;
    }
}

void plm_box_pack(const parla_strided *simple, size_t offset, void *to, size_t n) { move(simple, offset, to, n, true); }

void plm_box_unpack(const parla_strided *simple, size_t offset, const void *from, size_t n)
{
    move(simple, offset, (void *)(uintptr_t)from, n, false); /* only read */
}

/* --- Copying ----------------------------------------------------------------------------------------------------------------- */

void plm_box_range(const parla_strided *box, uintptr_t *out_low, uintptr_t *out_high)
{
    *out_low = (uintptr_t)box->base;
    *out_high = (uintptr_t)box->base + box->item_bytes;
    for (int k = 0; k < box->ndim; k++) {
        int64_t reach = (box->extent[k] - 1) * box->stride[k];
        *(reach < 0 ? out_low : out_high) += (uintptr_t)reach;
    }
}

static bool may_overlap(const parla_strided *a, const parla_strided *b)
{
    uintptr_t a_low, a_high, b_low, b_high;
    plm_box_range(a, &a_low, &a_high);
    plm_box_range(b, &b_low, &b_high);
    return a_low < b_high && b_low < a_high;
}

static bool has_same_shape(const parla_strided *a, const parla_strided *b)
{
    return a->item_bytes == b->item_bytes && a->ndim == b->ndim &&
           memcmp(a->extent, b->extent, (size_t)a->ndim * sizeof a->extent[0]) == 0;
}

int plm_box_copy(const parla_strided *dst, const parla_strided *src)
{
    size_t n_bytes = parla_strided_bytes(src);
    if (n_bytes == 0) {
        return 0;
    }
    bool is_one_piece = may_overlap(dst, src); /* then all is read before anything is written */
    if (!is_one_piece && has_same_shape(dst, src)) {
        return parla_strided_copy(dst, src);
    }
    if (!is_one_piece && plm_box_is_contiguous(dst)) {
        plm_box_pack(src, 0, dst->base, n_bytes);
        return 0;
    }
    if (!is_one_piece && plm_box_is_contiguous(src)) {
        plm_box_unpack(dst, 0, src->base, n_bytes);
        return 0;
    }
    size_t piece = is_one_piece || n_bytes < PIECE_BYTES ? n_bytes : PIECE_BYTES;
    char *buffer = malloc(piece);
    if (buffer == NULL) {
        return parla_error_set(PARLA_E_NOMEM, "no memory for a buffer of %zu bytes", piece);
    }
    for (size_t offset = 0; offset < n_bytes; offset += piece) {
        size_t n = n_bytes - offset < piece ? n_bytes - offset : piece;
        plm_box_pack(src, offset, buffer, n);
        plm_box_unpack(dst, offset, buffer, n);
    }
    free(buffer);
    return 0;
}
