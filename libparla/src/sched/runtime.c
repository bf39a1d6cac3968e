/* runtime.c - starting and stopping a runtime, and the registry of those that are alive.
 *
 * Start opens, in this order: topology, trace, slabs, locks, devices, workers. Stop refuses further spawns, cancels what has not started
 * (again and again, since resumed bodies may still hold names), waits for what runs, then lets the placed path write arrays back, ends
 * the threads, writes the trace, and frees everything in reverse.
 *
 * Fork: the registry counts the forks of the process; a runtime that was made before the last one is refused, and its destruction does nothing,
 * since its threads do not exist in the child. */
#include "sched/runtime.h"

#include "base/clock.h"
#include "base/env.h"
#include "base/error.h"
#include "base/launcher.h"
#include "base/lock.h"
#include "sched/exit_receipt.h"
#include "sched/stall.h"
#include "trace/trace_path.h"

#include <parla/log.h>
#include <stdlib.h>

static void count_fork(void);

static struct {
    pl_lock lock;
    parla_runtime *first;
    uint64_t n_created;
} registry = {.lock = PL_LOCK_INIT(count_fork)};

_Atomic uint32_t pl_n_forks;

static void count_fork(void)
{
    pl_add_relaxed(&pl_n_forks, 1);
    registry.first = NULL; /* the parent's; leaked quietly */
}

static void registry_add(parla_runtime *rt)
{
    pl_lock_take(&registry.lock);
    rt->id = ++registry.n_created;
    rt->process = pl_load_relaxed(&pl_n_forks);
    rt->next_runtime = registry.first;
    registry.first = rt;
    pl_lock_give(&registry.lock);
}

static void registry_remove(parla_runtime *rt)
{
    pl_lock_take(&registry.lock);
    for (parla_runtime **at = &registry.first; *at; at = &(*at)->next_runtime)
        if (*at == rt) {
            *at = rt->next_runtime;
            break;
        }
    pl_lock_give(&registry.lock);
}

void pl_registry_each(void (*function)(parla_runtime *rt))
{
    pl_lock_take(&registry.lock);
    for (parla_runtime *rt = registry.first; rt; rt = rt->next_runtime)
        function(rt);
    pl_lock_give(&registry.lock);
}

PL_COLD int pl_runtime_refuse(const parla_runtime *rt)
{
    if (!rt)
        return pl_error_set(PARLA_E_INVALID, "a runtime is needed, not NULL");
    return pl_error_set(PARLA_E_FORKED, "this runtime belongs to the parent process; create one after the fork");
}

enum { DEFAULT_WINDOW = 1 << 22 };

/* --- Options ------------------------------------------------------------------------------------------------------------------- */

static int read_workers(parla_runtime *rt, int asked)
{
    int n_usable = rt->topology.n_usable < PL_MAX_WORKERS ? rt->topology.n_usable : PL_MAX_WORKERS;
    int64_t n = asked;
    if (asked < 0 || asked > PL_MAX_WORKERS)
        return pl_error_set(PARLA_E_CONFIG, "n_workers is %d, expected 1 to %d, or 0 for the default", asked, PL_MAX_WORKERS);
    if (asked == 0) {
        int error = pl_env_int("PARLA_WORKERS", 1, PL_MAX_WORKERS, n_usable, &n);
        if (error)
            return error;
    }
    rt->n_workers = (int)n;
    return 0;
}

static int read_binding(parla_runtime *rt, const char *asked)
{
    const char *bind = asked ? asked : pl_env_string("PARLA_BIND");
    bool takes_all = rt->n_workers == rt->topology.n_cores && rt->topology.n_usable == rt->topology.n_cores;
    if (!bind || strcmp(bind, "auto") == 0)
        rt->is_bound = takes_all;
    else if (strcmp(bind, "core") == 0)
        rt->is_bound = true;
    else if (strcmp(bind, "none") != 0)
        return pl_error_set(PARLA_E_CONFIG, "%s='%s': expected auto, core or none", asked ? "bind" : "PARLA_BIND", bind);
    return 0;
}

