/* crosspy.h - one N-d array over CPUs, GPUs and ranks: the C side. Boxes of indices, layouts that say who owns which block, and
 * plans that copy between any two layouts as parla tasks. Include this file, or just the headers that you need.
 *
 * Functions return 0 or a negative PARLA_E_* code, with words in parla_error_detail(), as those of parla do. */
#ifndef CROSSPY_CROSSPY_H
#define CROSSPY_CROSSPY_H

#include <crosspy/box.h>
#include <crosspy/flow.h>
#include <crosspy/layout.h>
#include <crosspy/plan.h>
#include <crosspy/run.h>

#endif
