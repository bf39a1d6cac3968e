/* space_type.c - Space: names for tasks, made when they are first used. TaskSpace in tasks.py derives from it.
 *
 * The integers 0, 1, 2, … live in a dense list, everything else (strings, tuples) in a dict. What is neither an integer >= 0 nor a name in
 * the dict goes to the Python method `_select(key)`: slices, lists, negative indices, and names to be made. */
#include "task_type.h"

#include <stddef.h>
#include <structmember.h>

enum { MAX_GAP = 64, MAX_FAST_NAME = 100 };

typedef struct SpaceObject {
    PyObject_HEAD PyObject *name; /* str; tasks are called "NAME_1_2" */
    PyObject *dense;              /* list of Task or None, by index */
    PyObject *others;             /* dict: key to Task, in order of creation */
    Py_ssize_t n_dense;           /* tasks in `dense` */
    bool has_bounds;              /* every index goes to `_select`, which looks whether it may name a task */
    PyObject *weak_references;
} SpaceObject;

/* A Python class derives from ours, so its own module is not this one. */
static module_state *state_of(SpaceObject *self) { return PyModule_GetState(PyType_GetModuleByDef(Py_TYPE(self), &parla_module)); }

/* "NAME_7": made for each task, so without a format. */
static PyObject *make_name_from_index(SpaceObject *self, Py_ssize_t index)
{
    char digits[24];
    char *at = digits + sizeof digits;
    Py_ssize_t n_bytes;
    const char *name = PyUnicode_AsUTF8AndSize(self->name, &n_bytes);
    char text[MAX_FAST_NAME + sizeof digits];

    do {
        *--at = (char)('0' + index % 10);
        index /= 10;
    } while (index > 0);
    if (!name || n_bytes > MAX_FAST_NAME) {
        return name ? PyUnicode_FromFormat("%U_%.*s", self->name, (int)(digits + sizeof digits - at), at) : NULL;
    }
    memcpy(text, name, (size_t)n_bytes);
    if (n_bytes > 0) {
        text[n_bytes++] = '_';
    }
    memcpy(text + n_bytes, at, (size_t)(digits + sizeof digits - at));
    return PyUnicode_FromStringAndSize(text, n_bytes + (digits + sizeof digits - at));
}

/* "NAME_1_x" for the key (1, "x"). */
static PyObject *make_name_from_key(SpaceObject *self, PyObject *key)
{
    PyObject *text = Py_NewRef(self->name);

    if (!PyTuple_Check(key)) {
        Py_SETREF(text, PyUnicode_FromFormat(PyUnicode_GetLength(text) ? "%U_%S" : "%U%S", text, key));
        return text;
    }
    for (Py_ssize_t i = 0; text && i < PyTuple_GET_SIZE(key); i++) {
        Py_SETREF(text, PyUnicode_FromFormat(PyUnicode_GetLength(text) ? "%U_%S" : "%U%S", text, PyTuple_GET_ITEM(key, i)));
    }
    return text;
}

/* Borrowed, NULL if there is no such task. */
static PyObject *find_dense(SpaceObject *self, Py_ssize_t index)
{
    PyObject *task = index < PyList_GET_SIZE(self->dense) ? PyList_GET_ITEM(self->dense, index) : Py_None;

    return task == Py_None ? NULL : task;
}

static int put_dense(SpaceObject *self, Py_ssize_t index, PyObject *task)
{
    while (PyList_GET_SIZE(self->dense) < index) {
        if (PyList_Append(self->dense, Py_None) < 0) {
            return -1;
        }
    }
    self->n_dense++;
    if (index == PyList_GET_SIZE(self->dense)) {
        return PyList_Append(self->dense, task);
    }
    return PyList_SetItem(self->dense, index, Py_NewRef(task));
}

