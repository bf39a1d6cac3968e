/* flow.c - walks the stream: versions everywhere, messages where this rank has a part in them.
 *
 * A spawn that runs at rank R is seen as: every block that R reads and another rank O owns is there, if it was not sent since its last
 * version; then every block that it writes gets a new version. O knows what R has (tracked.c, holders), and R what it has (copy); both
 * follow from the stream alone, so they agree. Where R writes a block of O, R keeps the new version and sends it home.
 *
 * Messages from one rank to another are numbered by both in the order of the stream, which makes their tags; those of plans are numbered
 * by all ranks together. A third rank has nothing to do but count versions.
 *
 * The hash takes in everything that the walk depends on, so that ranks with equal hashes expect the same messages. */
#include "flow.h"

#include "breaks.h"
#include "hash.h"
#include "message.h"
#include "tracked.h"

#include <parla/error.h>

#include <stdlib.h>

/* --- Life ------------------------------------------------------------------------------------------------------------------- */

int cx_flow_create(cx_flow **out, parla_runtime *rt, parla_transport *transport)
{
    cx_flow *flow = calloc(1, sizeof *flow + (size_t)transport->n_ranks * sizeof flow->peers[0]);
    if (!flow) {
        return parla_error_set(PARLA_E_NOMEM, "no memory for a stream over %d ranks", transport->n_ranks);
    }
    flow->rt = rt;
    flow->transport = transport;
    flow->info = (cx_flow_info){.size = sizeof flow->info, .rank = transport->rank, .n_ranks = transport->n_ranks};
    int err = cx_meeting_init(&flow->meeting, transport->n_ranks);
    if (err) {
        free(flow);
        return err;
    }
    *out = flow;
    return PARLA_OK;
}

void cx_flow_destroy(cx_flow *flow)
{
    if (flow) {
        cx_meeting_fini(&flow->meeting);
        free(flow);
    }
}

/* --- The hash --------------------------------------------------------------------------------------------------------------- */

enum { HASH_SPAWN = 1, HASH_ASSIGN, HASH_OVERWRITE };

static void note(cx_flow *flow, uint64_t value) { flow->info.hash = cx_hash_mix(flow->info.hash, value); }

static void note_call(cx_flow *flow, uint64_t kind)
{
    flow->info.n_calls++;
    note(flow, kind);
}

/* Arrays are told apart by when they turn up in the stream. */
static void note_array(cx_flow *flow, cx_tracked *array)
{
    if (array && array->flow != flow) {
        array->flow = flow;
        array->id = ++flow->n_arrays;
    }
    note(flow, array ? array->id : 0);
}

/* --- Where a task runs ------------------------------------------------------------------------------------------------------ */

static int check_use(const cx_use *use)
{
    int64_t n = use->array->n_blocks;
    return use->i_block >= 0 && use->i_block < n
               ? PARLA_OK
               : parla_error_set(PARLA_E_INVALID, "block %lld of an array of %lld blocks", (long long)use->i_block, (long long)n);
}

static const cx_tracked_block *block_of(const cx_use *use) { return &use->array->blocks[use->i_block]; }

/* The one rank that owns all blocks that are used in this mode; CX_OWNER if there are none. */
static int find_owner(const cx_use *uses, size_t n_uses, int mode, int *out_rank)
{
    const cx_use *first = NULL;
    for (size_t i = 0; i < n_uses; i++) {
        if (!(uses[i].mode & mode)) {
            continue;
        }
        first = first ? first : &uses[i];
        if (block_of(&uses[i])->rank != block_of(first)->rank) {
            return parla_error_set(
                PARLA_E_INVALID,
                "the task %s block %lld of rank %d and block %lld of rank %d: say where it runs, by placing it at a "
                "block or at a device of a rank",
                mode & PARLA_OUT ? "writes" : "only reads", (long long)first->i_block, block_of(first)->rank,
                (long long)uses[i].i_block, block_of(&uses[i])->rank);
        }
    }
    *out_rank = first ? block_of(first)->rank : CX_OWNER;
    return PARLA_OK;
}

