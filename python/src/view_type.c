/* view_type.c - memory of an instance as a flat run of bytes behind the buffer protocol.
 *
 * Only NumPy knows all of NumPy's types, so the view has none: it spans from the lowest to the highest byte of the instance, and the Python
 * layer lays shape, type and strides over it. The array's handle stays alive as long as anything looks at the bytes. */
#include "view_type.h"

#include <stddef.h>
#include <structmember.h>

typedef struct ViewObject {
    PyObject_HEAD PyObject *owner;
    char *base;
    Py_ssize_t n_bytes;
    bool is_readonly;
    bool is_native; /* of a device that the host cannot read */
} ViewObject;

static int view_get_buffer(ViewObject *self, Py_buffer *out, int flags)
{
    if (self->is_native) {
        out->obj = NULL;
        PyErr_SetString(PyExc_BufferError, "this memory belongs to a device: the host cannot look at it");
        return -1;
    }
    return PyBuffer_FillInfo(out, (PyObject *)self, self->base, self->n_bytes, self->is_readonly, flags);
}

static int view_traverse(ViewObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->owner);
    return 0;
}

static void view_dealloc(ViewObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    Py_CLEAR(self->owner);
    type->tp_free(self);
    Py_DECREF(type);
}

/* Bytes below the first element (for negative strides), and from the lowest to behind the highest byte. */
static void span_of(const parla_strided *box, Py_ssize_t *out_below, Py_ssize_t *out_n_bytes)
{
    Py_ssize_t below = 0, above = (Py_ssize_t)box->item_bytes;

    for (int k = 0; k < box->ndim; k++) {
        Py_ssize_t reach = (Py_ssize_t)((box->extent[k] - 1) * box->stride[k]);

        if (box->extent[k] == 0) {
            *out_below = *out_n_bytes = 0;
            return;
        }
        *(reach < 0 ? &below : &above) += reach;
    }
    *out_below = -below;
    *out_n_bytes = above - below;
}

static PyObject *strides_of(const parla_strided *box)
{
    PyObject *strides = PyTuple_New(box->ndim);

    for (int k = 0; strides && k < box->ndim; k++) {
        PyObject *stride = PyLong_FromLongLong(box->stride[k]);

        if (!stride) {
            Py_CLEAR(strides);
            break;
        }
        PyTuple_SET_ITEM(strides, k, stride);
    }
    return strides;
}

PyObject *view_of_instance(module_state *state, PyObject *owner, const parla_strided *box, bool is_readonly, bool is_native)
{
    ViewObject *self = (ViewObject *)state->view_type->tp_alloc(state->view_type, 0);
    PyObject *strides = strides_of(box);
    Py_ssize_t below;

    if (!self || !strides) {
        Py_XDECREF(self);
        Py_XDECREF(strides);
        return NULL;
    }
    span_of(box, &below, &self->n_bytes);
    self->owner = Py_NewRef(owner);
    self->base = (char *)box->base - below;
    self->is_readonly = is_readonly;
    self->is_native = is_native;
    return Py_BuildValue("(NnN)", self, below, strides);
}

PyTypeObject *view_type_make(PyObject *module)
{
    PyMemberDef members[] = {
        {"address", T_PYSSIZET, offsetof(ViewObject, base), READONLY,
         "Where it begins, in the address space of the copy's device."},
        {"n_bytes", T_PYSSIZET, offsetof(ViewObject, n_bytes), READONLY, "From the lowest to behind the highest byte."},
        {"is_native", T_BOOL, offsetof(ViewObject, is_native), READONLY, "Of a device that the host cannot read."},
        {"is_readonly", T_BOOL, offsetof(ViewObject, is_readonly), READONLY, "The task named the array as input."},
        {NULL, 0, 0, 0, NULL},
    };
    PyType_Slot slots[] = {
        {Py_tp_members, members},
        {Py_tp_dealloc, view_dealloc},
        {Py_tp_traverse, view_traverse},
        {Py_bf_getbuffer, view_get_buffer},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "parla._parla.View",
        .basicsize = sizeof(ViewObject),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
        .slots = slots,
    };

    return (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}
