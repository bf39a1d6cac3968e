/* native.h - what bodies do with the vendor's streams and memory: blocks, order with other streams, copies, and who is told when a body
 * begins on a device that has streams. */
#ifndef PARLA_PYTHON_NATIVE_H
#define PARLA_PYTHON_NATIVE_H

#include "task_type.h"

/* Functions of the module. */
PyObject *native_block_function(PyObject *module, PyObject *args);
PyObject *native_order_function(PyObject *module, PyObject *args);
PyObject *native_copy_function(PyObject *module, PyObject *args);
PyObject *native_drain_function(PyObject *module, PyObject *member);
PyObject *native_locate_function(PyObject *module, PyObject *address);

/* Around a step of a body, with the task's contextvars entered. begin makes the task's stream the current one of the Python libraries that
 * know streams, where the task's first device has one; *out_token is what end needs, or NULL. They return 0, or -1 with an exception set;
 * end keeps an exception that is set. */
int native_begin(TaskObject *task, const parla_context *context, PyObject **out_token);
int native_end(TaskObject *task, PyObject *token);

#endif
