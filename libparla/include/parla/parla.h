/* parla.h - the whole public interface of libparla: tasks over the cores and devices of one process.
 *
 * A runtime owns worker threads and devices. Tasks are spawned into it, ordered by dependencies and by the arrays that they
 * name, placed on devices, and waited for. Include this file, or just the headers that you need. */
#ifndef PARLA_PARLA_H
#define PARLA_PARLA_H

#include <parla/backend.h>
#include <parla/common.h>
#include <parla/data.h>
#include <parla/device.h>
#include <parla/error.h>
#include <parla/event.h>
#include <parla/log.h>
#include <parla/memory.h>
#include <parla/native.h>
#include <parla/policy.h>
#include <parla/poll.h>
#include <parla/receipt.h>
#include <parla/replay.h>
#include <parla/runtime.h>
#include <parla/sim.h>
#include <parla/space.h>
#include <parla/strided.h>
#include <parla/task.h>
#include <parla/trace.h>
#include <parla/transport.h>
#include <parla/vlc.h>

#endif
