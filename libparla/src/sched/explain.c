/* explain.c - what a placed task answers about its placement: which choice, which try, and why these devices.
 *
 * pl_choose leaves what it found in the task's record each time that it looks at the task (choose.c); this file only translates it. */
#include "sched/placed.h"

#include <math.h>

size_t pl_place_choice(const pl_task *task)
{
    const pl_extra *extra = pl_task_extra_or_null((pl_task *)task);
    return extra && extra->placed ? extra->placed->alternatives[extra->placed->i_alternative].i_choice : 0;
}

int pl_place_attempt(const pl_task *task)
{
    const pl_extra *extra = pl_task_extra_or_null((pl_task *)task);
    return extra && extra->placed ? extra->placed->i_attempt : 0;
}

/* The walks of the pump pass over tasks that could only go to busy or kept devices, so this one may never have been looked at. */
static void look_now(parla_runtime *rt, pl_placed *placed)
{
    if (placed->stage != PL_STAGE_QUEUED || placed->n_judged > 0)
        return;
    (void)pl_choose(rt, placed, ~pl_kept_before(rt, placed), 0, ~UINT64_C(0));
    if (!placed->is_resumed)
        placed->n_devices = 0;
}

void pl_place_explain(pl_task *task, parla_explanation *out, parla_judgement *judgements, size_t capacity)
{
    pl_placed *placed = pl_placed_of(task);
    parla_runtime *rt = placed->rt;
    pl_place_lock(rt);
    look_now(rt, placed);
    bool is_chosen = placed->n_devices > 0;
    *out = (parla_explanation){
        .size = sizeof *out,
        .policy = rt->place.policy->name,
        .i_choice = is_chosen ? (int)placed->alternatives[placed->i_alternative].i_choice : -1,
        .n_passed = placed->n_passed,
        .expected_ns = is_chosen ? placed->expected_ns : 0,
        .n_judgements = placed->n_judged,
    };
    for (size_t i = 0; i < placed->n_judged && i < capacity; i++) {
        const pl_judged *judged = &placed->judged[i];
        judgements[i] = (parla_judgement){
            .i_choice = (int)placed->alternatives[judged->i_alternative].i_choice,
            .i_member = judged->member,
            .i_device = judged->i_device,
            .verdict = (parla_verdict)judged->verdict,
            .cost = judged->was_asked ? judged->cost : NAN,
        };
    }
    pl_place_unlock(rt);
}
