/* trace_path.h - the name of a rank's own trace file. */
#ifndef PL_TRACE_TRACE_PATH_H
#define PL_TRACE_TRACE_PATH_H

#include <parla/common.h>

#include "base/launcher.h"

/* Each {rank} in `pattern` becomes the rank's number. A name that all ranks of a job are given (`is_shared`: it comes from the
 * environment) and that has no {rank} gets the number before its suffix, trace.json -> trace.3.json, if there are several ranks: they would
 * write over each other's file. Owns: the caller frees *out. Errors: PARLA_E_NOMEM. */
PARLA_MUST_USE int pl_trace_path(const char *pattern, bool is_shared, pl_launcher launcher, char **out);

#endif
