/* request.c - the table of pending requests.
 *
 * Groups arrive on a list under a lock that is held for a few instructions only, so who starts a communication never waits for who tests. The
 * one who tests takes them up into rows (two arrays side by side, since MPI_Testsome wants the requests contiguous) and tests
 * PLM_BATCH rows at a time, in rotation: a test costs time in proportion to its rows, and it is made at every task boundary. A row that has
 * completed is filled with the last one.
 *
 * Groups that are only looked at (peek) stay on a list of their own: MPI can look at one request at a time only. In each round at most
 * PEEKS of them are looked at, and each until the first request that has not completed.
 *
 * Where memory for rows is short, entries wait without one until others have left theirs. */
#include "request.h"

#include "breaks.h"
#include "error.h"

#include <parla/error.h>
#include <parla/event.h>
#include <stdlib.h>

enum { PEEKS = 16 };

/* --- Groups --------------------------------------------------------------------------------------------------------------------- */

plm_wait *plm_wait_create(int n) { return calloc(1, sizeof(plm_wait) + (size_t)n * sizeof(plm_entry)); }

/* One request of the group has completed. */
static void note(plm_wait *wait, int index, const MPI_Status *status, int mpi_code)
{
    if (wait->statuses) {
        wait->statuses[index] = *status;
        wait->statuses[index].MPI_ERROR = mpi_code;
    }
    if (mpi_code != MPI_SUCCESS && !wait->has_failed && !plm_is_broken(PLM_BREAK_FAILED)) {
        wait->has_failed = true;
        wait->words = malloc(MPI_MAX_ERROR_STRING + 1); /* without: no words */
        if (wait->words)
            plm_error_words(mpi_code, wait->words, MPI_MAX_ERROR_STRING + 1);
    }
    wait->n_left--;
}

void plm_wait_fill(plm_wait *wait, int n, MPI_Request *requests)
{
    wait->n_left = n;
    for (int i = 0; i < n; i++) {
        MPI_Status status;
        int flag = 0;
        /* An inactive persistent request completes here, as it does in MPI_Wait: in a row it would never. */
        int code = wait->is_peek ? MPI_Request_get_status(requests[i], &flag, &status) : MPI_Test(&requests[i], &flag, &status);
        if (flag || code != MPI_SUCCESS)
            note(wait, i, &status, code);
        else
            wait->entries[wait->n_entries++] = (plm_entry){requests[i], i};
        if (!wait->is_peek)
            requests[i] = MPI_REQUEST_NULL;
    }
}

void plm_wait_finish(plm_wait *wait, int status, const char *words)
{
    if (status == 0 && wait->has_failed) {
        status = PARLA_E_TRANSPORT;
        words = wait->words;
    }
    /* Either may have been cancelled meanwhile, by a runtime that stops: then nobody waits any more. */
    if (!parla_task_is_none(wait->event))
        (void)!parla_event_complete(wait->event, wait->is_event_failing ? status : 0, words);
    if (!parla_task_is_none(wait->held))
        (void)!parla_release(wait->held, status, words);
    free(wait->words);
    free(wait);
}

/* --- Life ----------------------------------------------------------------------------------------------------------------------- */

static bool reserve(plm_table *table, size_t n)
{
    if (n <= table->capacity)
        return true;
    size_t capacity = table->capacity ? table->capacity : PLM_BATCH;
    while (capacity < n)
        capacity *= 2;
    MPI_Request *requests = realloc(table->requests, capacity * sizeof *requests);
    if (!requests)
        return false;
    table->requests = requests;
    struct plm_owner *owners = realloc(table->owners, capacity * sizeof *owners);
    if (!owners)
        return false;
    table->owners = owners;
    table->capacity = capacity;
    return true;
}