/* Borrowed, NULL if there is no such task, or with an exception set. `index`: the key as an index of the dense part, or -1. */
static PyObject *find(SpaceObject *self, Py_ssize_t index, PyObject *key)
{
    PyObject *task = index >= 0 ? find_dense(self, index) : NULL;

    if (task || PyDict_GET_SIZE(self->others) == 0) {
        return task;
    }
    return PyDict_GetItemWithError(self->others, key); /* named while it was too far from the dense part */
}

static int put(SpaceObject *self, Py_ssize_t index, PyObject *key, PyObject *task, bool to_dense)
{
    return to_dense ? put_dense(self, index, task) : PyDict_SetItem(self->others, key, task);
}

/* Makes the task of a name that `find` did not find. Making it may run the garbage collector, and with it other threads: one of them may
 * have named the task meanwhile, and a name has one task. */
static PyObject *add(SpaceObject *self, Py_ssize_t index, PyObject *key, bool to_dense)
{
    PyObject *name = to_dense ? make_name_from_index(self, index) : make_name_from_key(self, key);
    PyObject *task = name ? (PyObject *)task_new(state_of(self), name) : NULL;
    PyObject *other = task ? find(self, index, key) : NULL;

    Py_XDECREF(name);
    if (other) {
        Py_SETREF(task, Py_NewRef(other));
    } else if (task && (PyErr_Occurred() || put(self, index, key, task, to_dense) < 0)) {
        Py_CLEAR(task);
    }
    return task;
}

static bool is_dense(SpaceObject *self, Py_ssize_t index) { return index >= 0 && index <= PyList_GET_SIZE(self->dense) + MAX_GAP; }

/* The index if `key` is an int that fits, else -1 without an exception. */
static Py_ssize_t index_of(PyObject *key)
{
    Py_ssize_t index = -1;

    if (PyLong_CheckExact(key)) {
        index = PyLong_AsSsize_t(key);
        PyErr_Clear();
    }
    return index;
}

static PyObject *space_subscript(SpaceObject *self, PyObject *key)
{
    Py_ssize_t index = index_of(key);
    PyObject *task = NULL;

    if (!self->has_bounds && (PyUnicode_CheckExact(key) || PyTuple_CheckExact(key) || index >= 0)) {
        task = find(self, index, key);
        if (task) {
            return Py_NewRef(task);
        }
        PyErr_Clear(); /* a tuple with a slice is not hashable before Python 3.12 */
        if (is_dense(self, index)) {
            return add(self, index, key, true);
        }
    }
    return PyObject_CallMethodOneArg((PyObject *)self, state_of(self)->name_select, key);
}

/* _at(key): the task of a checked key, an int >= 0, a str, or a tuple of those. */
static PyObject *space_at(SpaceObject *self, PyObject *key)
{
    Py_ssize_t index = index_of(key);
    PyObject *task = find(self, index, key);

    if (task) {
        return Py_NewRef(task);
    }
    return PyErr_Occurred() ? NULL : add(self, index, key, is_dense(self, index));
}

/* _find(key): the task of a checked key, or None. */
static PyObject *space_find(SpaceObject *self, PyObject *key)
{
    PyObject *task = find(self, index_of(key), key);

    return task ? Py_NewRef(task) : PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

/* Calls visit(key, task) for each task; stops at -1. */
static int each(SpaceObject *self, int (*visit)(PyObject *key, PyObject *task, PyObject *out), PyObject *out)
{
    Py_ssize_t position = 0;
    PyObject *key, *task;

    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(self->dense); i++) {
        int status;

        if (!(task = find_dense(self, i))) {
            continue;
        }
        key = PyLong_FromSsize_t(i);
        status = key ? visit(key, task, out) : -1;
        Py_XDECREF(key);
        if (status < 0) {
            return -1;
        }
    }
    while (PyDict_Next(self->others, &position, &key, &task)) {
        if (visit(key, task, out) < 0) {
            return -1;
        }
    }
    return 0;
}

static int append_task(PyObject *key, PyObject *task, PyObject *out)
{
    (void)key;
    return PyList_Append(out, task);
}

