/* glue.h - what the Fortran modules call: the C interface where Fortran's descriptors, strings and 1-based spans have to be turned into it.
 *
 * The structures mirror derived types with bind(C) in parla.F90 and parla_mpi.F90, member by member.
 *
 * Fortran counts the dimensions of an array from the one that lies together in memory, C from the other end. So dimension k of a Fortran array
 * of rank n is dimension n - 1 - k of its parla_data: what is contiguous stays contiguous on every device. */
#ifndef PARLA_FORTRAN_GLUE_H
#define PARLA_FORTRAN_GLUE_H

#include <ISO_Fortran_binding.h>
#include <parla/parla.h>

/* One device that a task may run on. */
typedef struct plf_place {
    int arch, number;
    double vcus;
    int64_t memory_bytes;
} plf_place;

/* One array that a task uses. n_spans 0: all of it; else elements first, first + step, … up to last along each Fortran dimension, from 1. */
typedef struct plf_use {
    parla_data *data;
    int mode, member, n_spans;
    int64_t first[PARLA_MAX_NDIM], last[PARLA_MAX_NDIM], step[PARLA_MAX_NDIM];
} plf_use;

typedef struct plf_spawn_args {
    parla_body body;
    parla_on_end on_end;
    void *arg;
    const char *name;
    const parla_task *after;
    const plf_place *places;
    const plf_use *uses;
    int64_t n_after, n_places, n_uses;
    int64_t n_calls; /* at least 1: a range of so many calls (parla_task_spawn_n) */
    int priority, n_retries;
    int are_together; /* the places are one choice of several devices, not alternatives */
} plf_spawn_args;

typedef struct plf_runtime_args {
    const char *devices, *policy, *trace, *bind, *receipt; /* NULL for what is not given */
    int64_t window, stall_ns;
    int n_workers;
} plf_runtime_args;

int plf_runtime_create(parla_runtime **out, const plf_runtime_args *args);

/* Waits for everything. A failure that nobody has looked at is this call's: its code, and in the error detail its task and words. */
int plf_runtime_wait(parla_runtime *rt, int64_t timeout_ns);
int plf_runtime_workers(parla_runtime *rt);

int plf_spawn(parla_runtime *rt, parla_task *out, const plf_spawn_args *args);

/* Waits for tasks; the error detail tells which one failed, and how. */
int plf_wait(parla_runtime *rt, const parla_task *tasks, int64_t n_tasks, int64_t timeout_ns);

/* parla_fail without a format. */
int plf_fail(parla_context *context, int code, const char *words);

/* An array over the memory of `x`, of any type, rank and stride; name NULL: none. */
int plf_array_over(parla_data **out, const CFI_cdesc_t *x, const char *name);

/* An array without content. */
int plf_array_new(parla_data **out, int64_t item_bytes, int rank, const int64_t *shape, const char *name);

/* Points `p` at what the i-th use (from 1) is on the task's device `member` of it. Errors: PARLA_E_INVALID if rank or element differ. */
int plf_view(const parla_context *context, int i, CFI_cdesc_t *p);

/* parla_data_acquire, with `p` pointed at the array. rt may be NULL. */
int plf_acquire(parla_runtime *rt, parla_data *data, int mode, int64_t timeout_ns, CFI_cdesc_t *p);

/* Brings all of the array to its host memory; device copies are gone afterwards. */
int plf_sync(parla_runtime *rt, parla_data *data, int64_t timeout_ns);

#endif
