/* progress.h - who moves along what is pending: the workers of the runtime, and a thread that mostly sleeps.
 *
 * Everything pending is looked at by one function, plm_progress_run, by one thread at a time: the right to progress. */
#ifndef PLM_PROGRESS_H
#define PLM_PROGRESS_H

#include <parla/mpi.h>
#include <parla/poll.h>
#include <pthread.h>

/* Something to be moved along besides requests: a transport. */
typedef struct plm_source {
    void *ctx;
    /* Returns how many operations completed, or a negative number if nothing is pending. Must not block. From: the holder of the right. */
    int (*run)(void *ctx);
    /* Makes `fd` readable when there is something to do; NULL where there is no such thing: then it is run every 10 ms at rest. Returns 0,
     * or PARLA_PENDING if there is something to do now. From: the progress thread only, with the right. */
    int (*arm)(void *ctx);
    int fd; /* or -1 */
    struct plm_source *next;
} plm_source;

typedef struct plm_progress {
    parla_mpi *mpi;
    parla_poll *poll;
    pthread_t thread;
    int wake_fd; /* an eventfd, written while the thread sleeps */

    pthread_mutex_t right; /* the right to progress; also guards `sources` */
    plm_source *sources;

    pthread_mutex_t lock; /* for the rest; held for a few instructions */
    uint64_t worker_ns;   /* when a worker looked last */
    bool is_pending;      /* a source had something pending at the last look */
    bool is_asleep, is_woken, is_over;
} plm_progress;

/* Registers with the runtime and starts the thread. */
int plm_progress_start(plm_progress *progress, parla_mpi *mpi);

/* Ends the thread and unregisters; when it returns nobody progresses any more. */
void plm_progress_stop(plm_progress *progress);

/* Looks at everything once, unless somebody else is doing so. Returns how many groups and operations completed, or a negative number if
 * nothing is pending. */
int plm_progress_run(plm_progress *progress);

/* Something is pending now, and nothing was before. */
void plm_progress_kick(plm_progress *progress);

/* Adds and removes a source; `source` is the caller's memory. When remove returns, the source is not running. */
void plm_progress_add(plm_progress *progress, plm_source *source);
void plm_progress_remove(plm_progress *progress, plm_source *source);

#endif