static int read_bounds(parla_runtime *rt, const parla_options *options)
{
    int64_t stall_s = 0;
    int error = 0;
    rt->window = options->window > 0 ? options->window : 0;
    if (options->window == 0)
        error = pl_env_int("PARLA_WINDOW", 0, INT64_MAX, DEFAULT_WINDOW, &rt->window);
    if (!error && options->stall_ns == 0)
        error = pl_env_int("PARLA_STALL_S", 0, 1000000, 0, &stall_s);
    rt->stall_ns = options->stall_ns > 0 ? (uint64_t)options->stall_ns : (uint64_t)stall_s * 1000000000u;
    return error;
}

/* The file of this rank that an option or a variable asks for: *out, which the caller frees; NULL if none does. */
static int own_path(const char *option, const char *variable, char **out)
{
    const char *pattern = option ? option : pl_env_string(variable);
    *out = NULL;
    return pattern ? pl_trace_path(pattern, !option, pl_launcher_read(), out) : 0;
}

/* Spinning takes a core from nobody where there are more than workers; of many cores a few are spared for it anyway. */
static int read_spinning(parla_runtime *rt)
{
    enum { SPIN_US = 20, CORES_PER_SPINNER = 8 };
    int n_spare = rt->topology.n_usable - rt->n_workers, n_of_many = rt->topology.n_usable / CORES_PER_SPINNER;
    int64_t spin_us;
    rt->max_spinning = n_spare > n_of_many ? n_spare : n_of_many;
    if (pl_env_string("PARLA_SPIN_US"))
        rt->max_spinning = rt->n_workers;
    int error = pl_env_int("PARLA_SPIN_US", 0, 1000000, rt->max_spinning > 0 ? SPIN_US : 0, &spin_us);
    if (!error)
        rt->spin_ns = (uint64_t)spin_us * 1000;
    return error;
}

static int read_options(parla_runtime *rt, const parla_options *options)
{
    int error = pl_topology_load(&rt->topology);
    if (!error)
        error = read_workers(rt, options->n_workers);
    if (!error)
        error = read_binding(rt, options->bind);
    if (!error)
        error = read_spinning(rt);
    if (!error)
        error = read_bounds(rt, options);
    if (error)
        return error;
    if (options->runner && options->runner->size != sizeof *options->runner)
        return pl_error_set(PARLA_E_INVALID, "parla_runner.size is %zu, expected %zu", options->runner->size,
                            sizeof *options->runner);
    if (options->memory && (options->memory->size != sizeof *options->memory || !options->memory->alloc || !options->memory->free ||
                            !options->memory->hold != !options->memory->release))
        return pl_error_set(PARLA_E_INVALID,
                            "parla_memory_source: size is %zu, expected %zu, and alloc and free are needed, hold and release "
                            "both or neither",
                            options->memory->size, sizeof *options->memory);
    if (options->runner) {
        rt->runner = *options->runner;
        rt->has_runner = true;
    }
    return own_path(options->trace, "PARLA_TRACE", &rt->trace_path);
}

/* --- Start ---------------------------------------------------------------------------------------------------------------------- */

static void init_locks(parla_runtime *rt)
{
    pthread_mutex_init(&rt->spare_lock, NULL);
    pthread_cond_init(&rt->spare_needed, NULL);
    pthread_mutex_init(&rt->guest_lock, NULL);
    pthread_mutex_init(&rt->failure_lock, NULL);
    pthread_mutex_init(&rt->poll_lock, NULL);
    pl_park_init(&rt->park);
    pl_park_init(&rt->ended);
    rt->unseen_end = &rt->unseen;
    rt->remembered_end = &rt->remembered;
}

static void fini_locks(parla_runtime *rt)
{
    pthread_mutex_destroy(&rt->poll_lock);
    pthread_mutex_destroy(&rt->failure_lock);
    pthread_mutex_destroy(&rt->guest_lock);
    pthread_cond_destroy(&rt->spare_needed);
    pthread_mutex_destroy(&rt->spare_lock);
}

int pl_runtime_trace_start(parla_runtime *rt)
{
    int error = pl_trace_start(rt->trace);
    if (!error)
        pl_store_release(&rt->is_traced, true);
    return error;
}

void pl_runtime_trace_stop(parla_runtime *rt)
{
    pl_trace_stop(rt->trace);
    pl_store_release(&rt->is_traced, false);
}

