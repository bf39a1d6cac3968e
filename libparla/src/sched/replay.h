/* replay.h - steps of a task that has many: what ranges and replays share, and nodes of a replay as entries of deques. */
#ifndef PL_SCHED_REPLAY_H
#define PL_SCHED_REPLAY_H

#include "sched/runtime.h"

#include <parla/replay.h>

/* What a body is told of the step that it is; on the stack beside its context. */
typedef struct pl_step {
    size_t index;
    void *run_arg;
    const char *name; /* NULL: that of the whole */
} pl_step;

/* The hold that keeps a task with steps from ending. No public hold is as large, so nobody can release it by mistake. */
enum { PL_STEPS_HOLD = 1 << 30 };

/* Called in the body of the whole: it ends with pl_steps_end. Errors: PARLA_E_NOMEM. */
int pl_steps_begin(parla_context *context);

/* All steps are over. From: the thread that finished the last one, not inside a body; the task may be gone when it returns. */
void pl_steps_end(parla_runtime *rt, pl_worker *self, pl_task *whole);

/* Calls the body of one step. Returns false if it failed, which is then recorded in the whole. */
bool pl_step_run(parla_context *context, parla_body body, void *arg, bool is_managed);

/* True if somebody asked to cancel the whole; it then counts as failed. */
bool pl_steps_are_cancelled(pl_task *whole);

/* --- Nodes as entries of deques: bit 0 is set, which no task's address has ---------------------------------------------------- */

static inline bool pl_is_node(const void *entry) { return (uintptr_t)entry & 1; }

/* Runs a node, and some of those that it makes ready. */
void pl_node_run(parla_runtime *rt, pl_worker *self, void *entry);

/* --- Capture (capture.c) -------------------------------------------------------------------------------------------------------- */

/* One recorded task, and all of them. deps[first_dep … of the next) are numbers of earlier ones. */
typedef struct pl_recorded {
    parla_body body;
    void *arg;
    size_t arg_bytes; /* not 0: `arg` is an offset in pl_capture.bytes */
    const char *name;
    size_t first_dep;
    bool is_managed;
    parla_task task; /* a reference */
} pl_recorded;

typedef struct pl_capture {
    pl_recorded *tasks;
    uint32_t *deps;
    unsigned char *bytes;
    size_t n_tasks, n_deps, n_bytes;
    size_t tasks_capacity, deps_capacity, bytes_capacity;
} pl_capture;

/* A spawn on a thread that captures; the options were checked. */
int pl_capture_spawn(parla_runtime *rt, pl_worker *self, parla_task *out, const parla_task_options *options);
/* Frees the record of a thread that is gone. NULL is allowed. */
void pl_capture_free(pl_capture *capture);

/* Freezes a record; takes over its `bytes`. NULL when memory is out. */
parla_replay *pl_replay_create(parla_runtime *rt, pl_capture *capture);

/* parla_replay_run without its questions. */
int pl_replay_spawn(pl_worker *self, parla_replay *replay, parla_task *out, void *arg, const parla_task *deps, size_t n_deps);

#endif
