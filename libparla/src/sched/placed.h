/* placed.h - what the files of the placed path share: the record of a placed task, a device as the scheduler sees it, and the list
 * of things to do after unlocking.
 *
 *   demand.c   from options to a record           choose.c   which devices, by policy        move.c   copies between devices
 *   piece.c    what lies together
 *   order.c    before and after other tasks       reserve.c  memory, shares, pins            todo.c   what is done after unlocking
 *   fetch.c    content to where tasks run
 *   ready.c    tasks that wait for resources      pump.c     from waiting to launched        place.c  the entry points
 *   aim.c      for which device queued tasks wait
 *   explain.c  why a task is where it is      launch.c   work that a body left behind in a device's queue
 *                                             ahead.c    successors that start behind such work
 *
 * Everything here is guarded by rt->place.lock, except where a line says otherwise. */
#ifndef PL_SCHED_PLACED_H
#define PL_SCHED_PLACED_H

#include "data/data.h"
#include "device/lease.h"
#include "sched/runtime.h"

/* Where a placed task is. The life reference belongs to the placed path from HELD_BACK to FAILING. */
typedef enum pl_stage {
    PL_STAGE_SPAWNED,   /* its dependencies have not ended */
    PL_STAGE_HELD_BACK, /* they have, but others use its arrays before it */
    PL_STAGE_QUEUED,    /* waits for resources */
    PL_STAGE_MOVING,    /* has them; its arrays are on the way */
    PL_STAGE_HANDED,    /* on its way to the thread that calls its body */
    PL_STAGE_FAILING,   /* is not launched but ended */
    PL_STAGE_RUNNING,
    PL_STAGE_SUSPENDED,
    PL_STAGE_ENDED
} pl_stage;

/* What a task needs of one device, and which devices could ever give it. */
typedef struct pl_member {
    uint64_t devices;
    double vcus;
    size_t memory_bytes;
    size_t drawn_bytes; /* of those, what its blocks have taken and count as theirs; 0 unless the task has resources */
    bool is_exact;      /* of the last try to reserve: pl_need.is_exact */
} pl_member;

/* One way to place a task: members[first … first + n) on distinct devices. */
typedef struct pl_alternative {
    size_t first, n;
    size_t i_choice; /* in the options */
    parla_body body;
} pl_alternative;

/* What pl_choose thought of one device for one member; for parla_task_explain. */
typedef struct pl_judged {
    uint16_t i_alternative;
    uint8_t member, i_device, verdict;
    bool was_asked; /* the policy, for the cost */
    float cost;
} pl_judged;

struct pl_placed {
    /* Constant after spawn. */
    parla_runtime *rt;
    pl_task *task;
    pl_member *members;
    pl_alternative *alternatives;
    size_t n_alternatives;
    uint64_t prefer;    /* devices that it likes better */
    const void *kernel; /* whose runs tell how long it will take … */
    size_t n_bytes;     /* … with arrays of this size */
    pl_use *uses;       /* one for each array, member and way of access */
    size_t n_uses;
    pl_part *parts; /* one for each access */
    size_t n_accesses;
    pl_span *spans; /* for their boxes */
    size_t n_spans;
    pl_wait *waits;
    size_t n_waits;
    pl_task **content; /* malloc'ed: references on the tasks whose content it reads, until they have been linked to */
    size_t n_content;
    bool is_transfer;                /* starts a copy and no more: needs no turn in a device's queue */
    bool follows;                    /* goes to where the array of use 0 is */
    bool keeps_back;                 /* nothing starts behind its work before that is done */
    const parla_backend *follows_on; /* behind whose work it may start; NULL: nobody's */

    _Atomic uint32_t refs_shared; /* the task's, and one for each use that has not left its order */

