/* api_sim.c - public functions of simulated devices in modelled time. */
#include "base/error.h"
#include "device/sim_queue.h"
#include "sched/runtime.h"

#include <parla/sim.h>

int parla_sim_work(parla_context *context, int64_t duration_ns)
{
    if (duration_ns < 0)
        return pl_error_set(PARLA_E_INVALID, "work of %lld ns", (long long)duration_ns);
    if (context->on_queue)
        (void)pl_sim_queue_spend((uint64_t)duration_ns);
    return 0;
}

uint64_t parla_sim_now_ns(const parla_runtime *rt)
{
    const pl_devices *devices = &rt->place.devices;
    return pl_devices_now_ns(devices) - devices->origin_ns;
}
