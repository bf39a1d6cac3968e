/* data_type.c - Data: one coherent array. Shapes and types are the Python layer's business; this object moves bytes.
 *
 * Inside a task the array is found among the accesses that the task was spawned with; outside it is acquired and released. */
#include "data_type.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <structmember.h>

#include "lease.h"
#include "view_type.h"

/* --- Making --- */

enum { SOURCE_BYTES = 256 };

static int read_extents(PyObject *tuple, int64_t *out, int *out_ndim, const char *what)
{
    Py_ssize_t n = PyTuple_GET_SIZE(tuple);

    if (n > PARLA_MAX_NDIM) {
        PyErr_Format(PyExc_ValueError, "%s: %zd dimensions, at most %d are possible", what, n, PARLA_MAX_NDIM);
        return -1;
    }
    for (Py_ssize_t k = 0; k < n; k++) {
        out[k] = PyLong_AsLongLong(PyTuple_GET_ITEM(tuple, k));
        if (out[k] == -1 && PyErr_Occurred()) {
            return -1;
        }
    }
    *out_ndim = (int)n;
    return 0;
}

/* Describes the array: over the memory at `address` with `strides`, or without memory if `strides` is None. */
static int describe(module_state *state, parla_strided *out, PyObject *shape, Py_ssize_t item_bytes, Py_ssize_t address,
                    PyObject *strides)
{
    int64_t extent[PARLA_MAX_NDIM];
    int ndim, code;

    if (read_extents(shape, extent, &ndim, "shape") < 0) {
        return -1;
    }
    code = parla_strided_contiguous(out, (void *)address, (size_t)item_bytes, ndim, extent);
    if (code < 0) {
        error_raise(state, code, "shape");
        return -1;
    }
    return strides == Py_None ? 0 : read_extents(strides, out->stride, &ndim, "strides");
}

/* Is a file one of package parla or crosspy itself? */
static bool is_of_package(const char *file)
{
    const char *name = strrchr(file, '/');
    size_t n = name ? (size_t)(name - file) : 0;

    return (n >= 6 && memcmp(name - 6, "/parla", 6) == 0) || (n >= 8 && memcmp(name - 8, "/crosspy", 8) == 0);
}

/* "file:line" of the program's own code that makes an array, for messages; empty if there is none. */
static void find_caller(char *out, size_t n_bytes)
{
    PyFrameObject *frame = PyEval_GetFrame(); /* borrowed */

    out[0] = '\0';
    Py_XINCREF(frame);
    while (frame) {
        PyCodeObject *code = PyFrame_GetCode(frame);
        const char *file = PyUnicode_AsUTF8(code->co_filename);
        bool is_found = file && !is_of_package(file);
        PyFrameObject *back = is_found ? NULL : PyFrame_GetBack(frame);

        if (is_found) {
            snprintf(out, n_bytes, "%s:%d", file, PyFrame_GetLineNumber(frame));
        } else if (!file) {
            PyErr_Clear();
        }
        Py_DECREF(code);
        Py_DECREF(frame);
        frame = back;
    }
}

static PyObject *data_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    module_state *state = state_of_type(type);
    parla_data_options options = PARLA_DATA_OPTIONS_INIT;
    PyObject *shape, *strides = Py_None, *owner = Py_None;
    Py_ssize_t item_bytes, address = 0;
    deferred_object *held = NULL;
    DataObject *self;
    char source[SOURCE_BYTES];
    int code;

    (void)kwargs;
    if (!PyArg_ParseTuple(args, "O!n|znOO:Data", &PyTuple_Type, &shape, &item_bytes, &options.name, &address, &strides, &owner) ||
        describe(state, &options.host, shape, item_bytes, address, strides) < 0) {
        return NULL;
    }
    self = (DataObject *)type->tp_alloc(type, 0);
    if (!self) {
        return NULL;
    }
    self->state = state;
    if (owner != Py_None) {
        held = deferred_object_new(&state->ends, owner);
        if (!held) {
            Py_DECREF(self);
            return NULL;
        }
        options.release = deferred_object_release;
        options.ctx = held;
    }
    find_caller(source, sizeof source);
    options.source = source[0] ? source : NULL;
    code = parla_data_create(&self->data, &options);
    if (code < 0) {
        if (held) {
            deferred_object_release(held);
        }
        Py_DECREF(self);
        return error_raise(state, code, "making an array");
    }
    return (PyObject *)self;
}

/* over(capsule): another object for an array that an extension has. */
static PyObject *data_over(PyObject *type, PyObject *capsule)
{
    parla_data *data = PyCapsule_GetPointer(capsule, "parla_data");
    DataObject *self = data ? (DataObject *)((PyTypeObject *)type)->tp_alloc((PyTypeObject *)type, 0) : NULL;

    if (self) {
        self->state = state_of_type((PyTypeObject *)type);
        self->data = parla_data_ref(data);
    }
    return (PyObject *)self;
}

