/* api_trace.c - the public trace functions: find the runtime's trace and pass the call on. */
#include "base/error.h"
#include "sched/runtime.h"
#include "trace/trace_path.h"

#include <parla/trace.h>
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
