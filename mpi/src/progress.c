/* progress.c - who moves along what is pending.
 *
 * Workers call run_from_worker between tasks, and every 50 µs while they are idle and something is pending. When nobody has done so for
 * TAKE_OVER_NS because all workers are inside long bodies, the progress thread does. It sleeps
 *   - without end while nothing is pending, on the descriptors of the sources and on wake_fd, which plm_progress_kick writes; but only
 *     IDLE_NS where a source has no descriptor;
 *   - until the take-over is due while something is pending and the workers see to it;
 *   - for a while that grows from NAP_MIN_NS to NAP_MAX_NS while it polls itself in vain, since MPI has no descriptor.
 *
 * No wake-up is lost: the thread sets is_asleep under `lock` and sleeps only if is_woken was not set; who kicks sets is_woken under `lock` and
 * writes wake_fd if is_asleep is set.
 *
 * Locks: `right` before the table's lock; `lock` and the table's lock are never held together. Groups are finished after `right` was
 * given back, since that runs the callbacks of tasks. */
#include "progress.h"

#include "plm.h"

#include <errno.h>
#include <parla/error.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { TAKE_OVER_NS = 200000, NAP_MIN_NS = 100000, NAP_MAX_NS = 1000000, IDLE_NS = 10000000, MAX_SOURCES = 7 };

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- One look ------------------------------------------------------------------------------------------------------------------- */

static int run_sources(plm_progress *progress, bool *out_pending)
{
    int n_done = 0;
    *out_pending = false;
    for (plm_source *source = progress->sources; source; source = source->next) {
        int n = source->run(source->ctx);
        *out_pending |= n >= 0;
        n_done += n > 0 ? n : 0;
    }
    return n_done;
}

static int finish_all(plm_wait *done)
{
    int n = 0;
    for (; done; n++) {
        plm_wait *next = done->next;
        plm_wait_finish(done, 0, NULL);
        done = next;
    }
    return n;
}

static void note_pending(plm_progress *progress, bool is_pending)
{
    pthread_mutex_lock(&progress->lock);
    progress->is_pending = is_pending;
    pthread_mutex_unlock(&progress->lock);
}

int plm_progress_run(plm_progress *progress)
{
    parla_mpi *mpi = progress->mpi;
    if (pthread_mutex_trylock(&progress->right))
        return 0;
    plm_wait *done = NULL;
    bool is_pending;
    if (plm_table_pending(&mpi->table) > 0 && plm_try_enter(mpi)) {
        done = plm_table_test(&mpi->table);
        plm_leave(mpi);
    }
    int n_done = run_sources(progress, &is_pending);
    note_pending(progress, is_pending);
    pthread_mutex_unlock(&progress->right);
    n_done += finish_all(done);
    return n_done > 0 || is_pending || plm_table_pending(&mpi->table) > 0 ? n_done : -1;
}

static int run_from_worker(void *ctx)
{
    plm_progress *progress = ctx;
    int n = plm_progress_run(progress);
    pthread_mutex_lock(&progress->lock);
    progress->worker_ns = now_ns();
    pthread_mutex_unlock(&progress->lock);
    return n;
}

void plm_progress_kick(plm_progress *progress)
{
    uint64_t one = 1;
    parla_poll_kick(progress->poll);
    pthread_mutex_lock(&progress->lock);
    progress->is_woken = true;
    if (progress->is_asleep)
        (void)!write(progress->wake_fd, &one, sizeof one); /* fails only when it is readable already */
    pthread_mutex_unlock(&progress->lock);
}

/* --- The thread ----------------------------------------------------------------------------------------------------------------- */

/* Gets the descriptors of all sources ready for a sleep of *out_nap_ns (0: without end). Returns how many, or -1 if there is something to do
 * first. */
static int arm_sources(plm_progress *progress, struct pollfd *fds, uint64_t *out_nap_ns)
{
    int n = 0;
    *out_nap_ns = 0;
    pthread_mutex_lock(&progress->right);
    for (plm_source *source = progress->sources; source && n >= 0; source = source->next) {
        if (!source->arm || n == MAX_SOURCES)
            *out_nap_ns = IDLE_NS;
        else if (source->arm(source->ctx) == 0)
            fds[n++] = (struct pollfd){.fd = source->fd, .events = POLLIN};
        else
            n = -1;
    }
    pthread_mutex_unlock(&progress->right);
    return n;
}

