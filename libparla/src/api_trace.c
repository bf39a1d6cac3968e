/* api_trace.c - the public trace functions: find the runtime's trace and pass the call on. */
#include "base/error.h"
#include "sched/runtime.h"

#include <parla/trace.h>

int parla_trace_start(parla_runtime *rt)
{
    int error = pl_runtime_check(rt);
    return error ? error : pl_trace_start(pl_runtime_trace(rt));
}

void parla_trace_stop(parla_runtime *rt)
{
    if (!pl_runtime_check(rt))
        pl_trace_stop(pl_runtime_trace(rt));
}

/* A runtime of its own is rank 0; what spans ranks writes its own numbers into the files when it merges them. */
int parla_trace_write(parla_runtime *rt, const char *path)
{
    int error = pl_runtime_check(rt);
    if (error)
        return error;
    if (!path || path[0] == '\0')
        return pl_error_set(PARLA_E_INVALID, "a file name for the trace is missing");
    return pl_trace_json(pl_runtime_trace(rt), path, 0);
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