    pl_stage stage;
    size_t n_unmet;  /* its uses that others are still before, … */
    size_t n_soft;   /* … and how many of those others are launched in front of it (ahead.c) */
    bool is_resumed; /* was suspended: keeps its devices */
    bool has_resources;
    int n_tries_left, i_attempt;
    uint64_t run_ns;    /* in its body so far */
    double expected_ns; /* for the whole body, on the chosen device */
    pl_judged *judged;  /* of the last look at it; room for each member on each device */
    size_t n_judged;
    bool is_counted;           /* in the receipt, as running or, for a transfer, as copying */
    bool is_void;              /* a host access that nobody waits for any more, or a spawn that failed: it writes nothing */
    int n_passed;              /* tasks that took resources while it was waiting for them */
    int n_moving;              /* uses that wait for movements */
    bool is_held;              /* its body took holds; for the body's thread */
    bool is_ahead;             /* others may start behind its flights */
    bool is_continued;         /* one has got its place in its queue */
    struct pl_flight *flights; /* of a launched task that is, or was, ahead: references */
    struct pl_lead *followers; /* leads from it, */
    struct pl_lead *leads;     /* and to it */
    parla_failure *spoilt_by;  /* of what it followed; a reference */
    pl_poison poison;          /* of tiles that its failure spoilt; one reference on the task while there are any */
    parla_failure *failure;    /* why it cannot be launched; once it has ended: how it failed */
    struct pl_bucket *bucket;
    int aim;       /* while it is queued: the device that it waits for, or -1 (aim.c) … */
    double aim_ns; /* … and what it will take there */
    uint64_t age;
    pl_placed *prev, *next; /* in the bucket */
    pl_placed *link;        /* in one list of a pl_todo */
    pl_placed *unpin_link;  /* in pl_todo.unpin */
    size_t i_alternative;
    int i_queue;
    int n_devices; /* 0 before the choice */
    int devices[]; /* one for each member of the chosen alternative */
};

/* A device as the scheduler sees it. */
typedef struct pl_site {
    pl_store store;
    int n_holders;        /* tasks that have reserved something there */
    double backlog_ns;    /* what they are expected to take in all */
    size_t whole_bytes;   /* arrays of a task that take no more are kept whole */
    uint64_t n_looks;     /* sums over instances (pl_instance.seen_by) */
    int n_moves;          /* movements that begin or end there */
    size_t sent_bytes;    /* of those that begin there */
    double aimed_ns;      /* what queued tasks that wait for it will take … */
    double passed_ns;     /* … and those of them that this walk of the pump has come by */
    int n_handed;         /* bodies handed over, or supplied with their arrays, and not begun */
    int max_handed;       /* more are not, so that they can still go elsewhere … */
    int n_at_once;        /* … and from so many on only what needs nothing evicted */
    size_t leaving_bytes; /* being written back to make room */
    int next_queue;
} pl_site;

/* Will something of a device that is taken now be given back? By tasks, by movements, or by uses in place, which pin copies on
 * devices where their tasks reserve nothing: of the copies there only those that are pinned are not idle. */
static inline bool pl_site_is_used(const pl_site *site)
{
    return site->n_holders > 0 || site->n_moves > 0 || site->store.device->used_bytes > site->store.idle_bytes;
}

/* Flights that a movement comes behind, with a reference each, and their events. */
typedef struct pl_followed {
    struct pl_flight **flights;
    pl_copy_order order;
} pl_followed;

/* A copy of a node's box from one device to another. */
typedef struct pl_move {
    parla_runtime *rt;
    parla_data *data; /* a reference */
    pl_tile *tile;    /* is held */
    pl_instance *from, *to;
    parla_strided from_box, to_box;
    size_t n_bytes;
    pl_followed followed; /* what it comes behind */
    bool makes_room;      /* the source is dropped when all of it has been written back */
    uint64_t begin_ns;
    struct pl_move *next;
} pl_move;

