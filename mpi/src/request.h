/* request.h - the table of pending requests, and what goes on when they have completed. */
#ifndef PLM_REQUEST_H
#define PLM_REQUEST_H

#include <mpi.h>
#include <parla/task.h>
#include <pthread.h>

enum { PLM_BATCH = 256 };

/* A request of a group, and its place in what the caller handed over. */
typedef struct plm_entry {
    MPI_Request request;
    int index;
} plm_entry;

/* One group of requests and what waits for it. Belongs to whoever makes it until it is added, then to the table. */
typedef struct plm_wait {
    struct plm_wait *next;
    parla_task event;      /* completed at the end; or none */
    parla_task held;       /* has a hold that is released at the end; or none */
    bool is_event_failing; /* a failure fails the event; else the hold's task, if there is one */
    bool is_peek;          /* requests are looked at, not completed */
    MPI_Status *statuses;  /* the caller's, by index; or NULL */
    bool has_failed;
    char *words;   /* MPI's, of the first request that failed; or NULL */
    int n_left;    /* requests that have not completed */
    int n_entries; /* entries[0 … n_entries) are not in the table's rows yet (peek: have not completed) */
    plm_entry entries[];
} plm_wait;

/* Rows under test: requests[i] belongs to owners[i]. */
typedef struct plm_table {
    /* under `lock` */
    pthread_mutex_t lock;
    plm_wait *arrived, **arrived_end; /* added, not taken up yet */
    size_t n_pending;                 /* requests that were added and have not completed */
    bool is_closed;

    /* under the right to progress (progress.h) */
    MPI_Request *requests;
    struct plm_owner {
        plm_wait *wait;
        int index;
    } * owners;
    size_t n_rows, capacity, cursor;
    plm_wait *waiting, **waiting_end; /* taken up, with entries that found no row yet */
    plm_wait *peeks, **peeks_end;
} plm_table;

/* Returns 0 or PARLA_E_NOMEM. */
int plm_table_init(plm_table *table);
void plm_table_fini(plm_table *table);

/* A group with room for n requests, or NULL. */
plm_wait *plm_wait_create(int n);

/* Fills the group from the caller's requests: those that have completed already are done with, the rest become entries. Handles become
 * null unless it is a peek. From: inside plm_enter. */
void plm_wait_fill(plm_wait *wait, int n, MPI_Request *requests);

/* Lets go on what waits for a group whose requests have all completed, and frees it. status, words: 0, or why it is given up. */
void plm_wait_finish(plm_wait *wait, int status, const char *words);

/* Adds a filled group with n_left > 0. Returns true if nothing was pending before; `out_closed` is set instead of adding to a closed
 * table. */
bool plm_table_add(plm_table *table, plm_wait *wait, bool *out_closed);

/* Tests the next batch. Returns the list of groups that are complete, to be finished by the caller outside of all locks.
 * From: the holder of the right to progress, inside plm_enter. */
plm_wait *plm_table_test(plm_table *table);

size_t plm_table_pending(plm_table *table);

/* Refuses further groups and returns those that were pending. From: as plm_table_test. */
plm_wait *plm_table_close(plm_table *table);

#endif
