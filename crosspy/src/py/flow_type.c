/* flow_type.c - Flow(runtime, transport): the stream of tasks over ranks. The GIL is what lets one thread at a time use it. */
#include "blocks_type.h"
#include "convert.h"
#include "plan_type.h"
#include "tracked_type.h"

#include <parla/error.h>

enum { MAX_USES = 64, SLICE_NS = 100 * 1000 * 1000 };

typedef struct FlowObject {
    PyObject_HEAD cx_flow *flow;
    parla_runtime *rt;
    int rank, n_ranks;
    bool is_closed;
} FlowObject;

static PyObject *flow_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *runtime, *transport;
    (void)kwargs;
    if (!PyArg_ParseTuple(args, "OO:Flow", &runtime, &transport)) {
        return NULL;
    }
    parla_runtime *rt = PyCapsule_GetPointer(runtime, "parla_runtime");
    parla_transport *table = rt ? PyCapsule_GetPointer(transport, "parla_transport") : NULL;
    FlowObject *self = table ? (FlowObject *)type->tp_alloc(type, 0) : NULL;
    if (!self) {
        return NULL;
    }
    int code = cx_flow_create(&self->flow, rt, table);
    if (code < 0) {
        Py_DECREF(self);
        return error_raise(code, "tasks over ranks");
    }
    self->rt = rt;
    self->rank = table->rank;
    self->n_ranks = table->n_ranks;
    return (PyObject *)self;
}

