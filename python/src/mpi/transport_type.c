/* transport_type.c - Transport: what parla_mpi_transport makes between the ranks of a communicator.
 *
 * It outlives the runtime whose memory comes from it, so it is an object beside Layer: opened before the runtime, closed after it. */
#include "transport_type.h"

#include <parla/error.h>
#include <parla/mpi_transport.h>

typedef struct TransportObject {
    PyObject_HEAD parla_transport *transport; /* NULL once closed */
} TransportObject;

static PyObject *transport_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *const names[] = {"comm", "kind", NULL};
    parla_mpi_transport_options options = PARLA_MPI_TRANSPORT_OPTIONS_INIT;
    PyObject *address;
    TransportObject *self;
    MPI_Comm comm;
    int code;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|z:Transport", (char **)names, &address, &options.kind) ||
        mpi_comm_at(address, &comm) < 0) {
        return NULL;
    }
    self = (TransportObject *)type->tp_alloc(type, 0);
    if (!self) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS code = parla_mpi_transport(&self->transport, comm, &options);
    Py_END_ALLOW_THREADS if (code < 0)
    {
        mpi_raise(PyType_GetModuleState(type), code);
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static PyObject *transport_close(TransportObject *self, PyObject *unused)
{
    parla_transport *transport = self->transport;

    (void)unused;
    self->transport = NULL;
    if (transport) {
        Py_BEGIN_ALLOW_THREADS transport->close(transport->self);
        Py_END_ALLOW_THREADS
    }
    Py_RETURN_NONE;
}

/* One that was never closed is left to MPI_Finalize: closing waits for the other ranks, which a garbage collector must not. */
static void transport_dealloc(TransportObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *transport_capsule(TransportObject *self, PyObject *unused)
{
    (void)unused;
    if (!self->transport) {
        PyErr_SetString(PyExc_ValueError, "the transport is closed");
        return NULL;
    }
    return PyCapsule_New(self->transport, TRANSPORT_CAPSULE, NULL);
}

#define SOURCE_CAPSULE "parla_memory_source"

static void drop_source(PyObject *capsule) { PyMem_Free(PyCapsule_GetPointer(capsule, SOURCE_CAPSULE)); }

static PyObject *transport_memory(TransportObject *self, PyObject *unused)
{
    parla_memory_source *source;
    PyObject *capsule;
    int code;

    (void)unused;
    if (!self->transport) {
        PyErr_SetString(PyExc_ValueError, "the transport is closed");
        return NULL;
    }
    source = PyMem_Malloc(sizeof(*source));
    if (!source) {
        return PyErr_NoMemory();
    }
    code = parla_mpi_memory_source(self->transport, source);
    capsule = code < 0 ? NULL : PyCapsule_New(source, SOURCE_CAPSULE, drop_source);
    if (!capsule) {
        PyMem_Free(source);
    }
    return code == PARLA_E_UNSUPPORTED ? Py_NewRef(Py_None)
           : code < 0                  ? mpi_raise(PyType_GetModuleState(Py_TYPE(self)), code)
                                       : capsule;
}

/* [(messages sent, bytes sent, messages received, bytes received) for each rank] */
static PyObject *transport_traffic(TransportObject *self, PyObject *unused)
{
    int n = self->transport ? self->transport->n_ranks : 0;
    PyObject *rows = PyList_New(n);

    (void)unused;
    for (int i = 0; rows && i < n; i++) {
        parla_mpi_traffic t = {.size = sizeof(t)};
        int code = parla_mpi_transport_traffic(self->transport, i, &t);
        PyObject *row = code < 0 ? mpi_raise(PyType_GetModuleState(Py_TYPE(self)), code)
                                 : Py_BuildValue("(KKKK)", (unsigned long long)t.n_sent, (unsigned long long)t.n_sent_bytes,
                                                 (unsigned long long)t.n_received, (unsigned long long)t.n_received_bytes);

        if (!row) {
            Py_CLEAR(rows);
        } else {
            PyList_SET_ITEM(rows, i, row);
        }
    }
    return rows;
}

static PyObject *transport_name(TransportObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(self->transport ? self->transport->name : "closed");
}

static PyMethodDef transport_methods[] = {
    {"close", (PyCFunction)transport_close, METH_NOARGS, "Close it; collective. Nothing else may use it any more."},
    {"memory", (PyCFunction)transport_memory, METH_NOARGS,
     "A capsule 'parla_memory_source' for arrays that other ranks reach directly; None where there is no such thing."},
    {"traffic", (PyCFunction)transport_traffic, METH_NOARGS,
     "[(messages sent, bytes sent, messages received, bytes received) for each rank]; empty once it is closed."},
    {"__parla_transport__", (PyCFunction)transport_capsule, METH_NOARGS,
     "A capsule 'parla_transport' with the parla_transport pointer, valid until close."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef transport_getset[] = {
    {"name", (getter)transport_name, NULL, "\"ucx\" or \"mpi\".", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject *transport_type_make(PyObject *module)
{
    PyType_Slot slots[] = {
        {Py_tp_doc, "Transport(comm, kind=None): between the ranks of a communicator, given by its address. Collective."},
        {Py_tp_new, transport_new},
        {Py_tp_dealloc, transport_dealloc},
        {Py_tp_methods, transport_methods},
        {Py_tp_getset, transport_getset},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "parla._mpi.Transport",
        .basicsize = sizeof(TransportObject),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
        .slots = slots,
    };

    return (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}
