/* tracked_type.c - Tracked(layout, item_bytes, blocks, rank). */
#include "tracked_type.h"

#include "blocks_type.h"
#include "layout_type.h"

static PyObject *tracked_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    module_state *state = state_of_type(type);
    LayoutObject *layout;
    BlocksObject *blocks;
    Py_ssize_t item_bytes;
    int rank;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "O!nO!i:Tracked", state->layout_type, &layout, &item_bytes, state->blocks_type, &blocks, &rank)) {
        return NULL;
    }
    if (blocks->n != cx_layout_n_blocks(layout->layout)) {
        PyErr_Format(PyExc_ValueError, "%zd arrays for %lld blocks", blocks->n, (long long)cx_layout_n_blocks(layout->layout));
        return NULL;
    }
    TrackedObject *self = (TrackedObject *)type->tp_alloc(type, 0);
    if (!self) {
        return NULL;
    }
    self->rank = rank;
    int code = cx_tracked_create(&self->array, layout->layout, (size_t)item_bytes, blocks->data, rank);
    if (code < 0) {
        Py_DECREF(self);
        return error_raise(code, "tracking an array");
    }
    return (PyObject *)self;
}

static void tracked_dealloc(TrackedObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    cx_tracked_destroy(self->array);
    type->tp_free(self);
    Py_DECREF(type);
}

PyTypeObject *tracked_type_make(PyObject *module)
{
    PyType_Slot slots[] = {
        {Py_tp_new, tracked_new},
        {Py_tp_dealloc, tracked_dealloc},
        {0, NULL},
    };
    PyType_Spec spec = {.name = "crosspy._crosspy.Tracked",
                        .basicsize = sizeof(TrackedObject),
                        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
                        .slots = slots};
    return (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}