static int choose_rank(const cx_flow *flow, int rank, const cx_use *uses, size_t n_uses, int *out_rank)
{
    int err = PARLA_OK;
    *out_rank = rank;
    if (rank == CX_OWNER) {
        err = find_owner(uses, n_uses, PARLA_OUT, out_rank);
        if (!err && *out_rank == CX_OWNER) {
            err = find_owner(uses, n_uses, PARLA_IN, out_rank);
        }
    }
    if (!err && (*out_rank < 0 || *out_rank >= flow->info.n_ranks)) {
        err = parla_error_set(PARLA_E_INVALID, "a task at rank %d: there are %d ranks", *out_rank, flow->info.n_ranks);
    }
    return err;
}

/* --- Messages --------------------------------------------------------------------------------------------------------------- */

static int send_block(cx_flow *flow, int rank, parla_data *data)
{
    flow->info.n_sent++;
    flow->info.n_sent_bytes += parla_strided_bytes(parla_data_shape(data));
    return cx_message_send_block(flow->rt, flow->transport, rank, flow->peers[rank].n_to++, data);
}

static int receive_block(cx_flow *flow, int rank, parla_data *data)
{
    flow->info.n_received++;
    flow->info.n_received_bytes += parla_strided_bytes(parla_data_shape(data));
    return cx_message_receive_block(flow->rt, flow->transport, rank, flow->peers[rank].n_from++, data);
}

/* Sees to it that `rank` has the block's newest version. */
static int supply(cx_flow *flow, const cx_use *use, int rank)
{
    cx_tracked *array = use->array;
    const cx_tracked_block *block = block_of(use);
    bool has_it = true;
    int err = PARLA_OK;
    if (block->rank == rank || block->is_empty) {
        return PARLA_OK;
    }
    if (block->rank == flow->info.rank) {
        err = cx_tracked_note_holder(array, use->i_block, rank, flow->info.n_ranks, &has_it);
        return err || has_it ? err : send_block(flow, rank, block->own);
    }
    if (rank == flow->info.rank) {
        parla_data *copy;
        bool is_new;
        err = cx_tracked_copy(array, use->i_block, &copy, &is_new);
        return err || !is_new ? err : receive_block(flow, block->rank, copy);
    }
    return PARLA_OK;
}

/* --- Spawns ----------------------------------------------------------------------------------------------------------------- */

static int name_data(cx_flow *flow, const cx_use *uses, size_t n_uses, parla_data **out_data)
{
    int err = PARLA_OK;
    for (size_t i = 0; !err && i < n_uses; i++) {
        bool is_new;
        if (block_of(&uses[i])->rank == flow->info.rank) {
            out_data[i] = block_of(&uses[i])->own;
        } else {
            err = cx_tracked_copy(uses[i].array, uses[i].i_block, &out_data[i], &is_new);
        }
    }
    return err;
}

/* The block has been written at `rank`. */
static int renew(cx_flow *flow, const cx_use *use, int rank)
{
    const cx_tracked_block *block = block_of(use);
    if (!cx_is_broken(CX_BREAK_VERSION)) {
        cx_tracked_renew(use->array, use->i_block, rank);
    }
    bool comes_home = block->rank == flow->info.rank && rank != block->rank && !block->is_empty;
    return comes_home ? receive_block(flow, rank, block->own) : PARLA_OK;
}

