/* asyncio_loop.h - the event loop of asyncio that runs on this thread. */
#ifndef PARLA_PYTHON_ASYNCIO_LOOP_H
#define PARLA_PYTHON_ASYNCIO_LOOP_H

#include "state.h"

/* The loop, or NULL if none runs here. New reference; no exception is set. */
PyObject *asyncio_running_loop(module_state *state);

/* Makes asyncio believe that `loop` (None: none) runs on this thread. Clears a pending exception. From: after asyncio_running_loop has
 * found one. */
void asyncio_set_running_loop(module_state *state, PyObject *loop);

#endif
