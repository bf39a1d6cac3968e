/* test_picture.c - rows in order, lanes in which spans nest, arrows between the right steps. */
#include "trace/picture.h"

#include "test.h"

#include <pthread.h>
#include <stdlib.h>

static pl_trace *start(void)
{
    pl_trace *trace = NULL;
    T_OK(pl_trace_create(&trace));
    T_OK(pl_trace_start(trace));
    return trace;
}

static void add(pl_trace *trace, uint64_t t0_ns, uint64_t t1_ns, uint64_t id)
{
    pl_trace_span(trace, PL_TRACE_TASK, "t", t0_ns, t1_ns, id, -1, 0);
}

static pl_picture arrange(pl_trace *trace)
{
    pl_picture picture = {0};
    T_OK(pl_picture_init(&picture, trace));
    return picture;
}

static uint32_t line_of(const pl_picture *picture, uint64_t id)
{
    for (size_t i = 0; i < picture->n_spans; i++) {
        if (picture->spans[i].record->id == id) {
            return picture->spans[i].line;
        }
    }
    T_FAIL("no span %llu", (unsigned long long)id);
}

T_TEST(nested_spans_share_a_line)
{
    pl_trace *trace = start();
    add(trace, 20, 30, 2); /* inner ones end first, so they are recorded first */
    add(trace, 30, 40, 3);
    add(trace, 20, 40, 1);
    add(trace, 40, 40, 4);
    add(trace, 50, 60, 5);
    pl_picture picture = arrange(trace);
    T_EQ(picture.n_rows, 1);
    T_EQ(picture.rows[0].n_lanes, 1);
    for (size_t i = 0; i < picture.n_spans; i++) {
        T_EQ(picture.spans[i].record->id, i + 1);
        T_EQ(picture.spans[i].line, 1);
    }
    pl_picture_fini(&picture);
    pl_trace_destroy(trace);
}

T_TEST(crossing_spans_get_lines_of_their_own)
{
    pl_trace *trace = start();
    add(trace, 0, 20, 1);
    add(trace, 10, 30, 2);
    add(trace, 15, 25, 3); /* inside 2 */
    add(trace, 18, 40, 4);
    add(trace, 31, 35, 5);
    pl_picture picture = arrange(trace);
    T_EQ(picture.rows[0].n_lanes, 3);
    T_EQ(line_of(&picture, 1), 1);
    T_EQ(line_of(&picture, 2), 2);
    T_EQ(line_of(&picture, 3), 2);
    T_EQ(line_of(&picture, 4), 3);
    T_EQ(line_of(&picture, 5), 1);
    pl_picture_fini(&picture);
    pl_trace_destroy(trace);
}

/* Two spans of one line are either apart or one lies in the other. */
static void check_lines(const pl_picture *picture)
{
    for (size_t a = 0; a < picture->n_spans; a++) {
        for (size_t b = a + 1; b < picture->n_spans; b++) {
            const pl_trace_record *x = picture->spans[a].record, *y = picture->spans[b].record;
            bool is_apart = x->t1_ns <= y->t0_ns || y->t1_ns <= x->t0_ns;
            bool is_nested = x->t0_ns <= y->t0_ns && y->t1_ns <= x->t1_ns;
            T_TRUE(picture->spans[a].line != picture->spans[b].line || is_apart || is_nested);
        }
    }
}

T_TEST(random_spans_nest_on_each_line)
{
    t_rng rng = {t_seed() + 3};
    for (uint64_t round = 0; round < t_scale(100); round++) {
        pl_trace *trace = start();
        for (uint64_t i = 0; i < 150; i++) {
            uint64_t t0_ns = t_below(&rng, 1000);
            add(trace, t0_ns, t0_ns + t_below(&rng, 1 + t_below(&rng, 400)), i + 1);
        }
        pl_picture picture = arrange(trace);
        T_EQ(picture.n_spans, 150);
        check_lines(&picture);
        pl_picture_fini(&picture);
        pl_trace_destroy(trace);
    }
}

T_TEST(arrows_join_the_right_steps)
{
    pl_trace *trace = start();
    add(trace, 0, 10, 7); /* two steps of task 7, then two of task 8 */
    add(trace, 20, 30, 7);
    add(trace, 40, 50, 8);
    add(trace, 60, 70, 8);
    pl_trace_edge(trace, 7, 8);
    pl_trace_edge(trace, 7, 9);
    pl_trace_edge(trace, 6, 7);
    pl_trace_edge(trace, 0, 0);
    pl_trace_span(trace, PL_TRACE_PHASE, "p", 0, 100, 9, -1, 0); /* no task, whatever its number */
    pl_picture picture = arrange(trace);
    T_EQ(picture.n_arrows, 1);
    T_EQ(picture.spans[picture.arrows[0].from].record->t0_ns, 20);
    T_EQ(picture.spans[picture.arrows[0].to].record->t0_ns, 40);
    pl_picture_fini(&picture);
    pl_trace_destroy(trace);
}

typedef struct named {
    pl_trace *trace;
    const char *name;
} named;

static void *add_row(void *arg)
{
    named *self = arg;
    pl_trace_row_name(self->trace, self->name);
    add(self->trace, 1, 2, 1);
    return NULL;
}

T_TEST(rows_are_in_natural_order)
{
    static const char *const names[] = {"worker 10", "gpu[0] queue", "worker 2", "worker 1"};
    static const char *const wanted[] = {"gpu[0] queue", "main", "worker 1", "worker 2", "worker 10"};
    pl_trace *trace = start();
    for (size_t i = 0; i < 4; i++) {
        pthread_t thread;
        named self = {trace, names[i]};
        T_EQ(pthread_create(&thread, NULL, add_row, &self), 0);
        pthread_join(thread, NULL);
    }
    add(trace, 1, 3, 1);
    add(trace, 2, 4, 2);
    pl_picture picture = arrange(trace);
    T_EQ(picture.n_rows, 5);
    uint32_t line = 1;
    for (size_t i = 0; i < 5; i++) {
        T_EQ_STR(picture.rows[i].row->name, wanted[i]);
        T_EQ(picture.rows[i].first_line, line);
        T_EQ(picture.rows[i].n_lanes, i == 1 ? 2 : 1);
        line += picture.rows[i].n_lanes;
    }
    pl_picture_fini(&picture);
    pl_trace_destroy(trace);
}