int plm_table_init(plm_table *table)
{
    *table = (plm_table){.n_pending = 0};
    if (!reserve(table, PLM_BATCH)) {
        free(table->requests);
        return parla_error_set(PARLA_E_NOMEM, "no memory for a table of requests");
    }
    pthread_mutex_init(&table->lock, NULL);
    table->arrived_end = &table->arrived;
    table->waiting_end = &table->waiting;
    table->peeks_end = &table->peeks;
    return 0;
}

void plm_table_fini(plm_table *table)
{
    pthread_mutex_destroy(&table->lock);
    free(table->requests);
    free(table->owners);
}

/* --- Arrival -------------------------------------------------------------------------------------------------------------------- */

static void append(plm_wait ***end, plm_wait *wait)
{
    wait->next = NULL;
    **end = wait;
    *end = &wait->next;
}

bool plm_table_add(plm_table *table, plm_wait *wait, bool *out_closed)
{
    pthread_mutex_lock(&table->lock);
    *out_closed = table->is_closed;
    bool is_first = table->n_pending == 0;
    if (!table->is_closed) {
        table->n_pending += (size_t)wait->n_left;
        append(&table->arrived_end, wait);
    }
    pthread_mutex_unlock(&table->lock);
    return is_first;
}

size_t plm_table_pending(plm_table *table)
{
    pthread_mutex_lock(&table->lock);
    size_t n = table->n_pending;
    pthread_mutex_unlock(&table->lock);
    return n;
}

static void subtract_pending(plm_table *table, size_t n)
{
    pthread_mutex_lock(&table->lock);
    table->n_pending -= n;
    pthread_mutex_unlock(&table->lock);
}

/* Moves the group's entries into rows, as far as there is room. */
static bool take_rows(plm_table *table, plm_wait *wait)
{
    (void)reserve(table, table->n_rows + (size_t)wait->n_entries); /* without: as many as fit */
    while (wait->n_entries > 0 && table->n_rows < table->capacity) {
        plm_entry entry = wait->entries[--wait->n_entries];
        table->requests[table->n_rows] = entry.request;
        table->owners[table->n_rows++] = (struct plm_owner){wait, entry.index};
    }
    return wait->n_entries == 0;
}

static void take_up(plm_table *table)
{
    pthread_mutex_lock(&table->lock);
    plm_wait *wait = table->arrived;
    table->arrived = NULL;
    table->arrived_end = &table->arrived;
    pthread_mutex_unlock(&table->lock);
    while (wait) {
        plm_wait *next = wait->next;
        append(wait->is_peek ? &table->peeks_end : &table->waiting_end, wait);
        wait = next;
    }
    while (table->waiting && take_rows(table, table->waiting)) {
        table->waiting = table->waiting->next;
        if (!table->waiting)
            table->waiting_end = &table->waiting;
    }
}

/* --- Test ----------------------------------------------------------------------------------------------------------------------- */

/* A group that still has entries without a row has requests left, so it is not done. */
static void complete_row(plm_table *table, size_t i, const MPI_Status *status, int mpi_code, plm_wait ***done_end)
{
    plm_wait *wait = table->owners[i].wait;
    note(wait, table->owners[i].index, status, mpi_code);
    table->owners[i].wait = NULL; /* to be filled */
    if (wait->n_left == 0)
        append(done_end, wait);
}

/* Fills the rows of [begin, end) that have completed with the last ones. */
static void fill_holes(plm_table *table, size_t begin, size_t end)
{
    for (size_t i = end; i > begin; i--)
        if (!table->owners[i - 1].wait) {
            size_t last = --table->n_rows;
            table->requests[i - 1] = table->requests[last];
            if (!plm_is_broken(PLM_BREAK_HOLE))
                table->owners[i - 1] = table->owners[last];
        }
}