static int open_receipt(parla_runtime *rt, const parla_options *options)
{
    char *path;
    int error = own_path(options->receipt, "PARLA_RECEIPT", &path);
    if (!error && path)
        error = pl_exit_receipt_open(rt, path, &rt->receipt);
    free(path);
    return error;
}

static int open_parts(parla_runtime *rt, const parla_options *options)
{
    const char *devices = options->devices ? options->devices : pl_env_string("PARLA_DEVICES");
    const char *policy = options->policy ? options->policy : pl_env_string("PARLA_POLICY");
    int error = pl_place_init(rt, devices, policy, options->memory);
    if (error)
        return error;
    if (rt->trace_path)
        error = pl_runtime_trace_start(rt);
    if (!error)
        error = pl_workers_start(rt);
    if (!error && !(rt->first_guest = pl_self(rt)))
        error = PARLA_E_NOMEM;
    if (!error)
        pl_store_relaxed(&rt->first_guest->is_spawner_shared, true);
    if (!error && rt->stall_ns > 0)
        error = pl_stall_start(rt, rt->stall_ns, &rt->stall);
    if (!error)
        error = open_receipt(rt, options);
    if (error) {
        pl_stall_stop(rt->stall);
        pl_workers_stop(rt);
        pl_place_fini(rt);
    }
    return error;
}

static void free_runtime(parla_runtime *rt)
{
    registry_remove(rt);
    pl_slabs_fini(&rt->slabs);
    pl_trace_destroy(rt->trace);
    free(rt->trace_path);
    pl_topology_free(&rt->topology);
    fini_locks(rt);
    free(rt);
}

int parla_runtime_create(parla_runtime **out, const parla_options *options)
{
    parla_options defaults = PARLA_OPTIONS_INIT;
    if (!out)
        return pl_error_set(PARLA_E_INVALID, "a place for the new runtime is needed, not NULL");
    if (!options)
        options = &defaults;
    if (options->size != sizeof *options)
        return pl_error_set(PARLA_E_INVALID, "parla_options.size is %zu, expected %zu: start from PARLA_OPTIONS_INIT",
                            options->size, sizeof *options);
    pl_env_check_unknown();
    pl_fence_open();
    parla_runtime *rt = aligned_alloc(PL_CACHE_LINE, (sizeof *rt + PL_CACHE_LINE - 1) & ~(size_t)(PL_CACHE_LINE - 1));
    if (!rt)
        return pl_error_set(PARLA_E_NOMEM, "no memory for a runtime");
    memset(rt, 0, sizeof *rt);
    init_locks(rt);
    registry_add(rt);
    int error = read_options(rt, options);
    if (!error)
        error = pl_trace_create(&rt->trace);
    if (!error)
        error = pl_slabs_init(&rt->slabs, rt);
    if (!error)
        error = open_parts(rt, options);
    if (error) {
        free_runtime(rt);
        return error;
    }
    *out = rt;
    return 0;
}

/* --- Stop ------------------------------------------------------------------------------------------------------------------------ */

enum { PATIENCE_NS = 50000000, PATIENCE_LOG = 100 /* times PATIENCE_NS */ };

/* Cancels until every task has ended. Bodies that run may take as long as they like; every few seconds a line says so. Bodies that are
 * suspended on each other would take for ever, so one of them is cancelled. */
static void drain(parla_runtime *rt, pl_worker *self)
{
    for (int round = 1;; round++) {
        pl_busy_begin(self);
        pl_cancel_all(rt, self, true);
        pl_busy_end(rt, self);
        int result = pl_wait_quiet(rt, self, pl_now_ns() + PATIENCE_NS);
        if (result == 0)
            return;
        if (result == PARLA_E_STUCK) {
            pl_busy_begin(self);
            bool was_found = pl_cancel_suspended(rt, self);
            pl_busy_end(rt, self);
            if (!was_found)
                pl_sleep_until(pl_now_ns() + 1000000); /* what was cancelled a moment ago may still be on its way */
        }
        if (round % PATIENCE_LOG == 0)
            pl_log_unfinished(rt);
    }
}

