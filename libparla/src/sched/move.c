/* move.c - copies of arrays between devices, and who waits for them.
 *
 * A movement is decided under rt->place.lock, which pins both copies; started after it; and ended by the device layer's callback,
 * which takes the lock again. Readers wait for the one movement that brings their copy, however many they are. A writer waits until
 * no movement of its array is under way at all: none may read what it writes, nor arrive after it. A failed movement changes
 * nothing but fails those who need it.
 *
 * A movement holds a reference on its array and counts as outside progress (wait.c) until all that it sets off is done. */
#include "base/clock.h"
#include "base/error.h"
#include "sched/placed.h"
#include "task/failure.h"

#include <stdlib.h>

static pl_site *site_of(parla_runtime *rt, const pl_instance *instance) { return &rt->place.sites[instance->i_device]; }

pl_move *pl_move_create(parla_runtime *rt, pl_instance *to, pl_instance *from, pl_todo *todo)
{
    pl_move *move = calloc(1, sizeof *move);
    if (!move || !pl_data_ref_if_alive(to->data)) {
        free(move);
        return NULL;
    }
    move->rt = rt;
    move->data = to->data;
    move->from = from;
    move->to = to;
    pl_instance_pin(&site_of(rt, from)->store, from);
    pl_instance_pin(&site_of(rt, to)->store, to);
    to->incoming = move;
    site_of(rt, from)->n_moves++;
    site_of(rt, to)->n_moves++;
    move->data->n_moves++;
    rt->place.n_busy++;
    move->next = todo->moves;
    todo->moves = move;
    return move;
}

/* --- The end of one ----------------------------------------------------------------------------------------------------------- */

static void fail_use(const pl_move *move, pl_use *use, int status, const char *detail)
{
    pl_placed *placed = use->owner;
    const pl_device *devices = move->rt->place.devices.list;
    if (!placed->failure)
        placed->failure =
            pl_failure_create(status, placed->task->name, NULL, "copying %s from %s to %s failed: %s", pl_data_label(move->data),
                              devices[move->from->i_device].name, devices[move->to->i_device].name, detail);
}

static void release_uses(parla_runtime *rt, pl_use *list, pl_todo *todo)
{
    while (list) {
        pl_use *use = list;
        pl_placed *placed = use->owner;
        list = use->next_waiting;
        if (--placed->n_moving == 0)
            pl_launch(rt, placed, todo);
    }
}

static void end_of_room(pl_move *move, int status)
{
    pl_site *site = site_of(move->rt, move->from);
    pl_instance *from = move->from;
    site->leaving_bytes -= move->data->n_bytes;
    if (status < 0) {
        from->is_kept = true;
    } else if (from->n_pins == 0 && pl_coherence_is_spare(move->data->coherence, from->i_device)) {
        move->data->coherence = pl_coherence_dropped(move->data->coherence, from->i_device);
        pl_instance_free(&site->store, from);
    }
}

static void end_locked(pl_move *move, int status, const char *detail, pl_todo *todo)
{
    parla_runtime *rt = move->rt;
    parla_data *data = move->data;
    move->to->incoming = NULL;
    pl_instance_unpin(&site_of(rt, move->from)->store, move->from);
    pl_instance_unpin(&site_of(rt, move->to)->store, move->to);
    site_of(rt, move->from)->n_moves--;
    site_of(rt, move->to)->n_moves--;
    data->n_moves--;
    if (status == 0)
        data->coherence = pl_coherence_fetched(data->coherence, move->to->i_device);
    if (move->makes_room)
        end_of_room(move, status);
    if (status < 0) {
        for (pl_use *use = move->waiting; use; use = use->next_waiting)
            fail_use(move, use, status, detail);
        for (pl_use *use = data->unsettled; use; use = use->next_waiting)
            if (use->i_device == move->to->i_device && pl_needs_content(use->owner, use))
                fail_use(move, use, status, detail);
    }
    release_uses(rt, move->waiting, todo);
    if (data->n_moves == 0) {
        pl_use *settled = data->unsettled;
        data->unsettled = NULL;
        release_uses(rt, settled, todo);
    }
}

static void move_ended(void *arg, int status)
{
    pl_move *move = arg;
    parla_runtime *rt = move->rt;
    pl_worker *self = pl_place_self(rt);
    pl_todo todo = {0};
    pl_trace_copy(rt->trace, pl_data_label(move->data), move->begin_ns, move->to->i_device, move->data->n_bytes);
    pl_place_lock(rt);
    end_locked(move, status, status < 0 ? parla_error_text(status) : "", &todo);
    pl_pump(rt, &todo);
    pl_place_unlock_and_do(rt, self, &todo);
    pl_data_drop(move->data);
    free(move);
    pl_outside_done(rt);
    pl_place_busy_end(&rt->place);
}

void pl_move_start(pl_move *move)
{
    parla_instance to = {.box = move->to->box, .i_device = move->to->i_device};
    parla_instance from = {.box = move->from->box, .i_device = move->from->i_device};
    pl_outside_add(move->rt);
    move->begin_ns = pl_now_ns();
    int rc = pl_copy_async(&move->rt->place.devices, &to, &from, move_ended, move);
    if (rc < 0)
        move_ended(move, rc);
}
