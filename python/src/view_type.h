/* view_type.h - memory of an array's instance behind the buffer protocol. */
#ifndef PARLA_PYTHON_VIEW_TYPE_H
#define PARLA_PYTHON_VIEW_TYPE_H

#include "state.h"

#include <parla/data.h>

/* (view, offset, strides) for numpy.ndarray(shape, dtype, view, offset, strides). The view keeps `owner` alive. New reference or NULL. */
PyObject *view_of_instance(module_state *state, PyObject *owner, const parla_strided *box, bool is_readonly, bool is_native);

#endif