/* A thread outside may have ended the last task, and not have left the library yet: it has a few instructions to go. */
static void wait_for_guests(parla_runtime *rt)
{
    for (pl_worker *guest = pl_load_acquire(&rt->guests); guest; guest = guest->next_guest)
        while (pl_marks_inside(pl_load_acquire(&guest->marks_shared)))
            pl_sleep_until(pl_now_ns() + 10000);
}

static void write_trace(parla_runtime *rt)
{
    if (!rt->trace_path)
        return;
    pl_runtime_trace_stop(rt);
    if (pl_trace_json(rt->trace, rt->trace_path, pl_launcher_read().rank))
        parla_log(PARLA_LOG_ERROR, "the trace was not written: %s", parla_error_detail());
}

/* Frees what tasks kept on which the application still holds references. All threads are gone. */
static void free_outcomes(parla_runtime *rt)
{
    pl_slab_cache cache = {0};
    uint32_t n_slots = pl_slab_count(&rt->slabs);
    for (uint32_t i = 1; i <= n_slots; i++) {
        pl_task *task = pl_slot_at(&rt->slabs, i);
        if (pl_load_relaxed(&task->refs_shared) == 0)
            continue;
        pl_placed *placed = pl_task_recycle(&rt->slabs, &cache, task);
        if (placed)
            pl_place_free(placed);
    }
}

/* False if this thread cannot stop the runtime. */
static bool stop(parla_runtime *rt, const char *function)
{
    if (!rt || rt->process != pl_load_relaxed(&pl_n_forks))
        return false;
    if (pl_current() && pl_current()->rt == rt) {
        parla_log(PARLA_LOG_ERROR, "%s was called from inside a task of this runtime: ignored", function);
        return false;
    }
    pl_worker *self = pl_self(rt);
    if (!self)
        self = rt->first_guest; /* memory is out; the thread that made the runtime has no business in it any more */
    pl_store_seq(&rt->is_stopping, true);
    drain(rt, self);
    return true;
}

void parla_runtime_stop(parla_runtime *rt) { (void)stop(rt, "parla_runtime_stop"); }

void parla_runtime_destroy(parla_runtime *rt)
{
    if (!stop(rt, "parla_runtime_destroy"))
        return;
    wait_for_guests(rt);
    pl_stall_stop(rt->stall);
    pl_exit_receipt_close(rt->receipt);
    pl_place_fini(rt);
    pl_workers_stop(rt);
    pl_failures_fini(rt);
    free_outcomes(rt);
    write_trace(rt);
    free_runtime(rt);
}

size_t parla_runtime_cancel_all(parla_runtime *rt)
{
    pl_worker *self = pl_runtime_check(rt) ? NULL : pl_self(rt);
    if (!self)
        return 0;
    pl_busy_begin(self);
    size_t n = pl_cancel_all(rt, self, false);
    pl_busy_end(rt, self);
    return n;
}

static void add_counts(parla_runtime_info *info, pl_worker *worker)
{
    info->n_ended += pl_load_acquire(&worker->n_ended_shared);
    info->n_failed += pl_load_acquire(&worker->n_failed_shared);
    info->n_cancelled += pl_load_acquire(&worker->n_cancelled_shared);
    info->n_spawned += pl_load_acquire(&worker->n_spawned_shared);
}

int parla_runtime_query(parla_runtime *rt, parla_runtime_info *out)
{
    int error = pl_runtime_check(rt);
    if (error)
        return error;
    if (out->size != sizeof *out)
        return pl_error_set(PARLA_E_INVALID, "parla_runtime_info.size is %zu, expected %zu", out->size, sizeof *out);
    parla_runtime_info info = {.size = sizeof info,
                               .n_workers = rt->n_workers,
                               .n_devices = rt->place.devices.n,
                               .n_cores = rt->topology.n_cores,
                               .is_bound = rt->is_bound};
    int n = pl_load_acquire(&rt->n_threads);
    for (int i = 0; i < n; i++)
        add_counts(&info, rt->workers[i]);
    for (pl_worker *guest = pl_load_acquire(&rt->guests); guest; guest = guest->next_guest)
        add_counts(&info, guest);
    info.task_bytes = (uint64_t)pl_slab_count(&rt->slabs) * PL_SLOT_BYTES;
    *out = info;
    return 0;
}
