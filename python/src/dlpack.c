/* dlpack.c - see the header. The declarations are our own: the layout is a published binary interface (dmlc.github.io/dlpack).
 *
 * A capsule that nobody has consumed calls the deleter itself; one that was consumed has another name, and its consumer calls it. What is
 * imported is held by a capsule of ours, which calls the deleter when it goes. */
#include "dlpack.h"

#include <stdint.h>

typedef struct tensor {
    void *data;
    int32_t device_type, device_id;
    int32_t ndim;
    uint8_t code, bits;
    uint16_t lanes;
    int64_t *shape, *strides; /* strides: in elements; NULL means contiguous */
    uint64_t byte_offset;
} tensor;

typedef struct managed {
    tensor dl_tensor;
    void *manager_ctx;
    void (*deleter)(struct managed *self);
} managed;

typedef struct managed_versioned {
    uint32_t major, minor;
    void *manager_ctx;
    void (*deleter)(struct managed_versioned *self);
    uint64_t flags;
    tensor dl_tensor;
} managed_versioned;

#define FLAG_READ_ONLY UINT64_C(1)
#define MAX_NDIM 64

static const char plain_name[] = "dltensor", versioned_name[] = "dltensor_versioned";

/* --- Export --- */

/* Both forms in one allocation; `is_versioned` says which one the capsule shows. */
typedef struct exported {
    managed plain;
    managed_versioned versioned;
    PyObject *owner;
    int64_t extents[]; /* shape, then strides */
} exported;

static void release(exported *self)
{
    PyGILState_STATE gil = PyGILState_Ensure();

    Py_DECREF(self->owner);
    PyMem_RawFree(self);
    PyGILState_Release(gil);
}

static void delete_plain(managed *self) { release(self->manager_ctx); }
static void delete_versioned(managed_versioned *self) { release(self->manager_ctx); }

static void destroy_export(PyObject *capsule)
{
    if (PyCapsule_IsValid(capsule, plain_name)) {
        managed *plain = PyCapsule_GetPointer(capsule, plain_name);

        plain->deleter(plain);
    } else if (PyCapsule_IsValid(capsule, versioned_name)) {
        managed_versioned *versioned = PyCapsule_GetPointer(capsule, versioned_name);

        versioned->deleter(versioned);
    }
}

static int read_tuple(PyObject *tuple, int64_t *out)
{
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(tuple); k++) {
        out[k] = PyLong_AsLongLong(PyTuple_GET_ITEM(tuple, k));
        if (out[k] == -1 && PyErr_Occurred()) {
            return -1;
        }
    }
    return 0;
}

/* export(owner, address, shape, strides, (code, bits), (device_type, device_id), is_readonly, is_versioned); strides in elements. */
PyObject *dlpack_export_function(PyObject *module, PyObject *args)
{
    PyObject *owner, *shape, *strides, *capsule;
    tensor t = {.lanes = 1};
    Py_ssize_t address, ndim;
    int is_readonly, is_versioned;
    exported *self;

    (void)module;
    if (!PyArg_ParseTuple(args, "OnO!O!(bb)(ii)pp:dlpack_export", &owner, &address, &PyTuple_Type, &shape, &PyTuple_Type, &strides,
                          &t.code, &t.bits, &t.device_type, &t.device_id, &is_readonly, &is_versioned)) {
        return NULL;
    }
    ndim = PyTuple_GET_SIZE(shape);
    if (PyTuple_GET_SIZE(strides) != ndim || ndim > MAX_NDIM) {
        return PyErr_Format(PyExc_ValueError, "dlpack: %zd extents and %zd strides", ndim, PyTuple_GET_SIZE(strides));
    }
    self = PyMem_RawCalloc(1, sizeof(*self) + 2 * (size_t)ndim * sizeof(self->extents[0]));
    if (!self) {
        return PyErr_NoMemory();
    }
    if (read_tuple(shape, self->extents) < 0 || read_tuple(strides, self->extents + ndim) < 0) {
        PyMem_RawFree(self);
        return NULL;
    }
    t.data = (void *)address;
    t.ndim = (int32_t)ndim;
    t.shape = self->extents;
    t.strides = self->extents + ndim;
    self->owner = Py_NewRef(owner);
    self->plain = (managed){.dl_tensor = t, .manager_ctx = self, .deleter = delete_plain};
    self->versioned = (managed_versioned){.major = 1,
                                          .minor = 0,
                                          .manager_ctx = self,
                                          .deleter = delete_versioned,
                                          .flags = is_readonly ? FLAG_READ_ONLY : 0,
                                          .dl_tensor = t};
    capsule = is_versioned ? PyCapsule_New(&self->versioned, versioned_name, destroy_export)
                           : PyCapsule_New(&self->plain, plain_name, destroy_export);
    if (!capsule) {
        release(self);
    }
    return capsule;
}