/* MPI refused the batch as a whole: finds the requests that it means. */
static int test_one_by_one(plm_table *table, size_t begin, size_t end, plm_wait ***done_end)
{
    int n_done = 0;
    for (size_t i = begin; i < end; i++) {
        MPI_Status status;
        int flag = 0;
        int code = MPI_Test(&table->requests[i], &flag, &status);
        if (flag || code != MPI_SUCCESS) {
            complete_row(table, i, &status, code, done_end);
            n_done++;
        }
    }
    return n_done;
}

static int test_rows(plm_table *table, plm_wait ***done_end)
{
    int indices[PLM_BATCH], n_done = 0;
    MPI_Status statuses[PLM_BATCH];
    if (table->cursor >= table->n_rows)
        table->cursor = 0;
    size_t begin = table->cursor, end = begin + PLM_BATCH < table->n_rows ? begin + PLM_BATCH : table->n_rows;
    if (begin == end)
        return 0;
    int code = MPI_Testsome((int)(end - begin), table->requests + begin, &n_done, indices, statuses);
    /* With failed requests MPI says so in their statuses; Open MPI returns the first one's code and not MPI_ERR_IN_STATUS. */
    if (n_done == MPI_UNDEFINED || (code != MPI_SUCCESS && n_done == 0))
        n_done = test_one_by_one(table, begin, end, done_end);
    else
        for (int i = 0; i < n_done; i++)
            complete_row(table, begin + (size_t)indices[i], &statuses[i], code == MPI_SUCCESS ? code : statuses[i].MPI_ERROR,
                         done_end);
    if (n_done > 0)
        fill_holes(table, begin, end);
    table->cursor = end; /* also after completions, so that no batch starves the others */
    return n_done;
}

static bool peek(plm_wait *wait)
{
    while (wait->n_entries > 0) {
        MPI_Status status;
        int flag = 0;
        plm_entry *entry = &wait->entries[wait->n_entries - 1];
        int code = MPI_Request_get_status(entry->request, &flag, &status);
        if (!flag && code == MPI_SUCCESS)
            return false;
        note(wait, entry->index, &status, code);
        wait->n_entries--;
    }
    return true;
}

static int test_peeks(plm_table *table, plm_wait ***done_end)
{
    int n_done = 0;
    plm_wait *last_back = NULL; /* the first that went back: the round is over when it is at the front again */
    for (int i = 0; i < PEEKS && table->peeks && table->peeks != last_back; i++) {
        plm_wait *wait = table->peeks;
        int n_before = wait->n_entries;
        table->peeks = wait->next;
        if (!table->peeks)
            table->peeks_end = &table->peeks;
        if (peek(wait)) {
            append(done_end, wait);
        } else {
            append(&table->peeks_end, wait);
            last_back = last_back ? last_back : wait;
        }
        n_done += n_before - wait->n_entries;
    }
    return n_done;
}

plm_wait *plm_table_test(plm_table *table)
{
    plm_wait *done = NULL, **done_end = &done;
    take_up(table);
    int n_done = test_rows(table, &done_end);
    n_done += test_peeks(table, &done_end);
    if (n_done > 0 && !plm_is_broken(PLM_BREAK_COUNT))
        subtract_pending(table, (size_t)n_done);
    return done;
}

/* --- Close ---------------------------------------------------------------------------------------------------------------------- */

plm_wait *plm_table_close(plm_table *table)
{
    plm_wait *given_up = NULL, **end = &given_up;
    pthread_mutex_lock(&table->lock);
    table->is_closed = true;
    table->n_pending = 0;
    pthread_mutex_unlock(&table->lock);
    take_up(table);
    for (size_t i = 0; i < table->n_rows; i++) {
        plm_wait *wait = table->owners[i].wait;
        if (--wait->n_left == 0)
            append(&end, wait);
    }
    table->n_rows = 0;
    *end = table->waiting; /* those that found no row for all of their entries */
    while (*end)
        end = &(*end)->next;
    *end = table->peeks;
    table->waiting = table->peeks = NULL;
    table->waiting_end = &table->waiting;
    table->peeks_end = &table->peeks;
    return given_up;
}
