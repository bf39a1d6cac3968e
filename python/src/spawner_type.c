/* spawner_type.c - what spawn(...) returns: the arguments, waiting for the function. Also the reading of spawn's own arguments. */
#include "spawn.h"

#include <assert.h>
#include <stddef.h>
#include <structmember.h>

#include "capture.h"

typedef struct SpawnerObject {
    PyObject_HEAD module_state *state;
    vectorcallfunc call;
    unsigned given;                           /* bit i: parameters[i] was given; the others are not even set */
    PyObject *parameters[N_SPAWN_PARAMETERS]; /* references */
} SpawnerObject;

static_assert(N_SPAWN_PARAMETERS <= 8 * sizeof(unsigned), "SpawnerObject.given has a bit for each parameter");

/* Runs the statement for the index `i` of each parameter that was given. */
#define EACH_GIVEN(given_bits, i)                                                                                                  \
    for (unsigned left_ = (given_bits), i; left_ && ((i = (unsigned)__builtin_ctz(left_)), true); left_ &= left_ - 1)

static PyObject *spawner_call(PyObject *object, PyObject *const *args, size_t n_args, PyObject *keyword_names)
{
    SpawnerObject *self = (SpawnerObject *)object;
    PyObject *parameters[N_SPAWN_PARAMETERS] = {NULL};

    if (PyVectorcall_NARGS(n_args) != 1 || (keyword_names && PyTuple_GET_SIZE(keyword_names) > 0)) {
        return PyErr_Format(PyExc_TypeError, "spawn(...) takes exactly one function; give its arguments as spawn(args=, kwargs=)");
    }
    EACH_GIVEN(self->given, i) { parameters[i] = self->parameters[i]; }
    return spawn_task(self->state, parameters, args[0], (spawn_how){.is_temporary = capture_is_temporary(args[0], n_args)});
}

static int spawner_traverse(SpawnerObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    EACH_GIVEN(self->given, i) { Py_VISIT(self->parameters[i]); }
    return 0;
}

/* A spawner lives from one line to the next, so one that is done serves again: state->spare_spawner. */
static void spawner_dealloc(SpawnerObject *self)
{
    module_state *state = self->state;
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    EACH_GIVEN(self->given, i) { Py_DECREF(self->parameters[i]); }
    if (!state->spare_spawner) {
        state->spare_spawner = self;
    } else {
        type->tp_free(self);
    }
    Py_DECREF(type);
}

/* Takes references of its own to the parameters whose bits are set. New reference or NULL. */
static SpawnerObject *spawner_new(module_state *state, PyObject *const *parameters, unsigned given)
{
    SpawnerObject *self = state->spare_spawner;

    if (self) {
        state->spare_spawner = NULL;
        (void)PyObject_Init((PyObject *)self, state->spawner_type);
    } else if (!(self = PyObject_GC_New(SpawnerObject, state->spawner_type))) {
        return NULL;
    }
    self->state = state;
    self->call = spawner_call;
    self->given = given;
    EACH_GIVEN(given, i) { self->parameters[i] = Py_NewRef(parameters[i]); }
    PyObject_GC_Track(self);
    return self;
}

void spawner_drop_spare(module_state *state)
{
    if (state->spare_spawner) {
        PyObject_GC_Del(state->spare_spawner);
        state->spare_spawner = NULL;
    }
}

/* --- Reading the arguments --- */

/* What to write in place of arguments of earlier front ends. */
static const char *hint_for(PyObject *name)
{
    static const char *const hints[][2] = {
        {"data", ": name the arrays in input=, output= or inout="},
        {"resources", ": say where with placement=, and how much of it with vcus= and memory="},
        {"constraints", ": name the devices in placement="},
    };

    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++) {
        if (PyUnicode_CompareWithASCIIString(name, hints[i][0]) == 0) {
            return hints[i][1];
        }
    }
    return "";
}

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
    PyErr_Format(PyExc_TypeError, "spawn() has no argument '%U'%s", name, hint_for(name));
    return -1;
}

/* None means "as if not given" for each of them. */
static void read_one(int parameter, PyObject *value, PyObject **out, unsigned *given)
{
    if (value != Py_None) {
        out[parameter] = value;
        *given |= 1u << parameter;
    }
}

/* Fills borrowed references. Returns 0 or -1. */
static int read_arguments(module_state *state, PyObject **out, unsigned *given, PyObject *const *args, Py_ssize_t n_args,
                          PyObject *names)
{
    Py_ssize_t n_names = names ? PyTuple_GET_SIZE(names) : 0;

    if (n_args > N_SPAWN_POSITIONAL) {
        PyErr_Format(
            PyExc_TypeError,
            "spawn() takes taskid, dependencies, placement, input, output and inout by position, all others by name: got %zd "
            "positional arguments",
            n_args);
        return -1;
    }
    for (Py_ssize_t i = 0; i < n_args; i++) {
        read_one((int)i, args[i], out, given);
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
        read_one(parameter, args[n_args + i], out, given);
    }
    return 0;
}

PyObject *spawn_function(PyObject *module, PyObject *const *args, Py_ssize_t n_args, PyObject *keyword_names)
{
    module_state *state = PyModule_GetState(module);
    PyObject *parameters[N_SPAWN_PARAMETERS] = {NULL};
    unsigned given = 0;

    if (read_arguments(state, parameters, &given, args, n_args, keyword_names) < 0) {
        return NULL;
    }
    if (n_args == 1 && !keyword_names && PyFunction_Check(args[0])) {
        PyObject *function = parameters[SPAWN_TASKID]; /* @spawn without parentheses */

        parameters[SPAWN_TASKID] = NULL;
        return spawn_task(state, parameters, function, (spawn_how){0});
    }
    return (PyObject *)spawner_new(state, parameters, given);
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
