/* sim_clock.h - modelled time: a clock that stands still while anybody computes, and then jumps to the next moment at which something is
 * to happen. The devices of one runtime share it; NULL stands for real time. */
#ifndef PL_DEVICE_SIM_CLOCK_H
#define PL_DEVICE_SIM_CLOCK_H

#include "device/sim_event.h"

#include <pthread.h>

/* A thread that lives in modelled time: that of a queue. Embedded in what it belongs to; all fields are the clock's, guarded by its lock. */
typedef struct pl_sim_actor {
    pl_sim_clock *clock;
    struct pl_sim_actor *next; /* opened after it */
    bool is_asleep;            /* until wake_ns; awaits, or else has_work, counts if it is not */
    uint64_t wake_ns;
    pl_sim_event *awaits; /* borrowed */
    bool has_work;
    pthread_cond_t turn; /* it is this one's turn */
} pl_sim_actor;

/* Errors: PARLA_E_NOMEM. The time begins with the real one, so that it can stand beside it in traces. */
PARLA_MUST_USE int pl_sim_clock_create(pl_sim_clock **out);
/* All actors have left. NULL is allowed. */
void pl_sim_clock_destroy(pl_sim_clock *clock);

/* Who knows whether somebody else computes: asked without locks, from any thread, whenever nobody has the turn and something is due.
 * False means that pl_sim_clock_look is called again once that may have changed. Set before the first actor has work; NULL: always true. */
void pl_sim_clock_on_rest(pl_sim_clock *clock, bool (*is_at_rest)(void *ctx), void *ctx);

/* Goes on, if nobody has the turn, something is due, and everybody rests. From: any thread that holds no lock which is_at_rest takes. */
void pl_sim_clock_look(pl_sim_clock *clock);

/* Would it go on, if all rested? */
bool pl_sim_clock_stands(pl_sim_clock *clock);

/* Between the two nobody is asked whether he rests: for a thread that waits for the devices and cannot say so. They nest. NULL is allowed. */
void pl_sim_clock_force(pl_sim_clock *clock);
void pl_sim_clock_unforce(pl_sim_clock *clock);

/* The modelled time now, and when it began. */
uint64_t pl_sim_clock_now_ns(const pl_sim_clock *clock);
uint64_t pl_sim_clock_origin_ns(const pl_sim_clock *clock);

/* Enters an actor into the clock, without a turn; and takes it out: from its own thread, which has the turn, or if it never had a thread. */
void pl_sim_actor_enter(pl_sim_actor *actor, pl_sim_clock *clock);
void pl_sim_actor_leave(pl_sim_actor *actor);

/* Says whether it has something to do. From: any thread. */
void pl_sim_actor_set_work(pl_sim_actor *actor, bool has_work);

/* All from the actor's own thread. Each gives back the turn, if it has it, and returns when it has it again: when it has work; when so much
 * time has passed; when the event has. */
void pl_sim_actor_next(pl_sim_actor *actor);
void pl_sim_actor_sleep(pl_sim_actor *actor, uint64_t duration_ns);
void pl_sim_actor_await(pl_sim_actor *actor, pl_sim_event *event);

#endif
