/* layout_type.c - Layout: an immutable, hashable value over cx_layout. Names and checks that people see are layout.py's business.
 * */
#include "layout_type.h"

#include "convert.h"

static PyObject *wrap(module_state *state, cx_layout *layout)
{
    LayoutObject *self = PyObject_New(LayoutObject, state->layout_type);
    if (!self) {
        cx_layout_unref(layout);
        return NULL;
    }
    self->layout = layout;
    return (PyObject *)self;
}

static void layout_dealloc(LayoutObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    cx_layout_unref(self->layout);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* --- Make --- */

/* sizes: per dimension a number of even parts or a sequence of their lengths. Fills n_parts and lists (to be freed up to *out_n).
 * */
static int read_sizes(PyObject *sizes, int ndim, int64_t *n_parts, int64_t **lists, int *out_n)
{
    *out_n = 0;
    if (!PyTuple_Check(sizes) || PyTuple_GET_SIZE(sizes) != ndim) {
        PyErr_Format(PyExc_ValueError, "sizes: one entry for each of %d dimensions", ndim);
        return -1;
    }
    for (int k = 0; k < ndim; k++) {
        PyObject *entry = PyTuple_GET_ITEM(sizes, k);
        lists[k] = NULL;
        n_parts[k] = PyLong_Check(entry) ? PyLong_AsLongLong(entry) : convert_long_list(entry, &lists[k], "sizes: integers");
        if (n_parts[k] == -1 && PyErr_Occurred()) {
            return -1;
        }
        *out_n = k + 1;
    }
    return 0;
}

/* How many places a period asks for; -1 with an exception if it is not the number given. */
static int check_places(const int64_t *period, int ndim, Py_ssize_t n_places)
{
    int64_t wanted = 1;
    for (int k = 0; k < ndim; k++) {
        if (period[k] < 0 || __builtin_mul_overflow(wanted, period[k], &wanted)) {
            wanted = INT64_MAX;
        }
    }
    if (wanted != n_places) {
        PyErr_Format(PyExc_ValueError, "places: %lld are needed, one for each cell of the grid; got %zd", (long long)wanted,
                     n_places);
        return -1;
    }
    return 0;
}

static PyObject *make_grid(PyObject *module, int ndim, const int64_t *shape, const int64_t *n_parts, int64_t *const *lists,
                           const int64_t *period, PyObject *place_list)
{
    cx_place *places = NULL;
    cx_layout *layout = NULL;
    Py_ssize_t n_places = convert_places(place_list, &places);
    if (n_places < 0 || check_places(period, ndim, n_places) < 0) {
        PyMem_Free(places);
        return NULL;
    }
    int code = cx_layout_grid(&layout, ndim, shape, n_parts, (const int64_t *const *)lists, period, places);
    PyMem_Free(places);
    return code < 0 ? error_raise(code, "layout") : wrap(PyModule_GetState(module), layout);
}

PyObject *layout_grid(PyObject *module, PyObject *args)
{
    PyObject *shape_tuple, *sizes, *period_tuple, *place_list, *result = NULL;
    int64_t shape[CX_MAX_NDIM], n_parts[CX_MAX_NDIM], period[CX_MAX_NDIM], *lists[CX_MAX_NDIM];
    int n_lists;
    if (!PyArg_ParseTuple(args, "OOOO:grid", &shape_tuple, &sizes, &period_tuple, &place_list)) {
        return NULL;
    }
    int ndim = convert_integers(shape_tuple, shape, "shape");
    if (ndim < 0) {
        return NULL;
    }
    int ok = read_sizes(sizes, ndim, n_parts, lists, &n_lists) == 0;
    if (ok && period_tuple != Py_None) {
        ok = convert_integers(period_tuple, period, "period") == ndim;
        if (!ok && !PyErr_Occurred()) {
            PyErr_Format(PyExc_ValueError, "period: one number for each of %d dimensions", ndim);
        }
    }
    if (ok) {
        result = make_grid(module, ndim, shape, n_parts, lists, period_tuple == Py_None ? n_parts : period, place_list);
    }
    for (int k = 0; k < n_lists; k++) {
        PyMem_Free(lists[k]);
    }
    return result;
}

PyObject *layout_block_cyclic(PyObject *module, PyObject *args)
{
    PyObject *tuples[4], *place_list;
    static const char *const names[4] = {"shape", "block", "grid", "source"};
    int64_t values[4][CX_MAX_NDIM];
    if (!PyArg_ParseTuple(args, "OOOOO:block_cyclic", &tuples[0], &tuples[1], &tuples[2], &tuples[3], &place_list)) {
        return NULL;
    }
    int ndim = convert_integers(tuples[0], values[0], names[0]);
    for (int i = 1; ndim >= 0 && i < 4; i++) {
        int n = convert_integers(tuples[i], values[i], names[i]);
        if (n >= 0 && n != ndim) {
            PyErr_Format(PyExc_ValueError, "%s: one number for each of %d dimensions, got %d", names[i], ndim, n);
        }
        if (n != ndim) {
            return NULL;
        }
    }
    cx_place *places = NULL;
    Py_ssize_t n_places = ndim < 0 ? -1 : convert_places(place_list, &places);
    if (n_places < 0 || check_places(values[2], ndim, n_places) < 0) {
        PyMem_Free(places);
        return NULL;
    }
    cx_layout *layout = NULL;
    int code = cx_layout_block_cyclic(&layout, ndim, values[0], values[1], values[2], values[3], places);
    PyMem_Free(places);
    return code < 0 ? error_raise(code, "layout") : wrap(PyModule_GetState(module), layout);
}

PyObject *layout_parse(PyObject *module, PyObject *text)
{
    cx_layout *layout = NULL;
    const char *utf8 = PyUnicode_AsUTF8(text);
    if (!utf8) {
        return NULL;
    }
    int code = cx_layout_parse(&layout, utf8);
    return code < 0 ? error_raise(code, "parse_layout") : wrap(PyModule_GetState(module), layout);
}

static PyObject *layout_view(LayoutObject *self, PyObject *args)
{
    PyObject *box, *axes;
    cx_view view = {.layout = self->layout};
    cx_layout *layout = NULL;
    if (!PyArg_ParseTuple(args, "OO:view", &box, &axes) || convert_view(box, axes, &view) < 0) {
        return NULL;
    }
    int code = cx_layout_of_view(&layout, &view);
    return code < 0 ? error_raise(code, "layout of a view") : wrap(state_of_type(Py_TYPE(self)), layout);
}

/* --- Look --- */

static PyObject *layout_shape(LayoutObject *self, void *unused)
{
    int64_t shape[CX_MAX_NDIM];
    int ndim = cx_layout_ndim(self->layout);
    (void)unused;
    for (int k = 0; k < ndim; k++) {
        shape[k] = cx_layout_extent(self->layout, k);
    }
    return convert_to_integers(shape, ndim);
}

static PyObject *layout_grid_shape(LayoutObject *self, void *unused)
{
    int64_t grid[CX_MAX_NDIM];
    int ndim = cx_layout_ndim(self->layout);
    (void)unused;
    for (int k = 0; k < ndim; k++) {
        grid[k] = cx_layout_n_parts(self->layout, k);
    }
    return convert_to_integers(grid, ndim);
}

static PyObject *layout_n_blocks(LayoutObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromLongLong(cx_layout_n_blocks(self->layout));
}

static PyObject *layout_text(LayoutObject *self, void *unused)
{
    (void)unused;
    size_t length = cx_layout_format(self->layout, NULL, 0);
    char *text = PyMem_Malloc(length + 1);
    if (!text) {
        return PyErr_NoMemory();
    }
    cx_layout_format(self->layout, text, length + 1);
    PyObject *result = PyUnicode_FromStringAndSize(text, (Py_ssize_t)length);
    PyMem_Free(text);
    return result;
}

static PyObject *layout_places(LayoutObject *self, void *unused)
{
    (void)unused;
    Py_ssize_t n = (Py_ssize_t)cx_layout_n_places(self->layout);
    PyObject *result = PyTuple_New(n);
    for (Py_ssize_t i = 0; result && i < n; i++) {
        PyObject *item = Py_BuildValue("(NL)", convert_to_place(cx_layout_place(self->layout, (size_t)i)),
                                       (long long)cx_layout_place_items(self->layout, (size_t)i));
        if (!item) {
            Py_CLEAR(result);
        } else {
            PyTuple_SET_ITEM(result, i, item);
        }
    }
    return result;
}

static PyObject *layout_block(LayoutObject *self, PyObject *number)
{
    cx_block block;
    long long i_block = PyLong_AsLongLong(number);
    if (i_block == -1 && PyErr_Occurred()) {
        return NULL;
    }
    int code = cx_layout_block(self->layout, i_block, &block);
    if (code < 0) {
        return error_raise(code, "block");
    }
    int ndim = block.box.ndim;
    int64_t offset[CX_MAX_NDIM], extent[CX_MAX_NDIM];
    for (int k = 0; k < ndim; k++) {
        offset[k] = block.box.range[k].start;
        extent[k] = block.box.range[k].stop - block.box.range[k].start;
    }
    return Py_BuildValue("(NNNN)", convert_to_integers(offset, ndim), convert_to_integers(extent, ndim),
                         convert_to_integers(block.coords, ndim), convert_to_place(block.place));
}

typedef int (*find_function)(const cx_layout *layout, const int64_t *index, int64_t *out);

static PyObject *find(LayoutObject *self, PyObject *tuple, find_function function, const char *what)
{
    int64_t index[CX_MAX_NDIM], i_block;
    int n = convert_integers(tuple, index, what);
    if (n >= 0 && n != cx_layout_ndim(self->layout)) {
        PyErr_Format(PyExc_IndexError, "%s: %d numbers for a layout of %d dimensions", what, n, cx_layout_ndim(self->layout));
    }
    if (n != cx_layout_ndim(self->layout)) {
        return NULL;
    }
    int code = function(self->layout, index, &i_block);
    if (code < 0) {
        error_raise(code, what);
        return NULL;
    }
    return PyLong_FromLongLong(i_block);
}

static PyObject *layout_block_at(LayoutObject *self, PyObject *coords)
{
    return find(self, coords, cx_layout_block_at, "coordinates");
}

static PyObject *layout_find(LayoutObject *self, PyObject *index) { return find(self, index, cx_layout_find, "index"); }

static PyObject *layout_of_rank(LayoutObject *self, PyObject *number)
{
    long rank = PyLong_AsLong(number);
    PyObject *list = PyList_New(0);
    if (!list || (rank == -1 && PyErr_Occurred())) {
        Py_XDECREF(list);
        return NULL;
    }
    for (int64_t i = cx_layout_next_of_rank(self->layout, (int)rank, 0); i >= 0;
         i = cx_layout_next_of_rank(self->layout, (int)rank, i + 1)) {
        PyObject *item = PyLong_FromLongLong(i);
        if (!item || PyList_Append(list, item) < 0) {
            Py_XDECREF(item);
            Py_DECREF(list);
            return NULL;
        }
        Py_DECREF(item);
    }
    return list;
}

static PyObject *layout_parts(LayoutObject *self, PyObject *number)
{
    long axis = PyLong_AsLong(number);
    if (axis == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (axis < 0 || axis >= cx_layout_ndim(self->layout)) {
        return PyErr_Format(PyExc_IndexError, "no dimension %ld in a layout of %d", axis, cx_layout_ndim(self->layout));
    }
    int64_t n = cx_layout_n_parts(self->layout, (int)axis);
    PyObject *result = PyTuple_New((Py_ssize_t)n);
    for (int64_t i = 0; result && i < n; i++) {
        parla_range part = cx_layout_part(self->layout, (int)axis, i);
        PyObject *item = PyLong_FromLongLong(part.stop - part.start);
        if (!item) {
            Py_CLEAR(result);
        } else {
            PyTuple_SET_ITEM(result, (Py_ssize_t)i, item);
        }
    }
    return result;
}

static PyObject *layout_compare(PyObject *self, PyObject *other, int op)
{
    if (Py_TYPE(self) != Py_TYPE(other) || (op != Py_EQ && op != Py_NE)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    bool is_equal = cx_layout_equal(((LayoutObject *)self)->layout, ((LayoutObject *)other)->layout);
    return PyBool_FromLong(is_equal == (op == Py_EQ));
}

static Py_hash_t layout_hash(LayoutObject *self)
{
    Py_hash_t hash = (Py_hash_t)cx_layout_hash(self->layout);
    return hash == -1 ? -2 : hash;
}

static PyMethodDef methods[] = {
    {"view", (PyCFunction)layout_view, METH_VARARGS, "view(box, axes) -> the Layout of a view."},
    {"block", (PyCFunction)layout_block, METH_O, "block(i) -> (offset, extent, coordinates, place)."},
    {"block_at", (PyCFunction)layout_block_at, METH_O, "block_at(coordinates) -> number of the block."},
    {"find", (PyCFunction)layout_find, METH_O, "find(index) -> number of the block that holds an element."},
    {"of_rank", (PyCFunction)layout_of_rank, METH_O, "of_rank(rank) -> list of the numbers of its blocks."},
    {"parts", (PyCFunction)layout_parts, METH_O, "parts(axis) -> tuple of the lengths of the intervals."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef getset[] = {
    {"shape", (getter)layout_shape, NULL, "Extents of the array.", NULL},
    {"grid", (getter)layout_grid_shape, NULL, "Number of intervals of each dimension.", NULL},
    {"n_blocks", (getter)layout_n_blocks, NULL, "Number of blocks.", NULL},
    {"text", (getter)layout_text, NULL, "The layout as text that parse() reads.", NULL},
    {"places", (getter)layout_places, NULL, "Tuple of (place, number of elements there).", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject *layout_type_make(PyObject *module)
{
    PyType_Slot slots[] = {
        {Py_tp_dealloc, layout_dealloc},     {Py_tp_methods, methods},  {Py_tp_getset, getset},
        {Py_tp_richcompare, layout_compare}, {Py_tp_hash, layout_hash}, {0, NULL},
    };
    PyType_Spec spec = {.name = "crosspy._crosspy.Layout",
                        .basicsize = sizeof(LayoutObject),
                        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                        .slots = slots};
    return (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
}
