/* layer_type.c - Layer: one runtime joined to one communicator.
 *
 * Requests, statuses and communicators come as the addresses of mpi4py's handles, so this extension needs nothing of mpi4py to be built. A
 * request that is handed over is nulled in its Python object; the Python layer (parla/mpi.py) keeps that object, which owns the buffer. */
#include "layer_type.h"

#include <parla/error.h>
#include <parla/task.h>
#include <pthread.h>
#include <stdlib.h>

#include "../adopt.h"
#include "transport_type.h"

typedef struct LayerObject {
    PyObject_HEAD mpi_state *state;
    pthread_rwlock_t lock; /* held for reading by calls that use `mpi`, some of them without the GIL */
    parla_mpi *mpi;        /* NULL once closed */
} LayerObject;

#define STATUSES_CAPSULE "parla_mpi statuses"

/* --- Life --- */

static PyObject *layer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *const names[] = {"runtime", "comm", "transport", "aborts", "is_log_silent", NULL};
    parla_mpi_options options = PARLA_MPI_OPTIONS_INIT;
    PyObject *runtime, *address, *transport = Py_None;
    parla_runtime *rt;
    LayerObject *self;
    MPI_Comm comm;
    int aborts = 0, is_log_silent = 0, code;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|Opp:Layer", (char **)names, &runtime, &address, &transport, &aborts,
                                     &is_log_silent) ||
        !(rt = PyCapsule_GetPointer(runtime, "parla_runtime")) || mpi_comm_at(address, &comm) < 0) {
        return NULL;
    }
    if (transport != Py_None && !(options.transport = PyCapsule_GetPointer(transport, TRANSPORT_CAPSULE))) {
        return NULL;
    }
    self = (LayerObject *)type->tp_alloc(type, 0);
    if (!self) {
        return NULL;
    }
    self->state = PyType_GetModuleState(type);
    pthread_rwlock_init(&self->lock, NULL);
    options.is_log_silent = is_log_silent;
    options.on_failure = aborts ? PARLA_MPI_ABORT : PARLA_MPI_RAISE;
    Py_BEGIN_ALLOW_THREADS code = parla_mpi_init(&self->mpi, rt, comm, &options);
    Py_END_ALLOW_THREADS if (code < 0)
    {
        mpi_raise(self->state, code);
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static PyObject *layer_close(LayerObject *self, PyObject *unused)
{
    parla_mpi *mpi;

    (void)unused;
    Py_BEGIN_ALLOW_THREADS pthread_rwlock_wrlock(&self->lock);
    mpi = self->mpi;
    self->mpi = NULL;
    pthread_rwlock_unlock(&self->lock);
    parla_mpi_fini(mpi);
    Py_END_ALLOW_THREADS Py_RETURN_NONE;
}

static void layer_dealloc(LayerObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject *none = layer_close(self, NULL);

    Py_XDECREF(none);
    pthread_rwlock_destroy(&self->lock);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *raise_closed(LayerObject *self)
{
    return mpi_raise(self->state, parla_error_set(PARLA_E_STATE, "the runtime that MPI was joined to is stopping"));
}

/* --- Requests --- */

/* The requests of one call: where mpi4py's handles lie, and copies of them. */
typedef struct request_list {
    int n;
    MPI_Request **places, *handles;
} request_list;

static void request_list_fini(request_list *list)
{
    PyMem_Free(list->places);
    PyMem_Free(list->handles);
}

static int request_list_read(request_list *out, PyObject *addresses)
{
    Py_ssize_t n;

    *out = (request_list){0};
    if (!PyTuple_Check(addresses) || (n = PyTuple_GET_SIZE(addresses)) > INT_MAX) {
        PyErr_SetString(PyExc_TypeError, "expected a tuple of addresses");
        return -1;
    }
    out->places = PyMem_New(MPI_Request *, n + 1);
    out->handles = PyMem_New(MPI_Request, n + 1);
    if (!out->places || !out->handles) {
        request_list_fini(out);
        PyErr_NoMemory();
        return -1;
    }
    for (out->n = 0; out->n < n; out->n++) {
        out->places[out->n] = PyLong_AsVoidPtr(PyTuple_GET_ITEM(addresses, out->n));
        if (!out->places[out->n]) {
            if (!PyErr_Occurred()) {
                PyErr_SetString(PyExc_ValueError, "a request at address 0");
            }
            request_list_fini(out);
            return -1;
        }
        out->handles[out->n] = *out->places[out->n];
    }
    return 0;
}

static void drop_event(PyObject *capsule)
{
    bool is_taken = PyCapsule_IsValid(capsule, ADOPT_TAKEN_CAPSULE);
    parla_task *event = PyCapsule_GetPointer(capsule, is_taken ? ADOPT_TAKEN_CAPSULE : ADOPT_CAPSULE);

    if (!is_taken) {
        parla_task_unref(*event);
    }
    PyMem_Free(event);
}

static void drop_statuses(PyObject *capsule) { free(PyCapsule_GetPointer(capsule, STATUSES_CAPSULE)); }

/* The call itself, which may wait for a moment. Returns a code, or PARLA_PENDING if the layer is closed. From: without the GIL. */
static int call_event(LayerObject *self, parla_task *out, request_list *list, MPI_Status *statuses, bool is_peek)
{
    int code = PARLA_PENDING;

    pthread_rwlock_rdlock(&self->lock);
    if (self->mpi && is_peek) {
        code = parla_mpi_event_peek(self->mpi, out, list->n, list->handles);
    } else if (self->mpi) {
        code = parla_mpi_event(self->mpi, out, list->n, list->handles, statuses);
    }
    pthread_rwlock_unlock(&self->lock);
    return code;
}

/* Makes the event of a list of requests. New reference to its capsule, or NULL. */
static PyObject *make_event(LayerObject *self, request_list *list, MPI_Status *statuses, bool is_peek)
{
    parla_task *event = PyMem_Malloc(sizeof(*event));
    PyObject *capsule;
    int code;

    if (!event) {
        return PyErr_NoMemory();
    }
    Py_BEGIN_ALLOW_THREADS code = call_event(self, event, list, statuses, is_peek);
    Py_END_ALLOW_THREADS if (code != 0)
    {
        PyMem_Free(event);
        return code == PARLA_PENDING ? raise_closed(self) : mpi_raise(self->state, code);
    }
    capsule = PyCapsule_New(event, ADOPT_CAPSULE, drop_event);
    if (!capsule) {
        parla_task_unref(*event);
        PyMem_Free(event);
    }
    return capsule;
}

static PyObject *layer_take(LayerObject *self, PyObject *args)
{
    PyObject *addresses, *keeps, *event, *statuses_capsule = NULL;
    request_list list;
    MPI_Status *statuses;

    if (!PyArg_ParseTuple(args, "OO!:take", &addresses, &PyTuple_Type, &keeps) || request_list_read(&list, addresses) < 0) {
        return NULL;
    }
    /* Not Python's memory: the library writes there without the GIL, and what is pending when it is given up stays. */
    statuses = calloc((size_t)list.n + 1, sizeof(*statuses));
    if (statuses) {
        statuses_capsule = PyCapsule_New(statuses, STATUSES_CAPSULE, drop_statuses);
    } else {
        PyErr_NoMemory();
    }
    event = statuses_capsule ? make_event(self, &list, statuses, false) : NULL;
    for (int i = 0; event && i < list.n && i < PyTuple_GET_SIZE(keeps); i++) {
        if (PyTuple_GET_ITEM(keeps, i) != Py_True) {
            *list.places[i] = MPI_REQUEST_NULL;
        }
    }
    request_list_fini(&list);
    return event ? Py_BuildValue("NN", event, statuses_capsule) : (Py_XDECREF(statuses_capsule), NULL);
}

static PyObject *layer_peek(LayerObject *self, PyObject *addresses)
{
    request_list list;
    PyObject *event;

    if (request_list_read(&list, addresses) < 0) {
        return NULL;
    }
    event = make_event(self, &list, NULL, true);
    request_list_fini(&list);
    return event;
}

static PyObject *layer_read_status(PyObject *type, PyObject *args)
{
    PyObject *capsule, *address;
    Py_ssize_t i;
    MPI_Status *statuses, *out;

    (void)type;
    if (!PyArg_ParseTuple(args, "OnO:read_status", &capsule, &i, &address) ||
        !(statuses = PyCapsule_GetPointer(capsule, STATUSES_CAPSULE)) || !(out = PyLong_AsVoidPtr(address))) {
        return NULL;
    }
    *out = statuses[i];
    Py_RETURN_NONE;
}

/* --- Failure --- */

/* Does not take the lock: under "abort" nothing comes after it, and a thread that has the lock may be stuck. */
static PyObject *layer_fail(LayerObject *self, PyObject *args)
{
    const char *words;
    int status, code = 0;

    if (!PyArg_ParseTuple(args, "is:fail", &status, &words)) {
        return NULL;
    }
    if (self->mpi) {
        Py_BEGIN_ALLOW_THREADS code = parla_mpi_fail(self->mpi, status, words);
        Py_END_ALLOW_THREADS
    }
    return code < 0 ? mpi_raise(self->state, code) : Py_NewRef(Py_None);
}

/* --- Look --- */

static PyObject *layer_pending(LayerObject *self, PyObject *unused)
{
    size_t n;

    (void)unused;
    pthread_rwlock_rdlock(&self->lock); /* a writer never waits for the GIL with it */
    n = self->mpi ? parla_mpi_pending(self->mpi) : 0;
    pthread_rwlock_unlock(&self->lock);
    return PyLong_FromSize_t(n);
}

static PyObject *layer_capsule(LayerObject *self, PyObject *unused)
{
    (void)unused;
    return self->mpi ? PyCapsule_New(self->mpi, "parla_mpi", NULL) : raise_closed(self);
}

static PyMethodDef layer_methods[] = {
    {"close", (PyCFunction)layer_close, METH_NOARGS, "End it; what waits for requests is cancelled."},
    {"take", (PyCFunction)layer_take, METH_VARARGS,
     "take(addresses, keeps): (event, statuses) of requests that are handed over; a handle whose `keeps` is True stays."},
    {"peek", (PyCFunction)layer_peek, METH_O,
     "peek(addresses): an event that completes when waiting for the requests would not block."},
    {"read_status", (PyCFunction)layer_read_status, METH_VARARGS | METH_STATIC,
     "read_status(statuses, i, address): copy the status of request i to an MPI.Status."},
    {"fail", (PyCFunction)layer_fail, METH_VARARGS,
     "fail(status, words): this rank has failed; ends all ranks under `aborts`, else tells those of this node."},
    {"pending", (PyCFunction)layer_pending, METH_NOARGS, "Requests that were handed over and have not completed."},
    {"__parla_mpi__", (PyCFunction)layer_capsule, METH_NOARGS, "A capsule 'parla_mpi' with the parla_mpi pointer."},
    {NULL, NULL, 0, NULL},
};

PyTypeObject *layer_type_make(PyObject *module)
{
    PyType_Slot slots[] = {
        {Py_tp_doc, "Layer(runtime, comm, transport=None, aborts=False, is_log_silent=False): a runtime joined to MPI, and the "
                    "transport that it moves along, both as capsules; comm is an address."},
        {Py_tp_new, layer_new},
        {Py_tp_dealloc, layer_dealloc},
        {Py_tp_methods, layer_methods},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "parla._mpi.Layer",
        .basicsize = sizeof(LayerObject),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
        .slots = slots,
    };

    return (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}
