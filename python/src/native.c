/* native.c - see the header. A Block is memory of a device that lives as long as the object does; arrays that libraries make over it hold it.
 *
 * Only devices with streams of a vendor's cost anything here: tasks on the CPU and on simulated devices make one look at a mask. */
#include "native.h"

#include <stddef.h>
#include <structmember.h>

#include "runtime_type.h"

#include <parla/native.h>

typedef struct BlockObject {
    PyObject_HEAD parla_block *block;
    Py_ssize_t address, n_bytes;
} BlockObject;

/* The running body's context, or NULL with StateError set. */
static parla_context *context_here(PyObject *module, const char *what)
{
    parla_context *context = parla_current();

    if (!context) {
        error_format(PyModule_GetState(module), EXCEPTION_StateError, "%s: no task is running here; call it in a task's body",
                     what);
    }
    return context;
}

/* --- Blocks --- */

PyObject *native_block_function(PyObject *module, PyObject *args)
{
    module_state *state = PyModule_GetState(module);
    parla_context *context = context_here(module, "memory of a device");
    BlockObject *self;
    Py_ssize_t member, n_bytes;
    int code;

    if (!context || !PyArg_ParseTuple(args, "nn:block", &member, &n_bytes)) {
        return NULL;
    }
    if (member < 0 || n_bytes < 0) {
        return PyErr_Format(PyExc_ValueError, "block(%zd, %zd): expected a device position and a number of bytes", member, n_bytes);
    }
    self = (BlockObject *)state->block_type->tp_alloc(state->block_type, 0);
    if (!self) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS code = parla_block_create(&self->block, context, (size_t)member, (size_t)n_bytes);
    Py_END_ALLOW_THREADS if (code < 0)
    {
        self->block = NULL;
        Py_DECREF(self);
        return error_raise(state, code, "memory of a device");
    }
    self->address = (Py_ssize_t)parla_block_memory(self->block);
    self->n_bytes = n_bytes;
    return (PyObject *)self;
}

static void block_dealloc(BlockObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    Py_BEGIN_ALLOW_THREADS parla_block_destroy(self->block);
    Py_END_ALLOW_THREADS type->tp_free(self);
    Py_DECREF(type);
}