/* What was decided under the lock and is done after it. */
typedef struct pl_todo {
    pl_move *moves;            /* to start */
    pl_placed *launch;         /* to hand to a thread */
    pl_placed *fail;           /* to end as failed */
    pl_placed *drop;           /* whose life reference is to be dropped */
    pl_placed *unpin;          /* whose reference for poisoned arrays is to be dropped */
    struct pl_lead *leads;     /* to be told that what they followed has ended */
    struct pl_flight *flights; /* whose reference is to be dropped */
} pl_todo;

/* Unlocks the placed path and does what is in the list. If this thread is doing such a list already, further up its stack, that
 * list takes over the work, so that chains of ends do not nest. */
void pl_place_unlock_and_do(parla_runtime *rt, pl_worker *self, pl_todo *todo);
static inline void pl_place_lock(parla_runtime *rt) { pthread_mutex_lock(&rt->place.lock); }
static inline void pl_place_unlock(parla_runtime *rt) { pthread_mutex_unlock(&rt->place.lock); }

/* This thread's worker or guest, for callbacks that cannot fail: waits for memory if there is none. */
pl_worker *pl_place_self(parla_runtime *rt);

/* n_busy, and the end of what it counts. */
void pl_place_busy_begin(pl_place *place);
void pl_place_busy_end(pl_place *place);

static inline pl_placed *pl_placed_of(pl_task *task) { return pl_task_extra_or_null(task)->placed; }
static inline const char *pl_placed_label(const pl_placed *placed)
{
    return placed->task->name ? placed->task->name : "a task without a name";
}
void pl_placed_unref(pl_placed *placed);

/* Must the content be where the part is worked on? A resumed task has begun to write what it overwrites. */
static inline bool pl_needs_content(const pl_placed *placed, const pl_part *part)
{
    return (part->mode & PARLA_IN) || part->is_coarse || placed->is_resumed;
}

/* Memory of a device that neither copies nor blocks nor reservations take. */
static inline size_t pl_free_bytes(const pl_device *device)
{
    size_t taken = device->used_bytes + pl_lease_bytes(device->lease) + device->reserved_bytes, total = device->traits.memory_bytes;
    return taken < total ? total - taken : 0;
}

/* --- demand.c ----------------------------------------------------------------------------------------------------------------- */

/* For options of the library's own tasks, or-ed to parla_task_options.flags. Private modes of accesses count only with
 * PL_TASK_OWN. */
enum {
    PL_TASK_OWN = 1 << 16,
    PL_TASK_TRANSFER = 1 << 17, /* pl_placed.is_transfer */
    PL_TASK_FOLLOWS = 1 << 18,  /* pl_placed.follows */
};
/* Or-ed to a mode: comes after all users before it, like a writer; begins without content, like a writer. */
enum { PL_MODE_ALONE = 8, PL_MODE_ABSENT = 16 };

/* Checks what a task asks for and makes its record, not yet in any order. Takes references on the arrays. Called without the lock.
 * Errors: as parla_task_spawn. */
int pl_demand_create(parla_runtime *rt, pl_task *task, const parla_task_options *options, pl_placed **out);
/* Frees a record that was never ordered, and drops its references on arrays. */
void pl_demand_destroy(pl_placed *placed);

/* --- piece.c ------------------------------------------------------------------------------------------------------------------ */

/* Puts a part with its box into the pieces of its use. */
void pl_piece_add(pl_part *part);
/* The parts have been covered: finds the final pieces, and makes `lead` direct. */
void pl_pieces_close(pl_placed *placed);

static inline pl_instance *pl_part_instance(const pl_part *part) { return part->lead->instance; }

/* An instance on a device where a piece can lie, or NULL. is_exact: none that is larger. */
pl_instance *pl_piece_find(const pl_part *lead, int i_device, bool is_exact);
/* Are arrays of a member kept whole on a device? */
bool pl_keeps_whole(const pl_placed *placed, size_t member, int i_device);

/* Bytes that the pieces of a member take on a device, if none is there. */
size_t pl_array_bytes(const pl_placed *placed, size_t member, int i_device);

