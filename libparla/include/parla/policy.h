/* policy.h - which of the devices that could take a task gets it: the built-in policies, a program's own, and why a device was chosen.
 *
 * Only devices that the task's choices allow, and that have what it demands, are candidates. A policy answers with a cost for each; the
 * least one is taken, the first among equals. So a policy can make a placement slow, but never wrong. Built in are
 *
 *   locality      the earliest completion: the time that the tasks before it there will take, the copies, the task's own time as its last
 *                 runs tell it
 *   eager         the least loaded device
 *   round_robin   one device after the other
 *
 * and the names of registered tables. parla_options.policy or PARLA_POLICY picks one. */
#ifndef PARLA_POLICY_H
#define PARLA_POLICY_H

#include <parla/task.h>

PARLA_BEGIN_DECLS

/* One device that could take one member of a task. */
typedef struct parla_candidate {
    int i_device;
    int n_devices;           /* in the runtime */
    int n_holders;           /* tasks that have it already, or have been promised to it */
    int width;               /* how many of them run at once: workers or queues */
    double backlog_ns;       /* until those are done, and those that wait for the device before it, as expected */
    double expected_ns;      /* the task's own time: the median of its kernel's last runs there with as much data, or a guess */
    double spread_ns;        /* median deviation of those runs from their median; 0 for a guess */
    int n_runs;              /* how many runs that rests on; 0: a guess */
    size_t missing_bytes;    /* to be copied there first */
    double link_bytes_per_s; /* of the links to it, as known or measured, now or in an earlier run; 0: not known */
    double link_latency_ns;  /* to set up a copy to it; 0: not known */
    bool has_hint;           /* the task prefers some devices … */
    bool is_preferred;       /* … this is one of them */
    unsigned turn;           /* the device whose turn it is */
} parla_candidate;

typedef struct parla_policy {
    size_t size; /* sizeof(parla_policy) */
    const char *name;
    void *ctx;
    /* The cost of a candidate; NaN leaves it out. It must not block and not call the library.
     * From: any thread that spawns or runs tasks, one at a time in each runtime. */
    double (*cost)(void *ctx, const parla_candidate *candidate);
    bool is_patient; /* waits for a busy device that costs less than a free one */
} parla_policy;

/* Makes a policy known to the whole process by its name, before runtimes that name it are created. The table is kept, not copied.
 * Errors: PARLA_E_INVALID for another size, a missing function or a name that is no word; PARLA_E_STATE if the name exists. */
PARLA_API PARLA_MUST_USE int parla_policy_register(const parla_policy *policy);

/* --- Why this device ---------------------------------------------------------------------------------------------------------- */

typedef enum parla_verdict {
    PARLA_VERDICT_CHOSEN,
    PARLA_VERDICT_COSTS_MORE, /* it fits, but the policy found another one cheaper */
    PARLA_VERDICT_BUSY,       /* has as many bodies waiting as it can use */
    PARLA_VERDICT_NO_MEMORY,  /* not enough is free now */
    PARLA_VERDICT_NO_SHARE,   /* the share of the device is not free now */
    PARLA_VERDICT_KEPT,       /* kept for a task that has waited too long */
    PARLA_VERDICT_HOPELESS,   /* cannot be met there, whatever ends */
    PARLA_VERDICT_FIXED       /* a resumed task stays where it was */
} parla_verdict;

/* What the verdict means, in a few words. Never NULL. */
PARLA_API const char *parla_verdict_text(parla_verdict verdict);

/* One device that was looked at for one member of one choice. */
typedef struct parla_judgement {
    int i_choice; /* in parla_task_options.choices */
    int i_member; /* of that choice */
    int i_device;
    parla_verdict verdict;
    double cost; /* as the policy gave it; NaN if it was not asked */
} parla_judgement;

typedef struct parla_explanation {
    size_t size;         /* sizeof(parla_explanation), set by the caller */
    const char *policy;  /* name; static or the registered table's */
    int i_choice;        /* that was taken; -1 while none is */
    int n_passed;        /* how many tasks took resources while this one was waiting for them */
    double expected_ns;  /* the run time that was reckoned with; 0 before the choice */
    size_t n_judgements; /* of the last time that the task was looked at */
} parla_explanation;

/* Why a task runs where it runs, or, while it is queued, why it does not run yet. Writes at most `capacity` judgements; a plain CPU task,
 * which no policy places, has none.
 * Errors: PARLA_E_STATE for a task that has ended and is forgotten, or was not spawned; PARLA_E_INVALID. */
PARLA_API PARLA_MUST_USE int parla_task_explain(parla_task task, parla_explanation *out, parla_judgement *judgements,
                                                size_t capacity);

PARLA_END_DECLS

#endif