static void data_dealloc(DataObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    module_state *state = self->state;

    if (self->weak_references) {
        PyObject_ClearWeakRefs((PyObject *)self);
    }
    parla_data_unref(self->data);
    type->tp_free(self);
    if (state) {
        deferred_drain(&state->ends);
    }
    Py_DECREF(type);
}

/* --- Inside a task --- */

/* Memory of a device belongs to the array's copy there, which may move once the body has returned: callback.c looks at these then. */
static int remember_view(TaskObject *task, PyObject *view)
{
    if (!task_extra_own(task) || (!task->extra->views && !(task->extra->views = PyList_New(0)))) {
        return -1;
    }
    return PyList_Append(task->extra->views, view);
}

static int read_range(parla_range *out, PyObject *triple)
{
    long long start, stop, step;

    if (!PyArg_ParseTuple(triple, "LLL", &start, &stop, &step)) {
        return -1;
    }
    *out = (parla_range){start, stop, step};
    return 0;
}

static const parla_range *read_box(parla_range *ranges, PyObject *box, bool *out_is_bad)
{
    *out_is_bad = false;
    if (box == Py_None) {
        return NULL;
    }
    if (!PyTuple_Check(box) || PyTuple_GET_SIZE(box) > PARLA_MAX_NDIM) {
        PyErr_Format(PyExc_ValueError, "a box is a tuple of at most %d ranges, not %R", PARLA_MAX_NDIM, box);
        *out_is_bad = true;
        return NULL;
    }
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(box) && !*out_is_bad; k++) {
        *out_is_bad = read_range(&ranges[k], PyTuple_GET_ITEM(box, k)) < 0;
    }
    return ranges;
}

/* Are all indices of one range in the other? */
static bool range_is_in(const parla_range *part, const parla_range *whole)
{
    int64_t n = part->stop <= part->start ? 0 : (part->stop - part->start - 1) / part->step + 1;
    int64_t last = part->start + (n - 1) * part->step;

    if (n == 0) {
        return true;
    }
    return part->start >= whole->start && last < whole->stop && (part->start - whole->start) % whole->step == 0 &&
           (last - whole->start) % whole->step == 0 && (n == 1 || part->step % whole->step == 0);
}

/* Does the region of an access (None: the whole array) contain another? -1 on error. */
static int region_contains(PyObject *whole, PyObject *part)
{
    if (whole == Py_None || part == Py_None) {
        return whole == Py_None;
    }
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(whole) && k < PyTuple_GET_SIZE(part); k++) {
        parla_range outer, inner;

        if (read_range(&outer, PyTuple_GET_ITEM(whole, k)) < 0 || read_range(&inner, PyTuple_GET_ITEM(part, k)) < 0) {
            return -1;
        }
        if (!range_is_in(&inner, &outer)) {
            return 0;
        }
    }
    return 1;
}

enum { NOT_NAMED = -1, NAMED_IN_PART = -2, BAD_REGION = -3 };

/* The access of the task that contains a region of this array, and how many accesses to the array there are: one on the device at
 * position `member` (any, if that is negative or has none) rather than another, and one that may write rather than one that reads. */
static Py_ssize_t find_access(DataObject *self, TaskObject *task, long member, PyObject *region, int *out_n)
{
    Py_ssize_t found = NOT_NAMED;
    int best = 0;

    *out_n = 0;

    for (Py_ssize_t i = 0; task->extra->accesses && i < PyList_GET_SIZE(task->extra->accesses); i++) {
        PyObject *row = PyList_GET_ITEM(task->extra->accesses, i);
        int contains, rank;

        if (((DataObject *)PyTuple_GET_ITEM(row, 0))->data != self->data) {
            continue;
        }
        ++*out_n;
        contains = region_contains(PyTuple_GET_ITEM(row, 3), region);
        if (contains < 0) {
            return BAD_REGION;
        }
        if (!contains) {
            found = found == NOT_NAMED ? NAMED_IN_PART : found;
            continue;
        }
        rank = 1 + ((PyLong_AsLong(PyTuple_GET_ITEM(row, 1)) & PARLA_OUT) != 0);
        rank += member < 0 || PyLong_AsLong(PyTuple_GET_ITEM(row, 2)) == member ? 2 : 0;
        if (rank > best) {
            best = rank;
            found = i;
        }
    }
    return found;
}

/* local(member, region): ((view, offset, strides), mode, device index, number of accesses to the array) in the task whose body runs here or
 * was lent to this thread; None outside of tasks; False if no access of the task contains the region. */