/* What the pieces of a member of the chosen alternative need on a device now. */
typedef struct pl_need {
    size_t missing_bytes;
    size_t present_bytes; /* of the instances that serve it there, */
    size_t idle_bytes;    /* and of those that are not pinned: they stay when room is made for the task */
    bool is_exact;        /* only instances that are no larger than their pieces serve it */
} pl_need;
pl_need pl_need_of(const pl_placed *placed, size_t member, int i_device);

/* --- order.c ------------------------------------------------------------------------------------------------------------------ */

/* Covers the regions that the task names, checks that what is read has or will have content, and puts the task behind the other users
 * of its arrays. On success placed->content are references on the tasks that it must be linked to, and *out_deps is malloc'ed room for
 * their handles, NULL if there are none. */
int pl_order_task(parla_runtime *rt, pl_worker *self, pl_placed *placed, const parla_task_options *options, parla_task **out_deps,
                  pl_todo *todo);
/* Drops the references in placed->content. Called without the lock. */
void pl_order_forget_content(parla_runtime *rt, pl_worker *self, pl_placed *placed);
/* The task has ended: lets those behind it go, marks arrays whose content it spoilt. */
void pl_order_end(parla_runtime *rt, pl_placed *placed, parla_task_state how, pl_todo *todo);
/* The content of a leaf is whole again, or the array is no longer used here. */
void pl_order_cure(pl_tile *leaf, pl_todo *todo);
/* How the last writer of some tile of a part failed whose turn is over; NULL: none did. Borrowed. */
parla_failure *pl_order_spoilt(const pl_part *part);

/* --- choose.c ----------------------------------------------------------------------------------------------------------------- */

/* PL_NOT_AHEAD: it has to wait for its turn, since there is no memory for it before. */
typedef enum pl_fit { PL_FITS, PL_NO_TURN, PL_NOT_AHEAD, PL_NO_ROOM, PL_HOPELESS } pl_fit;

/* Picks an alternative and its devices: sets i_alternative, devices and n_devices if it fits. Devices outside `open` are kept for
 * another task for now, those in `excluded` are found to be hopeless; a task for one device gets one of `asked`. */
pl_fit pl_choose(parla_runtime *rt, pl_placed *placed, uint64_t open, uint64_t excluded, uint64_t asked);

/* The devices that member k of the alternative i_alternative may have. */
uint64_t pl_devices_of(const pl_placed *placed, size_t k);
/* What its kernel took on a device, or elsewhere, or a guess. */
pl_expectation pl_expectation_of(parla_runtime *rt, const pl_placed *placed, int i_device);
/* What the policy thinks of a device for a member, with so much time before it there. with_aims: as if what queued tasks want had arrived. */
double pl_cost_of(parla_runtime *rt, const pl_placed *placed, size_t k, const pl_site *site, double backlog_ns, bool with_aims);

/* --- reserve.c ---------------------------------------------------------------------------------------------------------------- */

/* Takes all that the chosen devices must give, or nothing. PL_NO_ROOM: later, perhaps after copies that were started to make room.
 * PL_HOPELESS: never; *out_device is the device that lacks memory. */
pl_fit pl_reserve(parla_runtime *rt, pl_placed *placed, int *out_device, pl_todo *todo);
void pl_unreserve(parla_runtime *rt, pl_placed *placed);
/* Frees an unpinned instance that is spare, to make room. */
void pl_evict(parla_runtime *rt, pl_instance *victim);
/* Why a task cannot be placed: the device, the need, and who holds its memory. */
parla_failure *pl_hopeless_failure(parla_runtime *rt, pl_placed *placed, int i_device);

/* --- fetch.c ------------------------------------------------------------------------------------------------------------------- */