/* --- Import --- */

static const char held_name[] = "parla.dlpack", held_versioned_name[] = "parla.dlpack_versioned";

static void destroy_held(PyObject *capsule)
{
    if (PyCapsule_IsValid(capsule, held_name)) {
        managed *plain = PyCapsule_GetPointer(capsule, held_name);

        if (plain->deleter) {
            plain->deleter(plain);
        }
    } else {
        managed_versioned *versioned = PyCapsule_GetPointer(capsule, held_versioned_name);

        if (versioned && versioned->deleter) {
            versioned->deleter(versioned);
        }
    }
}

static PyObject *tuple_of(const int64_t *values, int32_t n)
{
    PyObject *tuple = PyTuple_New(n);

    for (int32_t k = 0; tuple && k < n; k++) {
        PyObject *value = PyLong_FromLongLong(values[k]);

        if (!value) {
            Py_CLEAR(tuple);
            break;
        }
        PyTuple_SET_ITEM(tuple, k, value);
    }
    return tuple;
}

/* import(capsule) -> (holder, address, shape, strides or None, (code, bits, lanes), (device_type, device_id), is_readonly); the capsule is
 * consumed. */
PyObject *dlpack_import_function(PyObject *module, PyObject *capsule)
{
    bool is_versioned = PyCapsule_IsValid(capsule, versioned_name);
    PyObject *holder, *shape, *strides;
    bool is_readonly = false;
    const tensor *t;
    void *pointer;

    (void)module;
    if (!is_versioned && !PyCapsule_IsValid(capsule, plain_name)) {
        return PyErr_Format(PyExc_TypeError, "dlpack: expected a capsule that nobody has consumed, not %R", capsule);
    }
    pointer = PyCapsule_GetPointer(capsule, is_versioned ? versioned_name : plain_name);
    if (is_versioned && ((managed_versioned *)pointer)->major > 1) {
        return PyErr_Format(PyExc_BufferError, "dlpack: version %u is not known here",
                            (unsigned)((managed_versioned *)pointer)->major);
    }
    holder = PyCapsule_New(pointer, is_versioned ? held_versioned_name : held_name, destroy_held);
    if (!holder || PyCapsule_SetName(capsule, is_versioned ? "used_dltensor_versioned" : "used_dltensor") < 0) {
        if (holder) {
            (void)PyCapsule_SetDestructor(holder, NULL); /* the capsule still owns it */
            Py_DECREF(holder);
        }
        return NULL;
    }
    t = is_versioned ? &((managed_versioned *)pointer)->dl_tensor : &((managed *)pointer)->dl_tensor;
    is_readonly = is_versioned && ((managed_versioned *)pointer)->flags & FLAG_READ_ONLY;
    shape = tuple_of(t->shape, t->ndim);
    strides = t->strides ? tuple_of(t->strides, t->ndim) : Py_NewRef(Py_None);
    return Py_BuildValue("(NnNN(iii)(ii)N)", holder, (Py_ssize_t)t->data + (Py_ssize_t)t->byte_offset, shape, strides, t->code,
                         t->bits, t->lanes, t->device_type, t->device_id, PyBool_FromLong(is_readonly));
}
