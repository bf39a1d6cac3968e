/* module.c - the extension _crosspy: layouts and plans for the package crosspy, which gives them their public form. */
#include "convert.h"
#include "layout_type.h"
#include "plan_type.h"

/* How many plans are remembered. A plan takes a few hundred bytes and the cuts of its layouts. */
#define N_PLANS 256

static PyObject *boxes_overlap(PyObject *module, PyObject *args)
{
    PyObject *first, *second;
    cx_box a, b;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO:boxes_overlap", &first, &second) || convert_box(first, &a) < 0 || convert_box(second, &b) < 0) {
        return NULL;
    }
    if (a.ndim != b.ndim) {
        PyErr_SetString(PyExc_ValueError, "boxes of different dimensions");
        return NULL;
    }
    cx_box both = cx_box_intersect(&a, &b);
    return PyBool_FromLong(!cx_box_is_empty(&both));
}

static PyObject *plan_cache_info(PyObject *module, PyObject *unused)
{
    module_state *state = PyModule_GetState(module);
    cx_plan_cache_info info = {.size = sizeof info};
    int code = cx_plan_cache_query(state->plans, &info);
    (void)unused;
    return code < 0 ? error_raise(code, "plan cache")
                    : Py_BuildValue("{s:n,s:K,s:K}", "plans", (Py_ssize_t)info.n_plans, "hits", (unsigned long long)info.n_hits,
                                    "misses", (unsigned long long)info.n_misses);
}

static PyMethodDef functions[] = {
    {"grid", layout_grid, METH_VARARGS,
     "grid(shape, sizes, period, places) -> Layout. sizes: per dimension a number of even parts or their lengths."},
    {"block_cyclic", layout_block_cyclic, METH_VARARGS, "block_cyclic(shape, block, grid, source, places) -> Layout."},
    {"parse", layout_parse, METH_O, "parse(text) -> Layout."},
    {"plan", plan_get, METH_VARARGS,
     "plan(dst, dst_box, dst_axes, src, src_box, src_axes, item_bytes) -> Plan, the same one for the same arguments."},
    {"boxes_overlap", boxes_overlap, METH_VARARGS, "boxes_overlap(a, b) -> whether two boxes have an element in common."},
    {"plan_cache_info", plan_cache_info, METH_NOARGS, "plan_cache_info() -> dict of plans, hits, misses."},
    {NULL, NULL, 0, NULL},
};

static int module_exec(PyObject *module)
{
    module_state *state = PyModule_GetState(module);
    int code = cx_plan_cache_create(&state->plans, N_PLANS);
    if (code < 0) {
        error_raise(code, "plan cache");
        return -1;
    }
    PyTypeObject *(*const makers[])(PyObject *) = {layout_type_make, plan_type_make, blocks_type_make, tracked_type_make,
                                                   flow_type_make};
    PyTypeObject **const places[] = {&state->layout_type, &state->plan_type, &state->blocks_type, &state->tracked_type,
                                     &state->flow_type};
    for (size_t i = 0; i < sizeof makers / sizeof makers[0]; i++) {
        *places[i] = makers[i](module);
        if (!*places[i] || PyModule_AddType(module, *places[i]) < 0) {
            return -1;
        }
    }
    return PyModule_AddIntConstant(module, "ARCH_CPU", PARLA_ARCH_CPU) < 0 ||
                   PyModule_AddIntConstant(module, "ARCH_GPU", PARLA_ARCH_GPU) < 0 ||
                   PyModule_AddIntConstant(module, "MAX_NDIM", CX_MAX_NDIM) < 0
               ? -1
               : 0;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    module_state *state = PyModule_GetState(module);
    Py_VISIT(state->layout_type);
    Py_VISIT(state->plan_type);
    Py_VISIT(state->blocks_type);
    Py_VISIT(state->tracked_type);
    Py_VISIT(state->flow_type);
    return 0;
}

static int module_clear(PyObject *module)
{
    module_state *state = PyModule_GetState(module);
    Py_CLEAR(state->layout_type);
    Py_CLEAR(state->plan_type);
    Py_CLEAR(state->blocks_type);
    Py_CLEAR(state->tracked_type);
    Py_CLEAR(state->flow_type);
    return 0;
}

static void module_free(void *module)
{
    module_state *state = PyModule_GetState(module);
    module_clear(module);
    cx_plan_cache_destroy(state->plans);
    state->plans = NULL;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,          .m_name = "_crosspy",    .m_doc = "Layouts and transfer plans in C.",
    .m_size = sizeof(module_state), .m_methods = functions,  .m_slots = slots,
    .m_traverse = module_traverse,  .m_clear = module_clear, .m_free = module_free,
};

PyMODINIT_FUNC PyInit__crosspy(void) { return PyModuleDef_Init(&definition); }
