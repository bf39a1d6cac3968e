/* flow.h - tasks over ranks: one stream of spawns that every rank walks, in which each rank runs its own part.
 *
 * A program that names blocks of several ranks in its tasks is run by every rank, and every rank spawns the same tasks in the same order:
 * the stream. Each rank looks at each spawn. The rank that owns the written block runs the task; the others remember only that the
 * block has a new version. A block that is read at another rank is sent there once for each version, by its owner, at that point of the
 * stream: the sender is a task that reads the block, the receiver one that writes a copy, so both are ordered with all others. Nobody asks
 * and nobody answers. Messages between two ranks are numbered as the stream goes, so both sides know each number without a word.
 *
 * A task that fails or is cancelled leaves its block unwritten; a message that would have carried it tells the receiver why, and what
 * waits for it there fails with those words.
 *
 * One thread at a time uses a flow, its tracked arrays included (in Python the GIL sees to that). */
#ifndef CROSSPY_FLOW_H
#define CROSSPY_FLOW_H

#include <crosspy/plan.h>
#include <crosspy/run.h>

typedef struct cx_flow cx_flow;

/* What a rank knows of an array's blocks: their versions, its own content, copies of others' blocks. */
typedef struct cx_tracked cx_tracked;

PARLA_BEGIN_DECLS

/* --- Life ------------------------------------------------------------------------------------------------------------------- */

/* Begins a stream over the ranks of a transport, which is borrowed.
 * Owns:   the caller destroys *out after the runtime and after the transport was closed.
 * From:   all ranks.
 * Errors: PARLA_E_NOMEM. */
PARLA_API PARLA_MUST_USE int cx_flow_create(cx_flow **out, parla_runtime *rt, parla_transport *transport);

/* NULL is allowed. */
PARLA_API void cx_flow_destroy(cx_flow *flow);

/* Tracks an array. blocks[i] is the content of block i; those of other ranks are not looked at.
 * Owns: the caller destroys *out; tasks that use the blocks hold references of their own. Errors: PARLA_E_INVALID, PARLA_E_NOMEM. */
PARLA_API PARLA_MUST_USE int cx_tracked_create(cx_tracked **out, const cx_layout *layout, size_t item_bytes,
                                               parla_data *const *blocks, int rank);
PARLA_API void cx_tracked_destroy(cx_tracked *array);

/* --- The stream ------------------------------------------------------------------------------------------------------------- */

#define CX_OWNER (-1)

/* A task uses a block. */
typedef struct cx_use {
    cx_tracked *array;
    int64_t i_block;
    int mode; /* PARLA_IN, PARLA_OUT, PARLA_INOUT */
} cx_use;

/* One spawn, seen from this rank. Blocks that have to travel are sent or received from here on.
 * rank:     where the task runs; CX_OWNER: at the owner of what it writes, or of what it reads if it writes nothing.
 * out_rank: where it runs. If that is this rank, the caller spawns it with out_data[i] in place of uses[i] and then calls cx_flow_end; the
 *           data are borrowed until the next call. Elsewhere out_data is left alone, and there is nothing more to do.
 * Errors:   PARLA_E_INVALID if the blocks belong to several ranks and none is given, or there is no such block or rank; PARLA_E_NOMEM. */
PARLA_API PARLA_MUST_USE int cx_flow_begin(cx_flow *flow, int rank, const cx_use *uses, size_t n_uses, int *out_rank,
                                           parla_data **out_data);

/* After the spawn of a task that runs at this rank: blocks of other ranks that it writes travel home. */
PARLA_API PARLA_MUST_USE int cx_flow_end(cx_flow *flow, const cx_use *uses, size_t n_uses);

/* A collective assignment: runs the plan (cx_plan_run; run->transport and run->tag are set by the flow), and gives what it writes new
 * versions. dst: NULL for an array that only this plan sees, as the target of a gather. */
PARLA_API PARLA_MUST_USE int cx_flow_assign(cx_flow *flow, const cx_plan *plan, cx_tracked *dst, const cx_run *run);

/* The array is written outside of the stream by every rank, each its own blocks: all get new versions. */
PARLA_API PARLA_MUST_USE int cx_flow_overwrite(cx_flow *flow, cx_tracked *array);

/* --- Meeting ---------------------------------------------------------------------------------------------------------------- */

#define CX_RECORD_BYTES ((size_t)64)

/* Every rank gives a record and gets those of all ranks: n_ranks * CX_RECORD_BYTES. It also gets out_same: false if the ranks have not
 * all walked the same stream so far, and then parla_error_detail names those that differ. Waits for the other ranks to come; a call
 * that timed out is continued by the next one, which must have the same arguments.
 * Errors: PARLA_E_TIMEOUT; PARLA_E_TRANSPORT, PARLA_E_STATE if the ranks have parted. */
PARLA_API PARLA_MUST_USE int cx_flow_meet(cx_flow *flow, const void *record, void *out_records, bool *out_same, int64_t timeout_ns);

/* --- Look ------------------------------------------------------------------------------------------------------------------- */

typedef struct cx_flow_info {
    size_t size; /* sizeof(cx_flow_info), set by the caller */
    int rank, n_ranks;
    uint64_t n_calls;                      /* collective calls so far: spawns, assignments */
    uint64_t n_spawned, n_foreign;         /* spawns; those of them that run elsewhere */
    uint64_t n_sent, n_sent_bytes;         /* what the stream and its plans make this rank send: */
    uint64_t n_received, n_received_bytes; /* each version of a block once to each rank that reads it */
    uint64_t hash;                         /* of the stream so far; the same at every rank */
} cx_flow_info;

/* Errors: PARLA_E_INVALID if out->size is not set. */
PARLA_API PARLA_MUST_USE int cx_flow_query(cx_flow *flow, cx_flow_info *out);

PARLA_END_DECLS

#endif
