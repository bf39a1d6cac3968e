/* runtime.h - worker threads, devices and the tasks that run on them, from start to stop.
 *
 * Several runtimes may live in one process, one after the other or side by side. A runtime must be destroyed by the process that made
 * it: in a forked child every call fails with PARLA_E_FORKED, and destroying does nothing. */
#ifndef PARLA_RUNTIME_H
#define PARLA_RUNTIME_H

#include <parla/common.h>
#include <parla/memory.h>
#include <parla/task.h>

PARLA_BEGIN_DECLS

/* Who calls the bodies of tasks that ask for it (PARLA_TASK_MANAGED); a language binding installs one. All members may be NULL.
 * From: worker threads, and the queue threads of simulated devices. */
typedef struct parla_runner {
    size_t size;                     /* sizeof(parla_runner) */
    void *ctx;                       /* first argument of the callbacks */
    void (*thread_begin)(void *ctx); /* on each worker thread before its first task */
    void (*thread_end)(void *ctx);   /* on each worker thread after its last task */
    /* Calls body(context, arg) and returns what it returned. */
    int (*run)(void *ctx, parla_body body, parla_context *context, void *arg);
    /* With it, run may keep what its bodies need (a lock of the language) when it returns: several bodies in a row then take it once. rest
     * gives it back. It is called on the same thread before that does anything but take and run the next such body: before it sleeps, polls,
     * runs a body that is not managed or has devices or arrays, goes on with the body that it was in before, or ends. How long run keeps it
     * while others want it is run's own matter. */
    void (*rest)(void *ctx);
    bool guests_help; /* bodies may also run on threads of the application that wait */
} parla_runner;

typedef struct parla_options {
    size_t size;                /* sizeof(parla_options); PARLA_OPTIONS_INIT sets it */
    int n_workers;              /* worker threads; 0: PARLA_WORKERS, else one for each core that this process may use: by its
                                   affinity mask (a launcher's binding) and its control group's quota */
    const char *devices;        /* NULL: PARLA_DEVICES, else "cpu"; see parla_devices_grammar() */
    const char *policy;         /* NULL: PARLA_POLICY, else "locality"; also "eager", "round_robin" */
    const char *trace;          /* file for the trace, written at the end, {rank} in it is the rank; NULL: PARLA_TRACE, else none */
    const parla_runner *runner; /* copied; NULL: bodies are called directly */
    /* Where workers run; NULL: PARLA_BIND, else "auto". "core": each is bound to a core of its own, in the order of the machine, and steals
     * from the nearest first; "none": they run anywhere in the affinity mask of the thread that creates the runtime; "auto": as "core"
     * if there are as many workers as cores. Threads that a body starts inherit its worker's binding. */
    const char *bind;
    /* A soft bound on tasks in flight; those that wait for a name that is not spawned do not count. A thread of the application that spawns
     * more sleeps until there is room; bodies of tasks, event loops (parla_thread_set_loop) and everybody when
     * nothing else can run go beyond it. 0: PARLA_WINDOW, else 4,194,304; negative: no bound. */
    int64_t window;
    /* A watchdog logs who waits for whom when no task has ended for so long; 0: PARLA_STALL_S, else none; negative: none. */
    int64_t stall_ns;
    const parla_memory_source *memory; /* copied; for arrays (memory.h); NULL: plain memory */
    /* File for the exit receipt, written when the runtime is destroyed, or before SIGTERM, SIGINT, SIGXCPU, SIGUSR1 or SIGUSR2 ends the process
     * where the program has left that to the system: duration, tasks, utilisation of each core and device, what was moved (receipt.h), as one
     * line of JSON; a line in words goes to the log. {rank} in it is the rank; NULL: PARLA_RECEIPT, else none. */
    const char *receipt;
} parla_options;

#define PARLA_OPTIONS_INIT ((parla_options){.size = sizeof(parla_options)})

/* Starts a runtime. NULL options mean all defaults.
 * Owns:   the caller destroys *out with parla_runtime_destroy.
 * Errors: PARLA_E_CONFIG (a malformed option or PARLA_* variable, naming what it takes), PARLA_E_NO_DEVICE (names what exists),
 *         PARLA_E_NOMEM, PARLA_E_SYSTEM. */
PARLA_API PARLA_MUST_USE int parla_runtime_create(parla_runtime **out, const parla_options *options);

