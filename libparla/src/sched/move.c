/* move.c - copies of boxes of arrays between devices.
 *
 * A movement is decided under rt->place.lock, which pins both copies and holds the node whose box is copied; started after it; and ended
 * by the device layer's callback, which takes the lock again. Meanwhile the node's leaves are marked as arriving: so there is one
 * movement for all readers of a copy, and no writer begins. A failed movement changes nothing but fails those who need it (fetch.c).
 *
 * A movement holds a reference on its array and counts as outside progress (wait.c) until all that it sets off is done. */
#include "base/clock.h"
#include "base/error.h"
#include "sched/ahead.h"
#include "task/failure.h"

#include <stdio.h>
#include <stdlib.h>

static pl_site *site_of(parla_runtime *rt, const pl_instance *instance) { return &rt->place.sites[instance->i_device]; }

/* The boxes of a movement: its node stays as it is, but the nodes above it may be moved in memory while no lock is held. */
static void set_boxes(pl_move *move)
{
    pl_span spans[PARLA_MAX_NDIM];
    move->from_box = move->from->box;
    move->to_box = move->to->box;
    if (!move->tile->parent)
        return;
    pl_tile_box(&move->data->tiles, move->tile, spans);
    move->from_box = pl_box_part(&move->from->box, spans);
    move->to_box = pl_box_part(&move->to->box, spans);
}

static int reserve_homes(pl_tile *top)
{
    int rc = 0;
    for (pl_tile *leaf = pl_tile_first(top); rc == 0 && leaf; leaf = pl_tile_next(leaf, top))
        rc = pl_homes_reserve(&leaf->homes, 1);
    return rc;
}

pl_move *pl_move_create(parla_runtime *rt, pl_tile *tile, pl_instance *to, pl_instance *from, pl_todo *todo)
{
    pl_move *move = calloc(1, sizeof *move);
    if (!move || reserve_homes(tile) < 0 || !pl_data_ref_if_alive(to->data)) {
        free(move);
        return NULL;
    }
    move->rt = rt;
    move->data = to->data;
    move->tile = tile;
    move->n_bytes = pl_data_tile_bytes(to->data, tile);
    move->from = from;
    move->to = to;
    set_boxes(move);
    pl_tile_hold(tile);
    for (pl_tile *leaf = pl_tile_first(tile); leaf; leaf = pl_tile_next(leaf, tile))
        pl_data_leaving(move->data, leaf, to);
    pl_instance_pin(&site_of(rt, from)->store, from);
    pl_instance_pin(&site_of(rt, to)->store, to);
    site_of(rt, from)->n_moves++;
    site_of(rt, to)->n_moves++;
    site_of(rt, from)->sent_bytes += move->n_bytes;
    rt->place.n_busy++;
    pl_receipt_copy_begin(&rt->place.receipt);
    move->next = todo->moves;
    todo->moves = move;
    return move;
}

/* --- The end of one ----------------------------------------------------------------------------------------------------------- */

typedef struct move_failure {
    const pl_move *move;
    int status;
    const char *detail;
} move_failure;

static void fail_task(void *ctx, pl_placed *placed)
{
    const move_failure *failure = ctx;
    const pl_move *move = failure->move;
    const pl_device *devices = move->rt->place.devices.list;
    if (!placed->failure)
        placed->failure = pl_failure_create(failure->status, placed->task->name, NULL, "copying %s from %s to %s failed: %s",
                                            pl_data_label(move->data), devices[move->from->i_device].name,
                                            devices[move->to->i_device].name, failure->detail);
}

static void end_of_room(pl_move *move, int status)
{
    pl_site *site = site_of(move->rt, move->from);
    pl_instance *from = move->from;
    from->has_stayed = from->has_stayed || status < 0;
    if (--from->n_leaving > 0)
        return;
    site->leaving_bytes -= from->n_bytes;
    if (from->has_stayed) {
        from->has_stayed = false;
        from->is_kept = true;
    } else if (from->n_pins == 0 && pl_instance_is_spare(from)) {
        pl_evict(move->rt, from);
    }
}

static void note_arrival(pl_move *move, int status)
{
    int i_to = move->to->i_device;
    pl_tile *top = move->tile;
    uint64_t *n_bytes = &move->rt->place.receipt.n_bytes_for_room;
    if (move->makes_room && status == 0)
        *n_bytes += move->n_bytes;
    for (pl_tile *leaf = pl_tile_first(top); leaf; leaf = pl_tile_next(leaf, top)) {
        if (status == 0 && (leaf->evicted >> i_to & 1)) {
            *n_bytes += move->makes_room || move->from->i_device == i_to ? 0 : pl_data_tile_bytes(move->data, leaf);
            leaf->evicted &= ~(UINT64_C(1) << i_to);
        }
        pl_data_arrived(move->data, leaf, move->to, status == 0);
    }
    pl_tile_release(&move->data->tiles, top);
}

static void end_locked(pl_move *move, int status, const char *detail, pl_todo *todo)
{
    parla_runtime *rt = move->rt;
    pl_instance_unpin(&site_of(rt, move->from)->store, move->from);
    pl_instance_unpin(&site_of(rt, move->to)->store, move->to);
    site_of(rt, move->from)->n_moves--;
    site_of(rt, move->to)->n_moves--;
    site_of(rt, move->from)->sent_bytes -= move->n_bytes;
    pl_receipt_copy_end(&rt->place.receipt);
    note_arrival(move, status);
    if (move->makes_room)
        end_of_room(move, status);
    move_failure failure = {move, status, detail};
    if (status < 0)
        pl_fetch_failed(move->to, fail_task, &failure);
    pl_fetch_ended(rt, move->data, todo);
}

/* What makes room counts for the device that is short of it. */
static void trace_move(const pl_move *move)
{
    char name[80];
    pl_trace *trace = move->rt->trace;
    if (!pl_trace_is_on(trace))
        return;
    snprintf(name, sizeof name, "%s%s", move->makes_room ? "eviction of " : "", pl_data_label(move->data));
    pl_trace_copy(trace, name, move->begin_ns, pl_devices_now_ns(&move->rt->place.devices),
                  move->makes_room ? move->from->i_device : move->to->i_device, move->n_bytes);
}

static void move_ended(void *arg, int status)
{
    pl_move *move = arg;
    parla_runtime *rt = move->rt;
    pl_worker *self = pl_place_self(rt);
    pl_todo todo = {0};
    trace_move(move);
    pl_place_lock(rt);
    end_locked(move, status, status < 0 ? parla_error_text(status) : "", &todo);
    pl_pump(rt, &todo);
    pl_place_unlock_and_do(rt, self, &todo);
    pl_data_drop(move->data);
    pl_ahead_forget(&move->followed);
    free(move);
    pl_outside_done(rt);
    pl_place_busy_end(&rt->place);
}

void pl_move_start(pl_move *move)
{
    parla_instance to = {.box = move->to_box, .i_device = move->to->i_device};
    parla_instance from = {.box = move->from_box, .i_device = move->from->i_device};
    pl_outside_add(move->rt);
    move->begin_ns = pl_devices_now_ns(&move->rt->place.devices);
    int rc = pl_copy_async_behind(&move->rt->place.devices, &to, &from, &move->followed.order, move_ended, move);
    if (rc < 0)
        move_ended(move, rc);
}
