/* state.h - what one import of the extension owns, and how its files raise. Everything is used with the GIL held. */
#ifndef CROSSPY_PYTHON_STATE_H
#define CROSSPY_PYTHON_STATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <crosspy/crosspy.h>

typedef struct module_state {
    PyTypeObject *layout_type;
    PyTypeObject *plan_type;
    PyTypeObject *blocks_type;
    PyTypeObject *tracked_type;
    PyTypeObject *flow_type;
    cx_plan_cache *plans;
} module_state;

/* The state that a type of this module belongs to. Borrowed. */
static inline module_state *state_of_type(PyTypeObject *type) { return PyType_GetModuleState(type); }

/* Raises parla's exception for a code that a library call has just returned: "WHAT: detail". Returns NULL. */
PyObject *error_raise(int code, const char *what);

/* Type makers. Each returns a new reference or NULL. */
PyTypeObject *layout_type_make(PyObject *module);
PyTypeObject *plan_type_make(PyObject *module);
PyTypeObject *blocks_type_make(PyObject *module);
PyTypeObject *tracked_type_make(PyObject *module);
PyTypeObject *flow_type_make(PyObject *module);

#endif
