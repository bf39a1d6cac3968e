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

/* Plain CPU tasks are not counted one by one: they are what ran, less what ran on the other devices. */
static uint64_t count_cpu_tasks(parla_runtime *rt)
{
    parla_runtime_info info = {.size = sizeof info};
    if (parla_runtime_query(rt, &info))
        return 0;
    uint64_t elsewhere = info.n_cancelled;
    for (int i = 1; i < rt->place.devices.n; i++)
        elsewhere += pl_load_relaxed(&rt->place.devices.list[i].n_tasks);
    return info.n_ended > elsewhere ? info.n_ended - elsewhere : 0;
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
    if (!error && i_device == 0)
        out->n_tasks = count_cpu_tasks((parla_runtime *)rt);
    return error;
}

bool parla_device_is_host_memory(const parla_runtime *rt, int i_device)
{
    if (pl_runtime_check(rt) || i_device >= rt->place.devices.n)
        return false;
    int begin = i_device < 0 ? 0 : i_device, end = i_device < 0 ? rt->place.devices.n : i_device + 1;
    bool is_host = true;
    for (int i = begin; i < end; i++)
        is_host = is_host && rt->place.devices.list[i].traits.is_host_memory;
    return is_host;
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
