/* plan_type.c - Plan: transfers between two views, looked at and carried out. */
#include "plan_type.h"

#include "convert.h"
#include "layout_type.h"

static void plan_dealloc(PlanObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    cx_plan_unref(self->plan);
    PyObject_Free(self);
    Py_DECREF(type);
}

PyObject *plan_get(PyObject *module, PyObject *args)
{
    module_state *state = PyModule_GetState(module);
    PyObject *dst_layout, *dst_box, *dst_axes, *src_layout, *src_box, *src_axes;
    Py_ssize_t item_bytes;
    if (!PyArg_ParseTuple(args, "O!OOO!OOn:plan", state->layout_type, &dst_layout, &dst_box, &dst_axes, state->layout_type,
                          &src_layout, &src_box, &src_axes, &item_bytes)) {
        return NULL;
    }
    cx_view dst = {.layout = ((LayoutObject *)dst_layout)->layout}, src = {.layout = ((LayoutObject *)src_layout)->layout};
    if (convert_view(dst_box, dst_axes, &dst) < 0 || convert_view(src_box, src_axes, &src) < 0) {
        return NULL;
    }
    cx_plan *plan = NULL;
    int code = cx_plan_cache_get(state->plans, &plan, &dst, &src, (size_t)item_bytes);
    if (code < 0) {
        return error_raise(code, "assignment");
    }
    PlanObject *self = PyObject_New(PlanObject, state->plan_type);
    if (!self) {
        cx_plan_unref(plan);
        return NULL;
    }
    self->plan = plan;
    return (PyObject *)self;
}

static PyObject *plan_transfers(PlanObject *self, PyObject *unused)
{
    int64_t n = cx_plan_n_transfers(self->plan);
    PyObject *list = PyList_New((Py_ssize_t)n);
    (void)unused;
    for (int64_t i = 0; list && i < n; i++) {
        cx_transfer t;
        cx_plan_transfer(self->plan, i, &t);
        PyObject *item =
            Py_BuildValue("(LNLNn)", (long long)t.dst_block, convert_to_box(&t.dst_box), (long long)t.src_block,
                          convert_to_box(&t.src_box), (Py_ssize_t)t.n_items * (Py_ssize_t)cx_plan_item_bytes(self->plan));
        if (!item) {
            Py_CLEAR(list);
        } else {
            PyList_SET_ITEM(list, (Py_ssize_t)i, item);
        }
    }
    return list;
}

static PyObject *links_to_list(const cx_link *links, size_t n)
{
    PyObject *list = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; list && i < n; i++) {
        PyObject *item = Py_BuildValue("(NNLL)", convert_to_place(links[i].src), convert_to_place(links[i].dst),
                                       (long long)links[i].n_transfers, (long long)links[i].n_bytes);
        if (!item) {
            Py_CLEAR(list);
        } else {
            PyList_SET_ITEM(list, (Py_ssize_t)i, item);
        }
    }
    return list;
}

static PyObject *plan_links(PlanObject *self, PyObject *unused)
{
    size_t n;
    (void)unused;
    int code = cx_plan_links(self->plan, NULL, 0, &n);
    cx_link *links = code < 0 ? NULL : PyMem_New(cx_link, n + 1);
    if (code == 0 && !links) {
        return PyErr_NoMemory();
    }
    code = code < 0 ? code : cx_plan_links(self->plan, links, n, &n);
    PyObject *result = code < 0 ? error_raise(code, "links") : links_to_list(links, n);
    PyMem_Free(links);
    return result;
}

/* True if some transfer is from a block to the block of the same number: what matters when both views are of one array. */
static PyObject *plan_stays_in_a_block(PlanObject *self, PyObject *unused)
{
    (void)unused;
    for (int64_t i = 0; i < cx_plan_n_transfers(self->plan); i++) {
        cx_transfer t;
        cx_plan_transfer(self->plan, i, &t);
        if (t.dst_block == t.src_block) {
            Py_RETURN_TRUE;
        }
    }
    Py_RETURN_FALSE;
}

static int check_blocks(const cx_view *view, const BlocksObject *blocks, const char *which)
{
    int64_t n = cx_layout_n_blocks(view->layout);
    if (blocks->n != n) {
        PyErr_Format(PyExc_ValueError, "%s: %zd arrays for %lld blocks", which, blocks->n, (long long)n);
        return -1;
    }
    return 0;
}

int plan_check_blocks(const PlanObject *self, const BlocksObject *dst, const BlocksObject *src)
{
    return check_blocks(cx_plan_dst(self->plan), dst, "destination") < 0 ? -1
                                                                         : check_blocks(cx_plan_src(self->plan), src, "source");
}

static PyObject *plan_run(PlanObject *self, PyObject *args)
{
    module_state *state = state_of_type(Py_TYPE(self));
    PyObject *capsule;
    BlocksObject *dst, *src;
    cx_run run = CX_RUN_INIT;
    int is_local = 0;
    if (!PyArg_ParseTuple(args, "OO!O!i|p:run", &capsule, state->blocks_type, &dst, state->blocks_type, &src, &run.rank,
                          &is_local)) {
        return NULL;
    }
    run.flags = is_local ? CX_RUN_LOCAL : 0;
    if (plan_check_blocks(self, dst, src) < 0) {
        return NULL;
    }
    run.dst = dst->data;
    run.src = src->data;
    int code;
    if (capsule == Py_None) {
        Py_BEGIN_ALLOW_THREADS;
        code = cx_plan_run_now(self->plan, &run);
        Py_END_ALLOW_THREADS;
    } else {
        parla_runtime *rt = PyCapsule_GetPointer(capsule, "parla_runtime");
        if (!rt) {
            return NULL;
        }
        code = cx_plan_run(self->plan, rt, &run, NULL, NULL); /* with the GIL, so that the runtime is not stopped meanwhile */
    }
    return code < 0 ? error_raise(code, "copying blocks") : Py_NewRef(Py_None);
}

static PyObject *plan_n_transfers(PlanObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromLongLong(cx_plan_n_transfers(self->plan));
}

static PyMethodDef methods[] = {
    {"transfers", (PyCFunction)plan_transfers, METH_NOARGS,
     "transfers() -> list of (destination block, box in it, source block, box in it, bytes)."},
    {"links", (PyCFunction)plan_links, METH_NOARGS, "links() -> list of (from place, to place, transfers, bytes)."},
    {"stays_in_a_block", (PyCFunction)plan_stays_in_a_block, METH_NOARGS,
     "stays_in_a_block() -> whether a transfer is from a block to the one of the same number."},
    {"run", (PyCFunction)plan_run, METH_VARARGS,
     "run(runtime capsule or None, destination Blocks, source Blocks, rank, is_local=False): spawn the copies, or with None copy now."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef getset[] = {
    {"n_transfers", (getter)plan_n_transfers, NULL, "Number of copies.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject *plan_type_make(PyObject *module)
{
    PyType_Slot slots[] = {
        {Py_tp_dealloc, plan_dealloc},
        {Py_tp_methods, methods},
        {Py_tp_getset, getset},
        {0, NULL},
    };
    PyType_Spec spec = {.name = "crosspy._crosspy.Plan",
                        .basicsize = sizeof(PlanObject),
                        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                        .slots = slots};
    return (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}
