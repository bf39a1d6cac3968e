/* module.c - the extension parla._mpi: what parla/mpi.py is made of. Importing it loads MPI but does not start it. */
#include <parla/error.h>
#include <parla/log.h>

#include "layer_type.h"
#include "transport_type.h"

PyObject *mpi_raise(mpi_state *state, int code)
{
    const char *detail = parla_error_detail();
    PyObject *exception = PyObject_CallFunction(state->error_for, "is", code, detail && *detail ? detail : parla_error_text(code));

    if (exception) {
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
        Py_DECREF(exception);
    }
    return NULL;
}

int mpi_comm_at(PyObject *address, MPI_Comm *out)
{
    MPI_Comm *place = PyLong_AsVoidPtr(address);

    if (!place) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "a communicator at address 0");
        }
        return -1;
    }
    *out = *place;
    return 0;
}

static PyObject *cores_of(const parla_mpi_share_info *info)
{
    PyObject *cores = PyList_New(0);

    for (int i = 0; cores && i < PARLA_MPI_MAX_CORES; i++) {
        PyObject *number;

        if (!(info->cores[i / 64] >> (i % 64) & 1)) {
            continue;
        }
        number = PyLong_FromLong(i);
        if (!number || PyList_Append(cores, number) < 0) {
            Py_CLEAR(cores);
        }
        Py_XDECREF(number);
    }
    return cores;
}

static PyObject *share(PyObject *module, PyObject *address)
{
    parla_mpi_share_info info = {.size = sizeof(info)};
    PyObject *cores;
    MPI_Comm comm;
    int code;

    if (mpi_comm_at(address, &comm) < 0) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS code = parla_mpi_share(&info, comm);
    Py_END_ALLOW_THREADS if (code < 0) { return mpi_raise(PyModule_GetState(module), code); }
    cores = cores_of(&info);
    return cores ? Py_BuildValue("{s:i,s:i,s:i,s:i,s:O,s:O,s:N}", "local_rank", info.local_rank, "n_local", info.n_local,
                                 "n_node_cores", info.n_node_cores, "n_cores", info.n_cores, "is_oversubscribed",
                                 info.is_oversubscribed ? Py_True : Py_False, "is_narrowed", info.is_narrowed ? Py_True : Py_False,
                                 "cores", cores)
                 : NULL;
}

static PyObject *log_info(PyObject *module, PyObject *text)
{
    const char *words = PyUnicode_AsUTF8(text);

    (void)module;
    if (!words) {
        return NULL;
    }
    if (*words) {
        parla_log(PARLA_LOG_INFO, "%s", words);
    }
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"log_info", log_info, METH_O, "log_info(text): write one line to the log, if there is text."},
    {"share", share, METH_O, "share(comm): this rank's part of the cores of its node, as a dict (see parla/mpi.h). Collective."},
    {NULL, NULL, 0, NULL},
};

static int execute(PyObject *module)
{
    mpi_state *state = PyModule_GetState(module);
    PyObject *base = PyImport_ImportModule("parla._parla");

    state->error_for = base ? PyObject_GetAttrString(base, "error_for") : NULL;
    Py_XDECREF(base);
    state->layer_type = state->error_for ? layer_type_make(module) : NULL;
    state->transport_type = state->layer_type ? transport_type_make(module) : NULL;
    if (!state->transport_type || PyModule_AddType(module, state->layer_type) < 0) {
        return -1;
    }
    return PyModule_AddType(module, state->transport_type);
}

static int traverse(PyObject *module, visitproc visit, void *arg)
{
    mpi_state *state = PyModule_GetState(module);

    Py_VISIT(state->layer_type);
    Py_VISIT(state->transport_type);
    Py_VISIT(state->error_for);
    return 0;
}

static int clear(PyObject *module)
{
    mpi_state *state = PyModule_GetState(module);

    Py_CLEAR(state->layer_type);
    Py_CLEAR(state->transport_type);
    Py_CLEAR(state->error_for);
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
    {0, NULL},
};

static struct PyModuleDef mpi_module = {
    PyModuleDef_HEAD_INIT,       .m_name = "parla._mpi", .m_doc = "The C half of parla.mpi.",
    .m_size = sizeof(mpi_state), .m_methods = functions, .m_slots = slots,
    .m_traverse = traverse,      .m_clear = clear,
};

PyMODINIT_FUNC PyInit__mpi(void) { return PyModuleDef_Init(&mpi_module); }
