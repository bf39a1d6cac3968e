/* test_row.c - the records of one thread: order, reuse by a new session, limits, reading while they are written. */
#include "trace/row.h"

#include "test.h"

#include <pthread.h>
#include <stdio.h>

static void push_number(pl_row *row, uint64_t number)
{
    pl_trace_record record = {.t0_ns = number, .t1_ns = ~number, .id = number, .name = ""};
    pl_row_push(row, &record);
}

/* Checks that the row holds first, first + 1, …; returns how many. */
static uint64_t check_numbers(const pl_row *row, uint64_t first)
{
    uint64_t n = 0;
    pl_row_cursor cursor = pl_row_walk(row);
    for (const pl_trace_record *record; (record = pl_row_next(&cursor)) != NULL; n++) {
        T_EQ(record->id, first + n);
        T_EQ(record->t0_ns, first + n);
        T_TRUE(record->t1_ns == ~(first + n));
    }
    return n;
}

T_TEST(records_keep_their_order_over_chunks)
{
    pl_row *row = pl_row_create(1);
    pl_row_enter(row, 1);
    T_EQ(check_numbers(row, 0), 0);
    for (uint64_t i = 0; i < 3 * PL_ROW_CHUNK + 1; i++) {
        T_TRUE(i % 100 != 0 || check_numbers(row, 0) == i);
        push_number(row, i);
    }
    T_EQ(check_numbers(row, 0), 3 * PL_ROW_CHUNK + 1);
    pl_row_destroy(row);
}

T_TEST(new_session_reuses_the_chunks)
{
    pl_row *row = pl_row_create(1);
    pl_row_enter(row, 1);
    for (uint64_t i = 0; i < 2 * PL_ROW_CHUNK; i++) {
        push_number(row, i);
    }
    const pl_row_chunk *chunk = pl_load_relaxed(&row->first_shared);
    const char *name = pl_row_intern(row, "name");
    T_EQ_PTR(pl_row_intern(row, "name"), name);
    pl_row_enter(row, 1); /* the same: nothing changes */
    T_EQ(check_numbers(row, 0), 2 * PL_ROW_CHUNK);
    pl_row_enter(row, 2);
    T_EQ(check_numbers(row, 0), 0);
    T_EQ(pl_map_count(&row->names), 0);
    for (uint64_t i = 0; i < 3 * PL_ROW_CHUNK; i++) {
        push_number(row, 1000 + i);
    }
    T_EQ_PTR(pl_load_relaxed(&row->first_shared), chunk);
    T_EQ(check_numbers(row, 1000), 3 * PL_ROW_CHUNK);
    pl_row_destroy(row);
}

T_TEST(names_are_copied_once)
{
    pl_row *row = pl_row_create(1);
    char text[32] = "task 1";
    pl_row_enter(row, 1);
    const char *first = pl_row_intern(row, text);
    snprintf(text, sizeof text, "task 2");
    const char *second = pl_row_intern(row, text);
    T_EQ_STR(first, "task 1");
    T_EQ_STR(second, "task 2");
    T_EQ_PTR(pl_row_intern(row, "task 1"), first);
    pl_row_destroy(row);
}

T_TEST(full_row_drops_and_counts)
{
    pl_row *row = pl_row_create(1);
    pl_row_enter(row, 1);
    for (uint64_t i = 0; i < PL_ROW_LIMIT + 5; i++) {
        push_number(row, i);
    }
    T_EQ(pl_load_relaxed(&row->n_dropped_shared), 5);
    T_EQ(check_numbers(row, 0), PL_ROW_LIMIT);
    pl_row_enter(row, 2);
    T_EQ(pl_load_relaxed(&row->n_dropped_shared), 0);
    pl_row_destroy(row);
}

static void *push_many(void *arg)
{
    for (uint64_t i = 0; i < t_scale(200000); i++) {
        push_number(arg, i);
    }
    return NULL;
}

T_TEST(reader_beside_the_writer)
{
    pthread_t thread;
    pl_row *row = pl_row_create(1);
    uint64_t n = 0, n_all = t_scale(200000);
    pl_row_enter(row, 1);
    T_EQ(pthread_create(&thread, NULL, push_many, row), 0);
    t_phase("reading");
    while (n < n_all) {
        uint64_t n_now = check_numbers(row, 0);
        T_GE(n_now, n);
        n = n_now;
    }
    pthread_join(thread, NULL);
    pl_row_destroy(row);
}
