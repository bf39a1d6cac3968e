/* blocks_type.c - Blocks(sequence): one parla_data for each block, taken from the objects' __parla_data__() once. */
#include "blocks_type.h"

/* Sets *out to the object's array with a reference of our own; to NULL for None. Returns 0 or -1. */
static int data_of(PyObject *object, parla_data **out)
{
    *out = NULL;
    if (object == Py_None) {
        return 0;
    }
    PyObject *capsule = PyObject_CallMethod(object, "__parla_data__", NULL);
    parla_data *data = capsule ? PyCapsule_GetPointer(capsule, "parla_data") : NULL;
    *out = data ? parla_data_ref(data) : NULL;
    Py_XDECREF(capsule);
    return data ? 0 : -1;
}

static PyObject *blocks_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *sequence;
    if (kwargs && PyDict_GET_SIZE(kwargs)) {
        PyErr_SetString(PyExc_TypeError, "Blocks() takes no keyword arguments");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "O:Blocks", &sequence)) {
        return NULL;
    }
    PyObject *fast = PySequence_Fast(sequence, "Blocks() takes a sequence of arrays");
    BlocksObject *self = fast ? (BlocksObject *)type->tp_alloc(type, 0) : NULL;
    Py_ssize_t n = fast ? PySequence_Fast_GET_SIZE(fast) : 0;
    if (self) {
        self->data = PyMem_New(parla_data *, n + 1);
        if (!self->data) {
            PyErr_NoMemory();
            Py_CLEAR(self);
        }
    }
    for (Py_ssize_t i = 0; self && i < n; i++) {
        if (data_of(PySequence_Fast_GET_ITEM(fast, i), &self->data[i]) < 0) {
            Py_CLEAR(self);
        } else {
            self->n = i + 1;
        }
    }
    Py_XDECREF(fast);
    return (PyObject *)self;
}

static void blocks_dealloc(BlocksObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    for (Py_ssize_t i = 0; i < self->n; i++) {
        parla_data_unref(self->data[i]);
    }
    PyMem_Free(self->data);
    type->tp_free(self);
    Py_DECREF(type);
}

static Py_ssize_t blocks_length(BlocksObject *self) { return self->n; }

PyTypeObject *blocks_type_make(PyObject *module)
{
    PyType_Slot slots[] = {
        {Py_tp_new, blocks_new},
        {Py_tp_dealloc, blocks_dealloc},
        {Py_sq_length, blocks_length},
        {0, NULL},
    };
    PyType_Spec spec = {.name = "crosspy._crosspy.Blocks",
                        .basicsize = sizeof(BlocksObject),
                        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
                        .slots = slots};
    return (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}