static PyObject *data_local(DataObject *self, PyObject *args)
{
    TaskObject *task;
    const parla_context *context = lease_context(self->state, &task);
    PyObject *region;
    long member;
    int n_accesses;
    parla_instance instance;
    PyObject *row, *view;
    Py_ssize_t i;
    long mode;
    int code;

    if (!context) {
        Py_RETURN_NONE;
    }
    if (!PyArg_ParseTuple(args, "lO:local", &member, &region)) {
        return NULL;
    }
    i = find_access(self, task, member, region, &n_accesses);
    if (i == BAD_REGION) {
        return NULL;
    }
    if (i == NAMED_IN_PART) {
        Py_RETURN_FALSE;
    }
    if (i < 0) {
        return error_format(self->state, EXCEPTION_StateError,
                            "array '%s' is not named by task '%U': list it in input=, output= or inout= of its spawn",
                            parla_data_name(self->data), task->name);
    }
    row = PyList_GET_ITEM(task->extra->accesses, i);
    mode = PyLong_AsLong(PyTuple_GET_ITEM(row, 1));
    code = mode & PARLA_ORDER ? parla_context_source(context, (size_t)i, &instance)
                              : parla_context_instance(context, (size_t)i, &instance);
    if (code < 0) {
        return error_raise(self->state, code, "array");
    }
    view = view_of_instance(self->state, (PyObject *)self, &instance.box, mode == PARLA_IN,
                            task->runtime && task->runtime->native_mask >> instance.i_device & 1);
    if (view && instance.i_device != 0 && remember_view(task, PyTuple_GET_ITEM(view, 0)) < 0) {
        Py_CLEAR(view);
    }
    return view ? Py_BuildValue("(Nlii)", view, mode, instance.i_device, n_accesses) : NULL;
}

/* --- Outside --- */

static PyObject *data_acquire(DataObject *self, PyObject *args)
{
    RuntimeObject *runtime = self->state->active;
    PyObject *timeout = Py_None, *box = Py_None, *view;
    parla_range ranges[PARLA_MAX_NDIM];
    const parla_range *region;
    parla_instance instance;
    int64_t deadline_ns;
    bool is_bad;
    int mode, code, again;

    if (!PyArg_ParseTuple(args, "i|OO:acquire", &mode, &timeout, &box) || runtime_deadline(timeout, &deadline_ns) < 0) {
        return NULL;
    }
    region = read_box(ranges, box, &is_bad);
    if (is_bad) {
        return NULL;
    }
    if (!runtime) {
        code = parla_data_acquire_region(NULL, self->data, region, mode, 0, &instance);
    } else {
        Py_INCREF(runtime);
        runtime_enter(runtime);
        do {
            int64_t slice_ns = runtime_slice(runtime, deadline_ns);

            Py_BEGIN_ALLOW_THREADS code = parla_data_acquire_region(runtime->rt, self->data, region, mode, slice_ns, &instance);
            Py_END_ALLOW_THREADS again = runtime_slice_ended(runtime, code, deadline_ns, "waiting for an array");
        } while (again > 0);
        runtime_leave(runtime);
        Py_DECREF(runtime);
        if (again < 0) {
            return NULL;
        }
    }
    if (code < 0) {
        return error_raise(self->state, code, parla_data_name(self->data));
    }
    view = view_of_instance(self->state, (PyObject *)self, &instance.box, mode == PARLA_IN, false);
    if (!view) {
        parla_data_release_region(self->data, region, mode);
    }
    return view;
}

static PyObject *data_release(DataObject *self, PyObject *args)
{
    PyObject *box = Py_None;
    parla_range ranges[PARLA_MAX_NDIM];
    const parla_range *region;
    bool is_bad;
    int mode;

    if (!PyArg_ParseTuple(args, "i|O:release", &mode, &box)) {
        return NULL;
    }
    region = read_box(ranges, box, &is_bad);
    if (is_bad) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS parla_data_release_region(self->data, region, mode);
    Py_END_ALLOW_THREADS Py_RETURN_NONE;
}

static PyObject *data_query(DataObject *self, PyObject *unused)
{
    parla_data_info info = {.size = sizeof(info)};
    int code = parla_data_query(self->data, &info);

    (void)unused;
    return code < 0 ? error_raise(self->state, code, "array")
                    : Py_BuildValue("(nKi)", (Py_ssize_t)info.n_bytes, (unsigned long long)info.valid_mask, info.i_owner);
}

