/* run.h - carrying out a plan: as tasks that are ordered with all others on the same arrays, or at once where no runtime is
 * active. */
#ifndef CROSSPY_RUN_H
#define CROSSPY_RUN_H

#include <crosspy/plan.h>
#include <parla/data.h>
#include <parla/transport.h>

enum {
    CX_RUN_ALL_BY_TRANSPORT = 1, /* also what stays in this rank goes through the transport: for tests */
    CX_RUN_LOCAL = 2             /* only what stays in this rank: every rank has a source of its own */
};

typedef struct cx_run {
    size_t size;                /* sizeof(cx_run); CX_RUN_INIT sets it */
    parla_data *const *dst;     /* one array per block of the destination's layout; those of other ranks are not looked at */
    parla_data *const *src;     /* the same for the source */
    int rank;                   /* this process */
    unsigned flags;             /* CX_RUN_* */
    parla_transport *transport; /* how other ranks are reached; NULL: there are none */
    uint64_t
        tag; /* transfer i travels as message tag + i: every rank gives the same number below 2^62, and no other message has it */
} cx_run;

#define CX_RUN_INIT ((cx_run){.size = sizeof(cx_run)})

PARLA_BEGIN_DECLS

/* Spawns the copies that this rank takes part in. Each moves exactly its bytes, and leaves the destination's block on the device of
 * its place. When the call returns everything is spawned: tasks spawned later that name a block see the result. Blocks of one run
 * that are written differ from those that are read; copy an array onto itself through a temporary one.
 * out_tasks: NULL, or room for two tasks for each of cx_plan_n_transfers; out_n_tasks: NULL, or set to how many were spawned.
 * Errors: as parla_data_copy and parla_task_spawn; PARLA_E_INVALID if other ranks take part and there is no transport. On error
 *         copies that were already spawned run all the same, and *out_n_tasks counts them. */
PARLA_API PARLA_MUST_USE int cx_plan_run(const cx_plan *plan, parla_runtime *rt, const cx_run *run, parla_task *out_tasks,
                                         size_t *out_n_tasks);

/* Copies on the calling thread, for arrays that no runtime uses at the moment. All blocks are of this rank.
 * Errors: PARLA_E_STATE if an array is attached to a runtime, or the source has no content. */
PARLA_API PARLA_MUST_USE int cx_plan_run_now(const cx_plan *plan, const cx_run *run);

PARLA_END_DECLS

#endif