static int append_item(PyObject *key, PyObject *task, PyObject *out)
{
    PyObject *pair = PyTuple_Pack(2, key, task);
    int status = pair ? PyList_Append(out, pair) : -1;

    Py_XDECREF(pair);
    return status;
}

static PyObject *listing(SpaceObject *self, int (*visit)(PyObject *key, PyObject *task, PyObject *out))
{
    PyObject *list = PyList_New(0);

    if (list && each(self, visit, list) < 0) {
        Py_CLEAR(list);
    }
    return list;
}

static PyObject *space_items(SpaceObject *self, PyObject *unused)
{
    (void)unused;
    return listing(self, append_item);
}

static PyObject *space_get_tasks(SpaceObject *self, void *unused)
{
    (void)unused;
    return listing(self, append_task);
}

static PyObject *space_iter(SpaceObject *self)
{
    PyObject *tasks = listing(self, append_task);
    PyObject *iterator = tasks ? PyObject_GetIter(tasks) : NULL;

    Py_XDECREF(tasks);
    return iterator;
}

static Py_ssize_t space_length(SpaceObject *self) { return self->n_dense + PyDict_GET_SIZE(self->others); }

static PyObject *space_get_name(SpaceObject *self, void *unused)
{
    (void)unused;
    return Py_NewRef(self->name);
}

static PyObject *space_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *name = PyTuple_GET_SIZE(args) > 0 ? PyTuple_GET_ITEM(args, 0) : NULL;
    SpaceObject *self;

    if (!name && kwargs) {
        name = PyDict_GetItemString(kwargs, "name"); /* the other arguments are those of a derived class */
    }
    if (name && !PyUnicode_Check(name)) {
        return PyErr_Format(PyExc_TypeError, "TaskSpace(name): expected a str, not %R", name);
    }
    self = (SpaceObject *)type->tp_alloc(type, 0);
    if (!self) {
        return NULL;
    }
    self->name = name ? Py_NewRef(name) : PyUnicode_FromString("");
    self->dense = PyList_New(0);
    self->others = PyDict_New();
    if (!self->name || !self->dense || !self->others) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static int space_traverse(SpaceObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->dense);
    Py_VISIT(self->others);
    return 0;
}

static int space_clear(SpaceObject *self)
{
    Py_CLEAR(self->dense);
    Py_CLEAR(self->others);
    return 0;
}

static void space_dealloc(SpaceObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    if (self->weak_references) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    space_clear(self);
    Py_CLEAR(self->name);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef space_methods[] = {
    {"_at", (PyCFunction)space_at, METH_O, "_at(key): the task of a checked key; made if it is new."},
    {"_find", (PyCFunction)space_find, METH_O, "_find(key): the task of a checked key, or None."},
    {"items", (PyCFunction)space_items, METH_NOARGS,
     "The (key, task) pairs as a list: integers in order, then the rest as they were made."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef space_attributes[] = {
    {"name", (getter)space_get_name, NULL, "What the tasks' names begin with.", NULL},
    {"tasks", (getter)space_get_tasks, NULL, "The tasks named so far, as a list.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject *space_type_make(PyObject *module)
{
    PyMemberDef members[] = {
        {"__weaklistoffset__", T_PYSSIZET, offsetof(SpaceObject, weak_references), READONLY, NULL},
        {"_has_bounds", T_BOOL, offsetof(SpaceObject, has_bounds), 0, NULL},
        {NULL, 0, 0, 0, NULL},
    };
    PyType_Slot slots[] = {
        {Py_tp_new, space_new},
        {Py_tp_dealloc, space_dealloc},
        {Py_tp_traverse, space_traverse},
        {Py_tp_clear, space_clear},
        {Py_tp_methods, space_methods},
        {Py_tp_getset, space_attributes},
        {Py_tp_members, members},
        {Py_tp_iter, space_iter},
        {Py_mp_subscript, space_subscript},
        {Py_mp_length, space_length},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "parla._parla.Space",
        .basicsize = sizeof(SpaceObject),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
        .slots = slots,
    };

    return (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}
