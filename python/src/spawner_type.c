/* spawner_type.c - what spawn(...) returns: the arguments, waiting for the function. Also the reading of spawn's own arguments. */
#include "spawn.h"

#include <stddef.h>
#include <structmember.h>

#include "capture.h"

typedef struct SpawnerObject {
    PyObject_HEAD module_state *state;
    vectorcallfunc call;
    PyObject *parameters[N_SPAWN_PARAMETERS]; /* NULL where not given */
} SpawnerObject;

static PyObject *spawner_call(PyObject *object, PyObject *const *args, size_t n_args, PyObject *keyword_names)
{
    SpawnerObject *self = (SpawnerObject *)object;

    if (PyVectorcall_NARGS(n_args) != 1 || (keyword_names && PyTuple_GET_SIZE(keyword_names) > 0)) {
        return PyErr_Format(PyExc_TypeError, "spawn(...) takes exactly one function; give its arguments as spawn(args=, kwargs=)");
    }
    return spawn_task(self->state, self->parameters, args[0], capture_is_temporary(args[0], n_args));
}

static int spawner_traverse(SpawnerObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    for (int i = 0; i < N_SPAWN_PARAMETERS; i++) {
        Py_VISIT(self->parameters[i]);
    }
    return 0;
}

static void spawner_dealloc(SpawnerObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    for (int i = 0; i < N_SPAWN_PARAMETERS; i++) {
        Py_CLEAR(self->parameters[i]);
    }
    type->tp_free(self);
    Py_DECREF(type);
}

/* --- Reading the arguments --- */

static int parameter_of(module_state *state, PyObject *name)
{
    for (int i = 0; i < N_SPAWN_PARAMETERS; i++) {
        if (name == state->spawn_names[i]) {
            return i;
        }
    }
    for (int i = 0; i < N_SPAWN_PARAMETERS; i++) {
        if (PyUnicode_Compare(name, state->spawn_names[i]) == 0) {
            return i;
        }
    }
    if (PyUnicode_Compare(name, state->name_task) == 0) {
        return SPAWN_TASKID;
    }
    PyErr_Format(PyExc_TypeError, "spawn() has no argument '%U'%s", name,
                 PyUnicode_CompareWithASCIIString(name, "data") ? "" : ": name the arrays in input=, output= or inout=");
    return -1;
}

/* Fills borrowed references. Returns 0 or -1. */
static int read_arguments(module_state *state, PyObject **out, PyObject *const *args, Py_ssize_t n_args, PyObject *names)
{
    Py_ssize_t n_names = names ? PyTuple_GET_SIZE(names) : 0;

    if (n_args > N_SPAWN_POSITIONAL) {
        PyErr_Format(PyExc_TypeError, "spawn() takes a task, its dependencies and keyword arguments, got %zd positional arguments",
                     n_args);
        return -1;
    }
    for (Py_ssize_t i = 0; i < n_args; i++) {
        out[i] = args[i];
    }
    for (Py_ssize_t i = 0; i < n_names; i++) {
        int parameter = parameter_of(state, PyTuple_GET_ITEM(names, i));

        if (parameter < 0) {
            return -1;
        }
        if (out[parameter]) {
            PyErr_Format(PyExc_TypeError, "spawn() got the argument '%U' twice", PyTuple_GET_ITEM(names, i));
            return -1;
        }
        out[parameter] = args[n_args + i];
    }
    for (int i = 0; i < N_SPAWN_PARAMETERS; i++) {
        if (out[i] == Py_None) {
            out[i] = NULL; /* None means "as if not given" for each of them */
        }
    }
    return 0;
}

PyObject *spawn_function(PyObject *module, PyObject *const *args, Py_ssize_t n_args, PyObject *keyword_names)
{
    module_state *state = PyModule_GetState(module);
    PyObject *parameters[N_SPAWN_PARAMETERS] = {NULL};
    SpawnerObject *self;

    if (read_arguments(state, parameters, args, n_args, keyword_names) < 0) {
        return NULL;
    }
    if (n_args == 1 && !keyword_names && PyFunction_Check(args[0])) {
        PyObject *function = parameters[SPAWN_TASKID]; /* @spawn without parentheses */

        parameters[SPAWN_TASKID] = NULL;
        return spawn_task(state, parameters, function, false);
    }
    self = (SpawnerObject *)state->spawner_type->tp_alloc(state->spawner_type, 0);
    if (self) {
        self->state = state;
        self->call = spawner_call;
        for (int i = 0; i < N_SPAWN_PARAMETERS; i++) {
            self->parameters[i] = Py_XNewRef(parameters[i]);
        }
    }
    return (PyObject *)self;
}

PyTypeObject *spawner_type_make(PyObject *module)
{
    PyMemberDef members[] = {
        {"__vectorcalloffset__", T_PYSSIZET, offsetof(SpawnerObject, call), READONLY, NULL},
        {NULL, 0, 0, 0, NULL},
    };
    PyType_Slot slots[] = {
        {Py_tp_dealloc, spawner_dealloc},
        {Py_tp_traverse, spawner_traverse},
        {Py_tp_call, PyVectorcall_Call},
        {Py_tp_members, members},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "parla._parla.Spawner",
        .basicsize = sizeof(SpawnerObject),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_HAVE_VECTORCALL |
                 Py_TPFLAGS_IMMUTABLETYPE,
        .slots = slots,
    };

    return (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}
