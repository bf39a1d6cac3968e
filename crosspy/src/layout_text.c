/* layout_text.c - layouts as text and back.
 *
 *   text   = "layout(" shape ";" cuts ";" period ";" places ")"
 *   shape  = "-" | number { "x" number }
 *   cuts   = "-" | cut { "|" cut }                cut   = "*" number | number { "+" number }
 *   period = "-" | number { "x" number }
 *   places = place { place }                      place = number ":" ( "cpu" | "gpu" ) number
 *
 * "*4" means blocks of 4 indices, the last one perhaps shorter. Spaces are allowed between all parts, and separate places. The
 * writer is in the manner of snprintf: it counts on after the buffer is full. */
#include "layout.h"

#include <parla/error.h>

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Write ------------------------------------------------------------------------------------------------------------------ */

typedef struct writer {
    char *out;
    size_t capacity, length;
} writer;

static void put(writer *w, const char *format, ...) PARLA_PRINTF(2, 3);

static void put(writer *w, const char *format, ...)
{
    size_t room = w->length < w->capacity ? w->capacity - w->length : 0;
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(room ? w->out + w->length : NULL, room, format, arguments);
    va_end(arguments);
    w->length += n > 0 ? (size_t)n : 0;
}

static void put_cuts(writer *w, const cx_layout *layout, int k)
{
    const cx_axis *axis = &layout->axis[k];
    if (!axis->cuts && axis->n_parts > 1) {
        put(w, "*%lld", (long long)axis->size);
        return;
    }
    for (int64_t i = 0; i < axis->n_parts; i++) {
        parla_range part = cx_layout_part(layout, k, i);
        put(w, "%s%lld", i ? "+" : "", (long long)(part.stop - part.start));
    }
}

size_t cx_layout_format(const cx_layout *layout, char *out, size_t capacity)
{
    writer w = {out, capacity, 0};
    const char *none = layout->ndim ? "" : "-";
    put(&w, "layout(%s", none);
    for (int k = 0; k < layout->ndim; k++) {
        put(&w, "%s%lld", k ? "x" : "", (long long)layout->axis[k].extent);
    }
    put(&w, "; %s", none);
    for (int k = 0; k < layout->ndim; k++) {
        put(&w, "%s", k ? "|" : "");
        put_cuts(&w, layout, k);
    }
    put(&w, "; %s", none);
    for (int k = 0; k < layout->ndim; k++) {
        put(&w, "%s%lld", k ? "x" : "", (long long)layout->period[k]);
    }
    put(&w, ";");
    for (int64_t i = 0; i < layout->n_cells; i++) {
        cx_place place = layout->places[layout->owner[i]];
        put(&w, " %d:%s%d", place.rank, place.arch == PARLA_ARCH_CPU ? "cpu" : "gpu", place.number);
    }
    put(&w, ")");
    return w.length;
}

/* --- Read ------------------------------------------------------------------------------------------------------------------- */

typedef struct reader {
    const char *text, *at;
} reader;

static int expected(const reader *r, const char *what)
{
    return parla_error_set(PARLA_E_INVALID, "layout text: %s expected at position %zu, found \"%.12s\"", what,
                           (size_t)(r->at - r->text), r->at);
}

static void skip_spaces(reader *r)
{
    while (isspace((unsigned char)*r->at)) {
        r->at++;
    }
}

/* Takes a word if it comes next. */
static bool take(reader *r, const char *word)
{
    skip_spaces(r);
    size_t length = strlen(word);
    if (strncmp(r->at, word, length) != 0) {
        return false;
    }
    r->at += length;
    return true;
}

static int need(reader *r, const char *word) { return take(r, word) ? PARLA_OK : expected(r, word); }

static int read_number(reader *r, int64_t *out)
{
    skip_spaces(r);
    if (!isdigit((unsigned char)*r->at)) {
        return expected(r, "a number");
    }
    int64_t value = 0;
    const char *begin = r->at;
    for (; isdigit((unsigned char)*r->at); r->at++) {
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *r->at - '0', &value)) {
            r->at = begin;
            return expected(r, "a number below 2^63");
        }
    }
    *out = value;
    return PARLA_OK;
}

/* Reads "-", or up to CX_MAX_NDIM numbers joined by "x". */
static int read_extents(reader *r, int *out_n, int64_t *out)
{
    int n = 0, err = PARLA_OK;
    if (!take(r, "-")) {
        do {
            if (n == CX_MAX_NDIM) {
                return expected(r, "at most 8 dimensions");
            }
            err = read_number(r, &out[n++]);
        } while (!err && take(r, "x"));
    }
    *out_n = n;
    return err;
}

/* A list that grows by doubling. */
typedef struct list {
    void *items;
    size_t count, capacity;
} list;

