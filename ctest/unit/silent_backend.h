/* silent_backend.h - the kind "silent": simulated devices as a driver without callbacks has them. Bodies run on workers and fill queues, of
 * which there are three for each device; each case of the including program can name it. */
#ifndef PARLA_TEST_SILENT_BACKEND_H
#define PARLA_TEST_SILENT_BACKEND_H

#include "device/backends.h"
#include "test.h"

static inline int silent_open(void **out_device, const parla_device_spec *spec, parla_device_traits *out_traits)
{
    int rc = pl_backend_sim.open(out_device, spec, out_traits);
    out_traits->n_queues = 3;
    return rc;
}

__attribute__((constructor)) static void register_silent(void)
{
    static parla_backend silent;
    silent = pl_backend_sim;
    silent.kind = "silent";
    silent.open = silent_open;
    silent.queue_call = NULL;
    T_OK(parla_backend_register(&silent));
}

#endif
