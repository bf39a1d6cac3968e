/* error.c - exception classes and the way from codes to them. */
#include "error.h"

#include "state.h"

static PyObject *make_class(PyObject *module, const char *name, PyObject *base, PyObject *second_base, const char *doc)
{
    char qualified[64];
    PyObject *bases, *class;

    snprintf(qualified, sizeof qualified, "parla.%s", name);
    bases = second_base ? PyTuple_Pack(2, base, second_base) : PyTuple_Pack(1, base);
    if (!bases) {
        return NULL;
    }
    class = PyErr_NewExceptionWithDoc(qualified, doc, bases, NULL);
    Py_DECREF(bases);
    if (class && PyModule_AddObjectRef(module, name, class) < 0) {
        Py_CLEAR(class);
    }
    return class;
}

int error_init(PyObject *module, module_state *state)
{
    PyObject *base = make_class(module, "ParlaError", PyExc_RuntimeError, NULL, "What all errors of parla derive from.");

    state->exceptions[EXCEPTION_ParlaError] = base;
    if (!base) {
        return -1;
    }
#define X(name, code, second_base, doc)                                                                                            \
    state->exceptions[EXCEPTION_##name] = make_class(module, #name, base, second_base, doc);                                       \
    if (!state->exceptions[EXCEPTION_##name]) {                                                                                    \
        return -1;                                                                                                                 \
    }
    PARLA_EXCEPTIONS(X)
#undef X
    return 0;
}

PyObject *error_class(module_state *state, int code)
{
    switch (code) {
    case PARLA_E_NOMEM:
        return PyExc_MemoryError;
#define X(name, constant, second_base, doc)                                                                                        \
    case PARLA_E_##constant:                                                                                                       \
        return state->exceptions[EXCEPTION_##name];
        PARLA_EXCEPTIONS(X)
#undef X
    default:
        return state->exceptions[EXCEPTION_ParlaError];
    }
}

PyObject *error_raise(module_state *state, int code, const char *what)
{
    const char *detail = parla_error_detail();

    PyErr_Format(error_class(state, code), "%s: %s", what, detail && *detail ? detail : parla_error_text(code));
    return NULL;
}

PyObject *error_format(module_state *state, exception which, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    PyErr_FormatV(state->exceptions[which], format, arguments);
    va_end(arguments);
    return NULL;
}
