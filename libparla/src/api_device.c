/* api_device.c - the public functions of device.h: what a runtime has to run on. */
#include "base/error.h"
#include "sched/runtime.h"

int parla_device_count(const parla_runtime *rt) { return rt->place.devices.n; }

int parla_device_count_arch(const parla_runtime *rt, parla_arch arch)
{
    if (arch == PARLA_ARCH_ANY)
        return rt->place.devices.n;
    return arch == PARLA_ARCH_CPU || arch == PARLA_ARCH_GPU ? rt->place.devices.n_arch[arch] : 0;
}

int parla_device_query(const parla_runtime *rt, int i_device, parla_device_info *out)
{
    int error = pl_runtime_check(rt);
    if (error)
        return error;
    pthread_mutex_t *lock = &((parla_runtime *)rt)->place.lock;
    pthread_mutex_lock(lock);
    error = pl_devices_query(&rt->place.devices, i_device, out);
    pthread_mutex_unlock(lock);
    return error;
}

int parla_device_find(const parla_runtime *rt, parla_arch arch, int number, int *out)
{
    int error = pl_runtime_check(rt);
    return error ? error : pl_devices_find(&rt->place.devices, arch, number, out);
}

int parla_link_query(const parla_runtime *rt, int i_src, int i_dst, parla_link_info *out)
{
    int error = pl_runtime_check(rt);
    return error ? error : pl_devices_link(&rt->place.devices, i_src, i_dst, out);
}

int parla_sim_inject(parla_runtime *rt, int i_device, int64_t fail_alloc_n, int64_t fail_copy_n)
{
    int error = pl_runtime_check(rt);
    return error ? error : pl_devices_inject(&rt->place.devices, i_device, fail_alloc_n, fail_copy_n);
}
