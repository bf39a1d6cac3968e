/* picture.c - from records to lines.
 *
 * Viewers draw a line as a stack of spans and get it wrong when two spans overlap without one containing the other. Steps of one
 * thread normally nest, but a copy or a launched task may end in any order; so each row has as many lanes as are needed for spans
 * to nest in each. A lane's open spans are a stack linked through `parent`.
 *
 * An arrow leaves the last step of its first task and points at the first step of its second: a suspended task has several. */
#include "trace/picture.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

#define NO_SPAN SIZE_MAX

typedef struct lanes {
    size_t *top; /* innermost open span of each lane, or NO_SPAN */
    uint32_t n, capacity;
} lanes;

/* A step of a task, for looking up by number. */
typedef struct step {
    uint64_t id;
    uint64_t t0_ns;
    size_t i_span;
} step;

/* --- Collecting -------------------------------------------------------------------------------------------------------------- */

static bool is_of_session(const pl_row *row, const pl_trace *trace)
{
    return pl_load_acquire(&row->session_shared) == trace->last_session; /* pairs with R2 in row.c */
}

typedef struct counts {
    size_t n_spans, n_edges;
} counts;

static int compare_rows(const void *a, const void *b)
{
    return strverscmp(((const pl_picture_row *)a)->row->name, ((const pl_picture_row *)b)->row->name);
}

static size_t count_rows(const pl_trace *trace)
{
    size_t n = 0;
    for (const pl_row *row = trace->rows; row != NULL; row = row->next) {
        n++;
    }
    return n;
}

/* Takes the rows of the session, and what each has by now: threads that were in the middle of a record when the trace was stopped may go on
 * recording, and rows that join now are left out with all that they have. */
static counts collect_rows(pl_picture *picture, const pl_trace *trace)
{
    counts sum = {0, 0};
    for (const pl_row *row = trace->rows; row != NULL; row = row->next) {
        if (!is_of_session(row, trace)) {
            continue;
        }
        pl_row_cursor cursor = pl_row_walk(row);
        picture->rows[picture->n_rows++] = (pl_picture_row){.row = row, .records = cursor};
        picture->n_dropped += pl_load_relaxed(&row->n_dropped_shared);
        for (const pl_trace_record *record; (record = pl_row_next(&cursor)) != NULL;) {
            *(record->kind == PL_TRACE_EDGE ? &sum.n_edges : &sum.n_spans) += 1;
        }
    }
    qsort(picture->rows, picture->n_rows, sizeof *picture->rows, compare_rows);
    return sum;
}

static void collect_spans(pl_picture *picture)
{
    for (size_t i = 0; i < picture->n_rows; i++) {
        pl_row_cursor cursor = picture->rows[i].records;
        for (const pl_trace_record *record; (record = pl_row_next(&cursor)) != NULL;) {
            if (record->kind != PL_TRACE_EDGE) {
                picture->spans[picture->n_spans++] = (pl_picture_span){.record = record, .i_row = i, .parent = NO_SPAN};
            }
        }
    }
}

/* --- Lanes ------------------------------------------------------------------------------------------------------------------- */

static int compare_spans(const void *a, const void *b)
{
    const pl_picture_span *x = a, *y = b;
    if (x->i_row != y->i_row) {
        return x->i_row < y->i_row ? -1 : 1;
    }
    if (x->record->t0_ns != y->record->t0_ns) {
        return x->record->t0_ns < y->record->t0_ns ? -1 : 1;
    }
    return (x->record->t1_ns < y->record->t1_ns) - (x->record->t1_ns > y->record->t1_ns);
}

/* True if the span nests in the lane; then it becomes the lane's innermost. */
static bool enter_lane(pl_picture_span *spans, size_t i_span, size_t *top)
{
    const pl_trace_record *record = spans[i_span].record;
    while (*top != NO_SPAN && spans[*top].record->t1_ns <= record->t0_ns) {
        *top = spans[*top].parent;
    }
    if (*top != NO_SPAN && spans[*top].record->t1_ns < record->t1_ns) {
        return false;
    }
    spans[i_span].parent = *top;
    *top = i_span;
    return true;
}

static bool add_lane(lanes *open, size_t i_span)
{
    if (open->n == open->capacity) {
        uint32_t capacity = open->capacity == 0 ? 8 : open->capacity * 2;
        size_t *top = realloc(open->top, capacity * sizeof *top);
        if (top == NULL) {
            return false;
        }
        open->top = top;
        open->capacity = capacity;
    }
    open->top[open->n++] = i_span;
    return true;
}

