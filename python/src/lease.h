/* lease.h - threads that a body has started and waits for: they see the arrays of its task. */
#ifndef PARLA_PYTHON_LEASE_H
#define PARLA_PYTHON_LEASE_H

#include "task_type.h"

/* The context of the body that this thread runs, or that was lent to it, and its task (borrowed); NULL outside of bodies. */
const parla_context *lease_context(module_state *state, TaskObject **out_task);

/* Functions of the module; module.c tells what they do. */
PyObject *lease_lend_function(PyObject *module, PyObject *unused);
PyObject *lease_revoke_function(PyObject *module, PyObject *capsule);
PyObject *lease_borrow_function(PyObject *module, PyObject *capsule);
PyObject *lease_in_body_function(PyObject *module, PyObject *unused);

#endif