/* Stops a runtime: tasks that have not started are cancelled and their waiters told, running ones are waited for, arrays still
 * attached are written back to host memory (data.h), the trace is written, threads are joined. To finish the work first, call
 * parla_runtime_wait. NULL is allowed. From: any thread, but not from inside a task of this runtime (it then only logs an error). */
PARLA_API void parla_runtime_destroy(parla_runtime *rt);

/* The first half of that: cancels what has not started, also names that were never spawned and pending events, tells those who wait, and
 * returns when every task has ended. Nothing can be spawned any more, but the runtime is still there: for who has to see his own threads
 * leave the library before it is destroyed. From: as parla_runtime_destroy. */
PARLA_API void parla_runtime_stop(parla_runtime *rt);

/* Waits until every task spawned so far, and every task that those spawn, has ended.
 * timeout_ns: nanoseconds, or PARLA_FOREVER.
 * From:   any thread that runs no task. Without a timeout it runs ready tasks itself, whichever (see parla_runner.guests_help).
 * Errors: PARLA_E_TIMEOUT; PARLA_E_INTERRUPTED when a signal handler ran meanwhile (call again to go on);
 *         PARLA_E_STUCK when nothing runs and nothing can start any more: the detail names the tasks and what they wait for. If another
 *         thread of the program spawns tasks and is not waiting now, that is said only after two seconds without any event: who means to
 *         spawn later than that holds an event (event.h);
 *         PARLA_E_STATE from inside a task. Failures of tasks are not errors of this call: see parla_runtime_take_failure. */
PARLA_API PARLA_MUST_USE int parla_runtime_wait(parla_runtime *rt, int64_t timeout_ns);

/* Takes the oldest failure that nobody has looked at: neither parla_task_wait nor parla_task_failure was called for it.
 * Cancelled dependents are never reported here, only the task that failed first.
 * Owns:    *out is a reference for the caller, dropped with parla_failure_unref.
 * Returns: 0 and sets *out, or PARLA_PENDING if there is none. */
PARLA_API PARLA_MUST_USE int parla_runtime_take_failure(parla_runtime *rt, parla_failure **out);

/* For bindings with a parla_runner, whose bodies need a lock of the language that a thread holds when it spawns: such a spawn never stays for
 * the window. parla_window_is_full says, at the cost of a comparison, that a spawn by this thread would stay now; parla_window_wait stays as
 * long as it would have. In between the binding gives its lock up, and sees to it that nobody destroys the runtime meanwhile. */
PARLA_API bool parla_window_is_full(parla_runtime *rt);
PARLA_API void parla_window_wait(parla_runtime *rt);

/* Cancels every task that has not started. Running ones see parla_context_is_cancelled. Returns how many were cancelled. */
PARLA_API size_t parla_runtime_cancel_all(parla_runtime *rt);

typedef struct parla_runtime_info {
    size_t size; /* sizeof(parla_runtime_info), set by the caller */
    int n_workers;
    int n_devices;
    int n_cores;        /* that this process may use */
    bool is_bound;      /* each worker has a core of its own */
    uint64_t n_spawned; /* tasks since the start; internal data movements do not count */
    uint64_t n_ended;
    uint64_t n_failed; /* of those ended */
    uint64_t n_cancelled;
    uint64_t task_bytes; /* host memory held for task objects */
} parla_runtime_info;

/* Says whether this thread runs an event loop: its spawns never stay, and its waits never run tasks. */
PARLA_API void parla_thread_set_loop(bool runs_loop);

/* A snapshot; counters may lag behind running threads. */
PARLA_API PARLA_MUST_USE int parla_runtime_query(parla_runtime *rt, parla_runtime_info *out);

/* Writes the names of tasks in flight (running, launched or suspended), the first few, with commas between them and cut at `capacity`, and
 * returns how many there are. For a message about a process that ends: takes no lock, and tells what it sees at a glance.
 * From: any thread. */
PARLA_API size_t parla_runtime_in_flight(parla_runtime *rt, char *out, size_t capacity);

/* Has `told` called, besides the lines in the log, when the watchdog (stall_ns) finds that no task ends; NULL: nobody. One listener at a time;
 * when this returns, the one before is not being called. Does nothing where there is no watchdog.
 * From: any thread; `told` runs on the watchdog's, must not block, and must not call this. */
PARLA_API void parla_runtime_on_stall(parla_runtime *rt, void (*told)(void *ctx), void *ctx);

/* One line for each PARLA_* variable that the library reads: "NAME\tdefault\tmeaning\n"... Static text. */
PARLA_API const char *parla_environment(void);

PARLA_END_DECLS

#endif