int cx_flow_begin(cx_flow *flow, int rank, const cx_use *uses, size_t n_uses, int *out_rank, parla_data **out_data)
{
    int err = PARLA_OK;
    for (size_t i = 0; !err && i < n_uses; i++) {
        err = check_use(&uses[i]);
    }
    err = err ? err : choose_rank(flow, rank, uses, n_uses, &rank);
    if (err) {
        return err;
    }
    flow->info.n_spawned++;
    flow->info.n_foreign += rank != flow->info.rank;
    note_call(flow, HASH_SPAWN);
    note(flow, (uint64_t)rank);
    for (size_t i = 0; i < n_uses; i++) {
        note_array(flow, uses[i].array);
        note(flow, (uint64_t)uses[i].i_block * 4 + (uint64_t)uses[i].mode);
    }
    for (size_t i = 0; !err && i < n_uses; i++) {
        err = uses[i].mode & PARLA_IN ? supply(flow, &uses[i], rank) : PARLA_OK;
    }
    if (!err && rank == flow->info.rank) {
        err = name_data(flow, uses, n_uses, out_data);
    }
    for (size_t i = 0; !err && i < n_uses; i++) {
        err = uses[i].mode & PARLA_OUT ? renew(flow, &uses[i], rank) : PARLA_OK;
    }
    *out_rank = rank;
    return err;
}

int cx_flow_end(cx_flow *flow, const cx_use *uses, size_t n_uses)
{
    int err = PARLA_OK;
    for (size_t i = 0; !err && i < n_uses; i++) {
        const cx_tracked_block *block = block_of(&uses[i]);
        if ((uses[i].mode & PARLA_OUT) && block->rank != flow->info.rank && !block->is_empty) {
            err = send_block(flow, block->rank, block->copy);
        }
    }
    return err;
}

/* --- Whole arrays ----------------------------------------------------------------------------------------------------------- */

static void count_transfer(cx_flow *flow, const cx_plan *plan, const cx_transfer *t)
{
    bool is_sent = t->src_place.rank == flow->info.rank, is_received = t->dst_place.rank == flow->info.rank;
    uint64_t n_bytes = (uint64_t)cx_box_volume(&t->dst_box) * cx_plan_item_bytes(plan);
    if (is_sent == is_received) {
        return;
    }
    *(is_sent ? &flow->info.n_sent : &flow->info.n_received) += 1;
    *(is_sent ? &flow->info.n_sent_bytes : &flow->info.n_received_bytes) += n_bytes;
}

int cx_flow_assign(cx_flow *flow, const cx_plan *plan, cx_tracked *dst, const cx_run *run)
{
    int64_t n = cx_plan_n_transfers(plan);
    cx_run own = *run;
    own.transport = flow->transport;
    own.tag = CX_TAG_PLAN | flow->n_in_plans;
    flow->n_in_plans += (uint64_t)n;
    note_call(flow, HASH_ASSIGN);
    note_array(flow, dst);
    note(flow, cx_box_hash(&cx_plan_dst(plan)->box));
    note(flow, cx_box_hash(&cx_plan_src(plan)->box));
    int err = cx_plan_run(plan, flow->rt, &own, NULL, NULL);
    for (int64_t i = 0; !err && i < n; i++) {
        cx_transfer t;
        cx_plan_transfer(plan, i, &t);
        if (!(run->flags & CX_RUN_LOCAL)) {
            count_transfer(flow, plan, &t);
        }
        if (dst) {
            cx_tracked_renew(dst, t.dst_block, t.dst_place.rank);
        }
    }
    return err;
}

int cx_flow_overwrite(cx_flow *flow, cx_tracked *array)
{
    note_call(flow, HASH_OVERWRITE);
    note_array(flow, array);
    for (int64_t i = 0; i < array->n_blocks; i++) {
        cx_tracked_renew(array, i, array->blocks[i].rank);
    }
    return PARLA_OK;
}

/* --- Look ------------------------------------------------------------------------------------------------------------------- */

int cx_flow_query(cx_flow *flow, cx_flow_info *out)
{
    if (out->size != sizeof *out) {
        return parla_error_set(PARLA_E_INVALID, "cx_flow_info.size is %zu, not %zu", out->size, sizeof *out);
    }
    *out = flow->info;
    return PARLA_OK;
}