static PyObject *data_evict(DataObject *self, PyObject *args)
{
    RuntimeObject *runtime = runtime_active(self->state, "evict()");
    int64_t deadline_ns;
    int i_device, code, again;

    if (!runtime || !PyArg_ParseTuple(args, "i:evict", &i_device) || runtime_deadline(Py_None, &deadline_ns) < 0) {
        return NULL;
    }
    Py_INCREF(runtime);
    runtime_enter(runtime);
    do {
        int64_t slice_ns = runtime_slice(runtime, deadline_ns);

        Py_BEGIN_ALLOW_THREADS code = parla_data_evict(runtime->rt, self->data, i_device, slice_ns);
        Py_END_ALLOW_THREADS again = runtime_slice_ended(runtime, code, deadline_ns, "evict");
    } while (again > 0);
    runtime_leave(runtime);
    Py_DECREF(runtime);
    if (again < 0) {
        return NULL;
    }
    return code < 0 ? error_raise(self->state, code, "evict") : Py_NewRef(Py_None);
}

static PyObject *data_capsule(DataObject *self, PyObject *unused)
{
    (void)unused;
    return PyCapsule_New(self->data, "parla_data", NULL);
}

static PyObject *data_get_shape(DataObject *self, void *unused)
{
    const parla_strided *box = parla_data_shape(self->data);
    PyObject *shape = PyTuple_New(box->ndim);

    (void)unused;
    for (int k = 0; shape && k < box->ndim; k++) {
        PyObject *extent = PyLong_FromLongLong(box->extent[k]);

        if (!extent) {
            Py_CLEAR(shape);
            break;
        }
        PyTuple_SET_ITEM(shape, k, extent);
    }
    return shape;
}

/* --- Copies --- */

PyObject *data_copy_function(PyObject *module, PyObject *args)
{
    module_state *state = PyModule_GetState(module);
    RuntimeObject *runtime = runtime_active(state, "copying between arrays");
    parla_range dst_ranges[PARLA_MAX_NDIM], src_ranges[PARLA_MAX_NDIM];
    const parla_range *dst_range, *src_range;
    PyObject *dst, *dst_box, *src, *src_box;
    bool dst_is_bad, src_is_bad;
    int i_device, code;

    if (!runtime || !PyArg_ParseTuple(args, "O!OO!Oi:data_copy", state->data_type, &dst, &dst_box, state->data_type, &src, &src_box,
                                      &i_device)) {
        return NULL;
    }
    dst_range = read_box(dst_ranges, dst_box, &dst_is_bad);
    src_range = dst_is_bad ? NULL : read_box(src_ranges, src_box, &src_is_bad);
    if (dst_is_bad || src_is_bad) {
        return NULL;
    }
    code = parla_data_copy(runtime->rt, NULL, ((DataObject *)dst)->data, dst_range, ((DataObject *)src)->data, src_range, i_device);
    return code < 0 ? error_raise(state, code, "copy") : Py_NewRef(Py_None);
}

static PyMethodDef data_methods[] = {
    {"local", (PyCFunction)data_local, METH_VARARGS,
     "local(member, region): the instance of the running task on one of its devices (-1: any): (view, mode, device index, number of "
     "accesses to the array); None outside of tasks; False if no access of the task contains the region."},
    {"acquire", (PyCFunction)data_acquire, METH_VARARGS,
     "acquire(mode, timeout=None, region=None): the host's instance, current in the region, pinned until release(mode, region)."},
    {"release", (PyCFunction)data_release, METH_VARARGS, "release(mode, region=None): give up what acquire gave."},
    {"over", (PyCFunction)data_over, METH_O | METH_CLASS,
     "over(capsule): another object for an array that an extension has; the capsule is a 'parla_data'."},
    {"query", (PyCFunction)data_query, METH_NOARGS, "(bytes, mask of devices with a valid copy, device of the only copy or -1)."},
    {"evict", (PyCFunction)data_evict, METH_VARARGS, "evict(device): free that device's copy, or those of all devices (-1)."},
    {"__parla_data__", (PyCFunction)data_capsule, METH_NOARGS,
     "A capsule 'parla_data' with the parla_data pointer, borrowed from this object."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef data_attributes[] = {
    {"shape", (getter)data_get_shape, NULL, "Elements along each dimension.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject *data_type_make(PyObject *module)
{
    PyMemberDef members[] = {
        {"__weaklistoffset__", T_PYSSIZET, offsetof(DataObject, weak_references), READONLY, NULL},
        {NULL, 0, 0, 0, NULL},
    };
    PyType_Slot slots[] = {
        {Py_tp_doc, "Data(shape, item_bytes, name=None, address=0, strides=None, owner=None): an array of the library."},
        {Py_tp_new, data_new},
        {Py_tp_dealloc, data_dealloc},
        {Py_tp_methods, data_methods},
        {Py_tp_getset, data_attributes},
        {Py_tp_members, members},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "parla._parla.Data",
        .basicsize = sizeof(DataObject),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
        .slots = slots,
    };

    return (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}