PyTypeObject *block_type_make(PyObject *module)
{
    PyMemberDef members[] = {
        {"address", T_PYSSIZET, offsetof(BlockObject, address), READONLY, "Where it begins, in the device's address space."},
        {"n_bytes", T_PYSSIZET, offsetof(BlockObject, n_bytes), READONLY, "Its size."},
        {NULL, 0, 0, 0, NULL},
    };
    PyType_Slot slots[] = {
        {Py_tp_doc, "Memory of a device, given back when the object goes; see block()."},
        {Py_tp_dealloc, block_dealloc},
        {Py_tp_members, members},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "parla._parla.Block",
        .basicsize = sizeof(BlockObject),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
        .slots = slots,
    };

    return (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}

/* --- Order and copies --- */

PyObject *native_order_function(PyObject *module, PyObject *args)
{
    parla_context *context = context_here(module, "order between streams");
    Py_ssize_t member, native;
    int leads, i_device = -1, code;

    if (!context || !PyArg_ParseTuple(args, "nnp|i:order", &member, &native, &leads, &i_device)) {
        return NULL;
    }
    code = leads ? parla_context_lead(context, (size_t)member, i_device, (void *)native)
                 : parla_context_follow(context, (size_t)member, i_device, (void *)native);
    return code < 0 ? error_raise(PyModule_GetState(module), code, "order between streams") : Py_NewRef(Py_None);
}

static int read_side(PyObject *tuple, parla_strided *box, int *out_device)
{
    Py_ssize_t address;
    PyObject *strides;

    if (!PyArg_ParseTuple(tuple, "inO!:copy", out_device, &address, &PyTuple_Type, &strides)) {
        return -1;
    }
    if (PyTuple_GET_SIZE(strides) != box->ndim) {
        PyErr_SetString(PyExc_ValueError, "copy: as many strides as extents");
        return -1;
    }
    box->base = (void *)address;
    for (int k = 0; k < box->ndim; k++) {
        box->stride[k] = PyLong_AsLongLong(PyTuple_GET_ITEM(strides, k));
        if (box->stride[k] == -1 && PyErr_Occurred()) {
            return -1;
        }
    }
    return 0;
}

PyObject *native_copy_function(PyObject *module, PyObject *args)
{
    parla_context *context = context_here(module, "a copy in a task's stream");
    parla_strided dst = {0}, src;
    PyObject *shape, *dst_side, *src_side;
    Py_ssize_t member, item_bytes;
    int i_dst, i_src, code;

    if (!context || !PyArg_ParseTuple(args, "nnO!O!O!:copy", &member, &item_bytes, &PyTuple_Type, &shape, &PyTuple_Type, &dst_side,
                                      &PyTuple_Type, &src_side)) {
        return NULL;
    }
    dst.item_bytes = (size_t)item_bytes;
    dst.ndim = (int)PyTuple_GET_SIZE(shape);
    if (dst.ndim > PARLA_MAX_NDIM) {
        return PyErr_Format(PyExc_ValueError, "copy: %d dimensions, at most %d are possible", dst.ndim, PARLA_MAX_NDIM);
    }
    for (int k = 0; k < dst.ndim; k++) {
        dst.extent[k] = PyLong_AsLongLong(PyTuple_GET_ITEM(shape, k));
        if (dst.extent[k] == -1 && PyErr_Occurred()) {
            return NULL;
        }
    }
    src = dst;
    if (read_side(dst_side, &dst, &i_dst) < 0 || read_side(src_side, &src, &i_src) < 0) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS code = parla_context_copy(context, (size_t)member, &dst, i_dst, &src, i_src);
    Py_END_ALLOW_THREADS return code < 0 ? error_raise(PyModule_GetState(module), code, "a copy in a task's stream")
                                         : Py_NewRef(Py_None);
}

PyObject *native_drain_function(PyObject *module, PyObject *member)
{
    parla_context *context = context_here(module, "synchronize()");
    size_t i = PyLong_AsSize_t(member);
    int code;

    if (!context || (i == (size_t)-1 && PyErr_Occurred())) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS code = parla_context_drain(context, i);
    Py_END_ALLOW_THREADS return code < 0 ? error_raise(PyModule_GetState(module), code, "synchronize()") : Py_NewRef(Py_None);
}

/* locate(address): which card memory is on, by its ordinal; None if on none. */
PyObject *native_locate_function(PyObject *module, PyObject *address)
{
    void *memory = PyLong_AsVoidPtr(address);
    int ordinal, code;

    if (!memory && PyErr_Occurred()) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS code = parla_native_locate("cuda", memory, &ordinal);
    Py_END_ALLOW_THREADS if (code == PARLA_E_INVALID || code == PARLA_E_NO_DEVICE) { Py_RETURN_NONE; }
    return code < 0 ? error_raise(PyModule_GetState(module), code, "an address") : PyLong_FromLong(ordinal);
}

/* --- Around a step --- */

enum { ROW_ORDINAL = 5 }; /* in the rows of RuntimeObject.devices */

int native_begin(TaskObject *task, const parla_context *context, PyObject **out_token)
{
    PyObject *arguments;
    int i_device;

    *out_token = NULL;
    if (!task->runtime || task->runtime->native_mask == 0) {
        return 0;
    }
    i_device = parla_context_device(context, 0);
    if (i_device < 0 || !(task->runtime->native_mask >> i_device & 1)) {
        return 0;
    }
    arguments = Py_BuildValue("(ON)", PyTuple_GET_ITEM(PyTuple_GET_ITEM(task->runtime->devices, i_device), ROW_ORDINAL),
                              PyLong_FromVoidPtr(parla_context_queue(context, 0)));
    *out_token = arguments ? PyObject_CallObject(task_state(task)->hooks[HOOK_BODY_BEGIN], arguments) : NULL;
    Py_XDECREF(arguments);
    return *out_token ? 0 : -1;
}

int native_end(TaskObject *task, PyObject *token)
{
    PyObject *type, *value, *traceback, *result;

    if (!token) {
        return 0;
    }
    PyErr_Fetch(&type, &value, &traceback);
    result = PyObject_CallOneArg(task_state(task)->hooks[HOOK_BODY_END], token);
    Py_DECREF(token);
    if (type) {
        PyErr_Clear(); /* the body's own exception tells more */
        PyErr_Restore(type, value, traceback);
    }
    if (!result) {
        return -1;
    }
    Py_DECREF(result);
    return 0;
}