static bool place_span(pl_picture_span *spans, size_t i_span, lanes *open)
{
    for (uint32_t i = 0; i < open->n; i++) {
        if (enter_lane(spans, i_span, &open->top[i])) {
            spans[i_span].line = i;
            return true;
        }
    }
    spans[i_span].line = open->n;
    return add_lane(open, i_span);
}

static bool arrange(pl_picture *picture)
{
    lanes open = {NULL, 0, 0};
    bool has_room = true;
    uint32_t line = 1;
    size_t i_span = 0;
    qsort(picture->spans, picture->n_spans, sizeof *picture->spans, compare_spans);
    for (size_t i_row = 0; i_row < picture->n_rows; i_row++) {
        open.n = 0;
        picture->rows[i_row].first_line = line;
        for (; has_room && i_span < picture->n_spans && picture->spans[i_span].i_row == i_row; i_span++) {
            has_room = place_span(picture->spans, i_span, &open);
            picture->spans[i_span].line += line;
        }
        picture->rows[i_row].n_lanes = open.n;
        line += open.n;
    }
    free(open.top);
    return has_room;
}

/* --- Arrows ------------------------------------------------------------------------------------------------------------------ */

static int compare_steps(const void *a, const void *b)
{
    const step *x = a, *y = b;
    if (x->id != y->id) {
        return x->id < y->id ? -1 : 1;
    }
    return (x->t0_ns > y->t0_ns) - (x->t0_ns < y->t0_ns);
}

static size_t collect_steps(const pl_picture *picture, step *out)
{
    size_t n = 0;
    for (size_t i = 0; i < picture->n_spans; i++) {
        const pl_trace_record *record = picture->spans[i].record;
        if (record->kind == PL_TRACE_TASK || record->kind == PL_TRACE_COPY) {
            out[n++] = (step){.id = record->id, .t0_ns = record->t0_ns, .i_span = i};
        }
    }
    qsort(out, n, sizeof *out, compare_steps);
    return n;
}

/* The first step whose number is not below `id`. */
static size_t first_not_below(const step *steps, size_t n_steps, uint64_t id)
{
    size_t low = 0, high = n_steps;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (steps[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void add_arrow(pl_picture *picture, const step *steps, size_t n_steps, const pl_trace_record *edge)
{
    size_t behind_from = first_not_below(steps, n_steps, edge->id + 1);
    size_t to = first_not_below(steps, n_steps, edge->bytes);
    if (behind_from > 0 && steps[behind_from - 1].id == edge->id && to < n_steps && steps[to].id == edge->bytes) {
        picture->arrows[picture->n_arrows++] = (pl_picture_arrow){steps[behind_from - 1].i_span, steps[to].i_span};
    }
}

static bool draw_arrows(pl_picture *picture)
{
    step *steps = malloc((picture->n_spans + 1) * sizeof *steps);
    if (steps == NULL) {
        return false;
    }
    size_t n_steps = collect_steps(picture, steps);
    for (size_t i = 0; i < picture->n_rows; i++) {
        pl_row_cursor cursor = picture->rows[i].records;
        for (const pl_trace_record *record; (record = pl_row_next(&cursor)) != NULL;) {
            if (record->kind == PL_TRACE_EDGE) {
                add_arrow(picture, steps, n_steps, record);
            }
        }
    }
    free(steps);
    return true;
}

/* --- The whole --------------------------------------------------------------------------------------------------------------- */

int pl_picture_init(pl_picture *out, const pl_trace *trace)
{
    counts sum = {0, 0};
    pl_picture picture = {.rows = calloc(count_rows(trace) + 1, sizeof *picture.rows)};
    bool has_room = picture.rows != NULL;
    if (has_room) {
        sum = collect_rows(&picture, trace);
        picture.spans = calloc(sum.n_spans + 1, sizeof *picture.spans);
        picture.arrows = calloc(sum.n_edges + 1, sizeof *picture.arrows);
        has_room = picture.spans != NULL && picture.arrows != NULL;
    }
    if (has_room) {
        collect_spans(&picture);
        has_room = arrange(&picture) && draw_arrows(&picture);
    }
    if (!has_room) {
        pl_picture_fini(&picture);
        return pl_error_set(PARLA_E_NOMEM, "no memory to arrange %zu records of a trace", sum.n_spans + sum.n_edges);
    }
    *out = picture;
    return 0;
}

void pl_picture_fini(pl_picture *picture)
{
    free(picture->rows);
    free(picture->spans);
    free(picture->arrows);
}