/* Room for one more item of `size` bytes, or NULL. */
static void *list_add(list *l, size_t size)
{
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? 2 * l->capacity : 16;
        void *items = realloc(l->items, capacity * size);
        if (!items) {
            return NULL;
        }
        l->items = items;
        l->capacity = capacity;
    }
    return (char *)l->items + l->count++ * size;
}

static int no_memory(void) { return parla_error_set(PARLA_E_NOMEM, "no memory to read a layout"); }

static int read_cut(reader *r, cx_axis *out, int k, int64_t extent)
{
    int64_t value;
    int err;
    if (take(r, "*")) {
        err = read_number(r, &value);
        return err ? err : cx_axis_regular(out, k, extent, value);
    }
    list sizes = {0};
    do {
        err = read_number(r, &value);
        int64_t *item = err ? NULL : list_add(&sizes, sizeof value);
        if (item) {
            *item = value;
        } else {
            err = err ? err : no_memory();
        }
    } while (!err && take(r, "+"));
    err = err ? err : cx_axis_sizes(out, k, extent, (int64_t)sizes.count, sizes.items);
    free(sizes.items);
    return err;
}

/* Reads one cut per dimension; on failure nothing is left to free. */
static int read_cuts(reader *r, int ndim, const int64_t *shape, cx_axis *out)
{
    if (ndim == 0) {
        return need(r, "-");
    }
    int err = PARLA_OK, k = 0;
    for (; !err && k < ndim; k++) {
        err = k ? need(r, "|") : PARLA_OK;
        err = err ? err : read_cut(r, &out[k], k, shape[k]);
    }
    for (int done = k - 2; err && done >= 0; done--) {
        cx_axis_fini(&out[done]);
    }
    return err;
}

static int read_place(reader *r, cx_place *out)
{
    int64_t rank, number;
    int err = read_number(r, &rank);
    err = err ? err : need(r, ":");
    if (err) {
        return err;
    }
    bool is_cpu = take(r, "cpu");
    err = is_cpu || take(r, "gpu") ? read_number(r, &number) : expected(r, "cpu or gpu");
    if (!err && (rank > INT32_MAX || number > INT32_MAX)) {
        err = expected(r, "before this, a rank and a number below 2^31");
    }
    if (!err) {
        *out = (cx_place){(int)rank, is_cpu ? PARLA_ARCH_CPU : PARLA_ARCH_GPU, (int)number};
    }
    return err;
}

/* Reads places up to the closing parenthesis. */
static int read_places(reader *r, list *out)
{
    while (!take(r, ")")) {
        cx_place *place = list_add(out, sizeof *place);
        int err = place ? read_place(r, place) : no_memory();
        if (err) {
            return err;
        }
    }
    skip_spaces(r);
    return *r->at ? expected(r, "nothing more") : PARLA_OK;
}

static int check_n_places(const reader *r, int ndim, const int64_t *period, size_t n_places)
{
    int64_t wanted = 1;
    for (int k = 0; k < ndim; k++) {
        if (__builtin_mul_overflow(wanted, period[k], &wanted)) {
            return expected(r, "before this, a smaller period");
        }
    }
    if ((uint64_t)wanted != n_places || wanted == 0) {
        return parla_error_set(PARLA_E_INVALID, "layout text: the period asks for %lld places, found %zu", (long long)wanted,
                               n_places);
    }
    return PARLA_OK;
}

/* Reads what follows the cuts. */
static int read_tail(reader *r, int ndim, int64_t *period, list *places)
{
    int n_period;
    int err = need(r, ";");
    err = err ? err : read_extents(r, &n_period, period);
    if (!err && n_period != ndim) {
        err = parla_error_set(PARLA_E_INVALID, "layout text: a period of %d dimensions for an array of %d", n_period, ndim);
    }
    err = err ? err : need(r, ";");
    err = err ? err : read_places(r, places);
    return err ? err : check_n_places(r, ndim, period, places->count);
}

int cx_layout_parse(cx_layout **out, const char *text)
{
    reader r = {text, text};
    int ndim;
    int64_t shape[CX_MAX_NDIM], period[CX_MAX_NDIM];
    cx_axis axes[CX_MAX_NDIM];
    cx_box whole;
    int err = need(&r, "layout(");
    err = err ? err : read_extents(&r, &ndim, shape);
    err = err ? err : cx_box_whole(&whole, ndim, shape);
    err = err ? err : need(&r, ";");
    err = err ? err : read_cuts(&r, ndim, shape, axes);
    if (err) {
        return err;
    }
    list places = {0};
    err = read_tail(&r, ndim, period, &places);
    if (err) {
        for (int k = 0; k < ndim; k++) {
            cx_axis_fini(&axes[k]);
        }
    } else {
        err = cx_layout_make(out, ndim, axes, period, NULL, places.items);
    }
    free(places.items);
    return err;
}
