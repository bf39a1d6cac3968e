/* aim.h - for which device queued tasks wait.
 *
 * A patient policy lets a task wait for a device that is busy. Where many tasks are queued, it matters which ones wait for which device, long
 * before they get it: what one of them brings there, others will find, and the time that they take counts against the device for those
 * behind them. So a task aims at one device from when it is queued: at the cheapest one, reckoned as if all that queued tasks want somewhere
 * had arrived. The pump offers a turn first to tasks that aim at its device, and only what they leave to all others, which then may
 * have to copy more, but keep the device busy.
 *
 * Aims are hints: nothing waits for them, and a task that has none, a gang for example, is placed as ever. Guarded by rt->place.lock. */
#ifndef PL_SCHED_AIM_H
#define PL_SCHED_AIM_H

#include "sched/placed.h"

/* A task has been queued: it gets an aim if it is of a kind that has one. */
void pl_aim(parla_runtime *rt, pl_placed *placed);
/* It aims at another device from now on; and at none, since it is queued no longer. */
void pl_aim_at(parla_runtime *rt, pl_placed *placed, int i_device);
void pl_aim_drop(parla_runtime *rt, pl_placed *placed);
/* Kernels were found to take another time than was guessed: fresh tasks choose again. */
void pl_aim_anew(parla_runtime *rt);

/* A walk of the pump begins; it has come by a task, which goes on waiting. */
void pl_aim_rewind(pl_place *place);
void pl_aim_pass(pl_place *place, const pl_placed *placed);
/* What those queued tasks will take on a device that get it before this one. */
double pl_aim_ahead_ns(const pl_placed *placed, const pl_site *site);

#endif