static void flow_dealloc(FlowObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    cx_flow_destroy(self->flow);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *flow_close(FlowObject *self, PyObject *unused)
{
    (void)unused;
    self->is_closed = true;
    Py_RETURN_NONE;
}

static int check_open(const FlowObject *self)
{
    if (self->is_closed) {
        error_raise(parla_error_set(PARLA_E_STATE, "the runtime that joined the ranks has stopped"), "tasks over ranks");
        return -1;
    }
    return 0;
}

/* --- Spawns --- */

static Py_ssize_t read_uses(FlowObject *self, PyObject *list, cx_use *out)
{
    module_state *state = state_of_type(Py_TYPE(self));
    Py_ssize_t n = PyList_Check(list) ? PyList_GET_SIZE(list) : -1;
    if (n < 0 || n > MAX_USES) {
        PyErr_Format(PyExc_ValueError, "a task may name at most %d blocks of arrays over several ranks", MAX_USES);
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        TrackedObject *array;
        long long i_block;
        int mode;
        if (!PyArg_ParseTuple(PyList_GET_ITEM(list, i), "O!Li", state->tracked_type, &array, &i_block, &mode)) {
            return -1;
        }
        out[i] = (cx_use){array->array, i_block, mode};
    }
    return n;
}

static void drop_data(PyObject *capsule) { parla_data_unref(PyCapsule_GetPointer(capsule, "parla_data")); }

/* The data of a task of this rank: a capsule that holds a reference for each use. */
static PyObject *data_list(parla_data *const *data, Py_ssize_t n)
{
    PyObject *list = PyList_New(n);
    for (Py_ssize_t i = 0; list && i < n; i++) {
        PyObject *capsule = PyCapsule_New(parla_data_ref(data[i]), "parla_data", drop_data);
        if (!capsule) {
            parla_data_unref(data[i]);
            Py_CLEAR(list);
        } else {
            PyList_SET_ITEM(list, i, capsule);
        }
    }
    return list;
}

static PyObject *flow_begin(FlowObject *self, PyObject *args)
{
    int rank;
    PyObject *list;
    cx_use uses[MAX_USES];
    parla_data *data[MAX_USES];
    if (!PyArg_ParseTuple(args, "iO:begin", &rank, &list) || check_open(self) < 0) {
        return NULL;
    }
    Py_ssize_t n = read_uses(self, list, uses);
    if (n < 0) {
        return NULL;
    }
    int code = cx_flow_begin(self->flow, rank, uses, (size_t)n, &rank, data);
    if (code < 0) {
        return error_raise(code, "spawn");
    }
    return rank == self->rank ? Py_BuildValue("(iN)", rank, data_list(data, n)) : Py_BuildValue("(iO)", rank, Py_None);
}

static PyObject *flow_end(FlowObject *self, PyObject *list)
{
    cx_use uses[MAX_USES];
    Py_ssize_t n = read_uses(self, list, uses);
    int code = n < 0 ? 0 : cx_flow_end(self->flow, uses, (size_t)n);
    return n < 0 ? NULL : code < 0 ? error_raise(code, "spawn") : Py_NewRef(Py_None);
}

/* --- Arrays --- */

static PyObject *flow_assign(FlowObject *self, PyObject *args)
{
    module_state *state = state_of_type(Py_TYPE(self));
    PlanObject *plan;
    PyObject *tracked;
    BlocksObject *dst, *src;
    int is_local;
    cx_run run = CX_RUN_INIT;
    if (!PyArg_ParseTuple(args, "O!OO!O!p:assign", state->plan_type, &plan, &tracked, state->blocks_type, &dst, state->blocks_type,
                          &src, &is_local) ||
        check_open(self) < 0 || plan_check_blocks(plan, dst, src) < 0) {
        return NULL;
    }
    run.dst = dst->data;
    run.src = src->data;
    run.rank = self->rank;
    run.flags = is_local ? CX_RUN_LOCAL : 0;
    int code = cx_flow_assign(self->flow, plan->plan, tracked == Py_None ? NULL : ((TrackedObject *)tracked)->array, &run);
    return code < 0 ? error_raise(code, "copying blocks") : Py_NewRef(Py_None);
}

static PyObject *flow_overwrite(FlowObject *self, PyObject *tracked)
{
    if (Py_TYPE(tracked) != state_of_type(Py_TYPE(self))->tracked_type) {
        PyErr_SetString(PyExc_TypeError, "expected a Tracked");
        return NULL;
    }
    int code = check_open(self) < 0 ? 1 : cx_flow_overwrite(self->flow, ((TrackedObject *)tracked)->array);
    return code > 0 ? NULL : code < 0 ? error_raise(code, "writing an array") : Py_NewRef(Py_None);
}

/* --- Meetings --- */

static PyObject *records_to_list(const char *records, int n_ranks)
{
    PyObject *list = PyList_New(n_ranks);
    for (int i = 0; list && i < n_ranks; i++) {
        PyObject *record = PyBytes_FromStringAndSize(records + (size_t)i * CX_RECORD_BYTES, (Py_ssize_t)CX_RECORD_BYTES);
        if (!record) {
            Py_CLEAR(list);
        } else {
            PyList_SET_ITEM(list, i, record);
        }
    }
    return list;
}

/* Waits in slices, between which signals are handled. */
static PyObject *flow_meet(FlowObject *self, PyObject *args)
{
    const char *given;
    Py_ssize_t n_given;
    char record[CX_RECORD_BYTES] = {0};
    bool is_same = true;
    int code;
    if (!PyArg_ParseTuple(args, "y#:meet", &given, &n_given) || check_open(self) < 0) {
        return NULL;
    }
    if (n_given > (Py_ssize_t)CX_RECORD_BYTES) {
        return PyErr_Format(PyExc_ValueError, "a record of %zd bytes; at most %zu are possible", n_given, CX_RECORD_BYTES);
    }
    memcpy(record, given, (size_t)n_given);
    char *records = PyMem_Malloc((size_t)self->n_ranks * CX_RECORD_BYTES);
    if (!records) {
        return PyErr_NoMemory();
    }
    do {
        Py_BEGIN_ALLOW_THREADS;
        code = cx_flow_meet(self->flow, record, records, &is_same, SLICE_NS);
        Py_END_ALLOW_THREADS;
    } while (code == PARLA_E_TIMEOUT && PyErr_CheckSignals() == 0);
    PyObject *result = NULL;
    if (code == 0 && is_same) {
        result = records_to_list(records, self->n_ranks);
    } else if (!PyErr_Occurred()) {
        error_raise(code ? code : PARLA_E_STATE, "tasks over ranks");
    }
    PyMem_Free(records);
    return result;
}

static PyObject *flow_info(FlowObject *self, PyObject *unused)
{
    cx_flow_info info = {.size = sizeof info};
    int code = cx_flow_query(self->flow, &info);
    (void)unused;
    return code < 0 ? error_raise(code, "tasks over ranks")
                    : Py_BuildValue("{s:i,s:i,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K}", "rank", info.rank, "n_ranks", info.n_ranks,
                                    "n_calls", (unsigned long long)info.n_calls, "n_spawned", (unsigned long long)info.n_spawned,
                                    "n_foreign", (unsigned long long)info.n_foreign, "n_sent", (unsigned long long)info.n_sent,
                                    "n_sent_bytes", (unsigned long long)info.n_sent_bytes, "n_received",
                                    (unsigned long long)info.n_received, "n_received_bytes",
                                    (unsigned long long)info.n_received_bytes, "hash", (unsigned long long)info.hash);
}

static PyMethodDef methods[] = {
    {"begin", (PyCFunction)flow_begin, METH_VARARGS,
     "begin(rank or -1, [(Tracked, block, mode)]) -> (rank, None), or at that rank (rank, ['parla_data' capsules])."},
    {"end", (PyCFunction)flow_end, METH_O, "end([(Tracked, block, mode)]): the task of this rank was spawned."},
    {"assign", (PyCFunction)flow_assign, METH_VARARGS,
     "assign(plan, Tracked or None, destination Blocks, source Blocks, is_local): spawn the copies."},
    {"overwrite", (PyCFunction)flow_overwrite, METH_O, "overwrite(Tracked): every rank writes its own blocks."},
    {"meet", (PyCFunction)flow_meet, METH_VARARGS,
     "meet(record) -> the records of all ranks. Raises StateError if the ranks have not walked the same stream."},
    {"info", (PyCFunction)flow_info, METH_NOARGS, "info() -> dict of counts and the hash."},
    {"close", (PyCFunction)flow_close, METH_NOARGS, "close(): refuse whatever comes from now on."},
    {NULL, NULL, 0, NULL},
};

PyTypeObject *flow_type_make(PyObject *module)
{
    PyType_Slot slots[] = {
        {Py_tp_new, flow_new},
        {Py_tp_dealloc, flow_dealloc},
        {Py_tp_methods, methods},
        {0, NULL},
    };
    PyType_Spec spec = {.name = "crosspy._crosspy.Flow",
                        .basicsize = sizeof(FlowObject),
                        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
                        .slots = slots};
    return (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}