/* Finds the copies of accesses in place, and starts what has to be copied for a task that has reserved. */
void pl_fetch_all(parla_runtime *rt, pl_placed *placed, pl_todo *todo);
/* Is nothing on its way that the task must wait for? While one tile was, another, which the task writes, may have begun to be written
 * back from a third device. False: the task waits (n_moving), and is launched when the last of it has arrived. */
bool pl_is_settled(pl_placed *placed);
/* A movement of the array has ended. */
void pl_fetch_ended(parla_runtime *rt, parla_data *data, pl_todo *todo);
/* A movement to an instance has failed: calls fail(ctx, placed) for those who wait and now miss content there. */
void pl_fetch_failed(const pl_instance *to, void (*fail)(void *ctx, pl_placed *placed), void *ctx);
/* The body is about to be handed over: makes the tiles that it writes current at its copies only. */
void pl_begin_uses(parla_runtime *rt, pl_placed *placed);

/* Starts copies to the host, which has memory, of all that is current in an instance and nowhere else, to make room; returns how many.
 * *out_all tells whether that is all of it. */
int pl_fetch_sole(parla_runtime *rt, pl_instance *from, bool *out_all, pl_todo *todo);

/* --- move.c ------------------------------------------------------------------------------------------------------------------- */

/* Decides on a copy of a node's box to `to`, which has memory, from `from`; it is started by pl_place_unlock_and_do. All leaves of the
 * node have the same homes. NULL without memory, or if the array's last reference has gone. */
pl_move *pl_move_create(parla_runtime *rt, pl_tile *tile, pl_instance *to, pl_instance *from, pl_todo *todo);
/* Called without the lock. */
void pl_move_start(pl_move *move);

/* --- pump.c ------------------------------------------------------------------------------------------------------------------- */

/* Queues a task that may be placed; false if it was cancelled a moment ago. */
bool pl_enqueue(parla_runtime *rt, pl_placed *placed);
/* All arrays of a task with resources are in place: it is launched, or ended if that failed, or waits once more. */
void pl_launch(parla_runtime *rt, pl_placed *placed, pl_todo *todo);
/* Places as many queued tasks as fit. */
void pl_pump(parla_runtime *rt, pl_todo *todo);
/* The devices that are closed for a queued task, since some before it have waited too long. Not during a walk of the pump. */
uint64_t pl_kept_before(parla_runtime *rt, const pl_placed *placed);
/* Its turn in the device's queue is over, or will not come. */
void pl_give_turn(parla_runtime *rt, const pl_placed *placed);
/* Hands a launched task to the thread that will call its body. Called without the lock. */
void pl_hand_over(parla_runtime *rt, pl_worker *self, pl_placed *placed);
/* Ends a task that cannot be launched. Called without the lock. */
void pl_give_up(parla_runtime *rt, pl_worker *self, pl_placed *placed);

/* --- block.c ------------------------------------------------------------------------------------------------------------------ */

/* Looks after blocks on their way back, for tasks that wait for memory. Errors: PARLA_E_NOMEM. */
int pl_blocks_open(parla_runtime *rt);
void pl_blocks_close(parla_runtime *rt);

/* --- place.c ------------------------------------------------------------------------------------------------------------------ */

/* Its body begins, or a copy that it starts; and it is over, or interrupted. For the receipt. */
void pl_count_begin(parla_runtime *rt, pl_placed *placed);
void pl_count_end(parla_runtime *rt, pl_placed *placed);

/* --- attach.c ----------------------------------------------------------------------------------------------------------------- */

/* Attaches the arrays of a record that are not attached to the runtime: all of them, or on error none. Called without locks.
 * Errors: PARLA_E_STATE, PARLA_E_NOMEM. */
int pl_attach(parla_runtime *rt, pl_placed *placed);
/* Drops a reference on an array; the last one detaches and destroys it. Called without locks. */
void pl_data_drop(parla_data *data);
/* Writes every attached array back to the host and detaches it. No task is left. */
void pl_detach_all(parla_runtime *rt);

#endif