/* Sleeps on the descriptors and wake_fd for `nap_ns` (0: without end). */
static void sleep_on(plm_progress *progress, struct pollfd *fds, int n_fds, uint64_t nap_ns)
{
    struct timespec nap = {.tv_sec = (time_t)(nap_ns / 1000000000u), .tv_nsec = (long)(nap_ns % 1000000000u)};
    uint64_t count;
    fds[n_fds] = (struct pollfd){.fd = progress->wake_fd, .events = POLLIN};
    pthread_mutex_lock(&progress->lock);
    bool is_woken = progress->is_woken || progress->is_over;
    progress->is_asleep = !is_woken;
    pthread_mutex_unlock(&progress->lock);
    if (!is_woken)
        (void)ppoll(fds, (nfds_t)n_fds + 1, nap_ns ? &nap : NULL, NULL);
    pthread_mutex_lock(&progress->lock);
    progress->is_asleep = progress->is_woken = false;
    pthread_mutex_unlock(&progress->lock);
    if (!is_woken && (fds[n_fds].revents & POLLIN))
        (void)!read(progress->wake_fd, &count, sizeof count);
}

typedef struct view {
    bool is_over, is_pending;
    uint64_t since_worker_ns;
} view;

static view look(plm_progress *progress)
{
    bool has_requests = plm_table_pending(&progress->mpi->table) > 0;
    pthread_mutex_lock(&progress->lock);
    view seen = {.is_over = progress->is_over,
                 .is_pending = progress->is_pending || has_requests,
                 .since_worker_ns = now_ns() - progress->worker_ns};
    pthread_mutex_unlock(&progress->lock);
    return seen;
}

static void *thread_main(void *arg)
{
    plm_progress *progress = arg;
    struct pollfd fds[MAX_SOURCES + 1];
    uint64_t nap_ns = NAP_MIN_NS;
    pthread_setname_np(pthread_self(), "parla mpi");
    for (;;) {
        view seen = look(progress);
        if (seen.is_over)
            return NULL;
        if (!seen.is_pending) {
            int n = arm_sources(progress, fds, &nap_ns);
            if (n >= 0)
                sleep_on(progress, fds, n, nap_ns);
            if (n != 0 || nap_ns > 0)
                (void)plm_progress_run(progress);
            nap_ns = NAP_MIN_NS;
        } else if (seen.since_worker_ns < TAKE_OVER_NS) {
            sleep_on(progress, fds, 0, TAKE_OVER_NS - seen.since_worker_ns);
            nap_ns = NAP_MIN_NS;
        } else if (plm_progress_run(progress) > 0) {
            nap_ns = NAP_MIN_NS;
        } else {
            sleep_on(progress, fds, 0, nap_ns);
            nap_ns = nap_ns * 2 < NAP_MAX_NS ? nap_ns * 2 : NAP_MAX_NS;
        }
    }
}

/* --- Start and stop ------------------------------------------------------------------------------------------------------------- */

static int start_thread(plm_progress *progress)
{
    int error = pthread_create(&progress->thread, NULL, thread_main, progress);
    return error ? parla_error_set(PARLA_E_SYSTEM, "no thread for progress: %s", strerror(error)) : 0;
}

int plm_progress_start(plm_progress *progress, parla_mpi *mpi)
{
    *progress = (plm_progress){.mpi = mpi, .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (progress->wake_fd < 0)
        return parla_error_set(PARLA_E_SYSTEM, "no descriptor for the progress thread: %s", strerror(errno));
    pthread_mutex_init(&progress->right, NULL);
    pthread_mutex_init(&progress->lock, NULL);
    int rc = parla_poll_add(mpi->rt, &progress->poll, run_from_worker, progress);
    if (rc == 0 && (rc = start_thread(progress)) < 0)
        parla_poll_remove(progress->poll);
    if (rc < 0) {
        pthread_mutex_destroy(&progress->lock);
        pthread_mutex_destroy(&progress->right);
        close(progress->wake_fd);
    }
    return rc;
}

void plm_progress_stop(plm_progress *progress)
{
    uint64_t one = 1;
    pthread_mutex_lock(&progress->lock);
    progress->is_over = true;
    (void)!write(progress->wake_fd, &one, sizeof one);
    pthread_mutex_unlock(&progress->lock);
    pthread_join(progress->thread, NULL);
    parla_poll_remove(progress->poll);
    pthread_mutex_destroy(&progress->lock);
    pthread_mutex_destroy(&progress->right);
    close(progress->wake_fd);
}

void plm_progress_add(plm_progress *progress, plm_source *source)
{
    pthread_mutex_lock(&progress->right);
    source->next = progress->sources;
    progress->sources = source;
    pthread_mutex_unlock(&progress->right);
    plm_progress_kick(progress);
}

void plm_progress_remove(plm_progress *progress, plm_source *source)
{
    pthread_mutex_lock(&progress->right);
    plm_source **at = &progress->sources;
    while (*at && *at != source)
        at = &(*at)->next;
    if (*at)
        *at = source->next;
    pthread_mutex_unlock(&progress->right);
    plm_progress_kick(progress);
}
