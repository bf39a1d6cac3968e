/* api_trace.c - the public trace functions: find the runtime's trace and pass the call on. */
#include "base/error.h"
#include "sched/runtime.h"
#include "trace/trace_path.h"

#include <inttypes.h>
#include <parla/trace.h>
#include <stdio.h>
#include <stdlib.h>

int parla_trace_start(parla_runtime *rt)
{
    int error = pl_runtime_check(rt);
    return error ? error : pl_runtime_trace_start(rt);
}

void parla_trace_stop(parla_runtime *rt)
{
    if (!pl_runtime_check(rt))
        pl_runtime_trace_stop(rt);
}

int parla_trace_write(parla_runtime *rt, const char *path)
{
    int error = pl_runtime_check(rt);
    if (error)
        return error;
    if (!path || path[0] == '\0')
        return pl_error_set(PARLA_E_INVALID, "a file name for the trace is missing");
    pl_launcher launcher = pl_launcher_read();
    char *own_path;
    error = pl_trace_path(path, false, launcher, &own_path);
    if (error)
        return error;
    error = pl_trace_json(pl_runtime_trace(rt), own_path, launcher.rank);
    free(own_path);
    return error;
}

void parla_trace_begin(parla_runtime *rt, const char *name)
{
    if (pl_trace_is_on(pl_runtime_trace(rt)))
        pl_trace_begin(pl_runtime_trace(rt), name);
}

void parla_trace_end(parla_runtime *rt)
{
    if (pl_trace_is_on(pl_runtime_trace(rt)))
        pl_trace_end(pl_runtime_trace(rt));
}

uint64_t parla_trace_now(parla_runtime *rt)
{
    return !pl_runtime_check(rt) && pl_trace_is_on(pl_runtime_trace(rt)) ? pl_devices_now_ns(&rt->place.devices) : 0;
}

void parla_trace_message(parla_runtime *rt, parla_task task, bool is_send, int peer, uint64_t tag, uint64_t begin_ns,
                         size_t n_bytes)
{
    char name[64];
    uint64_t now_ns = parla_trace_now(rt);
    if (begin_ns == 0 || now_ns == 0 || parla_task_is_none(task))
        return;
    snprintf(name, sizeof name, is_send ? "send %" PRIu64 " to %d" : "receive %" PRIu64 " from %d", tag, peer);
    pl_trace_span(pl_runtime_trace(rt), PL_TRACE_MESSAGE, name, begin_ns, now_ns,
                  task.generation << 32 | pl_slot_number(task.object), -1, n_bytes);
}

void parla_trace_set_clock(parla_runtime *rt, int64_t ahead_ns, uint64_t error_ns)
{
    if (!pl_runtime_check(rt))
        pl_trace_set_clock(pl_runtime_trace(rt), ahead_ns, error_ns);
}
