/* backends.h - the kinds of device that this process knows: two that are built in, and those that were registered. */
#ifndef PL_DEVICE_BACKENDS_H
#define PL_DEVICE_BACKENDS_H

#include <parla/backend.h>

/* Host memory and immediate queues (backend_cpu.c); simulated GPUs in host memory (backend_sim.c). */
extern const parla_backend pl_backend_cpu;
extern const parla_backend pl_backend_sim;

/* True for the handle of the host, which pl_backend_cpu gives out, and for NULL: memory on the host's side of a copy. */
bool pl_cpu_is_handle(const void *device);

/* Arms the faults of parla_sim_inject on a device that pl_backend_sim opened. */
void pl_sim_inject(void *sim_device, int64_t fail_alloc_n, int64_t fail_copy_n);

/* The i-th kind, counted from 0 in the order of registration ("cpu" and "sim" first), or NULL past the last. */
const parla_backend *pl_backend_at(int i);

/* Writes the names of all kinds, "cpu, sim", for messages. */
void pl_backend_list(char *out, size_t n_bytes);

#endif
