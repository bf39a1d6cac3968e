/* error.c - the library's codes as the exceptions of the package parla, which has a class for each. */
#include "state.h"

#include <parla/error.h>

/* Name of parla's class for a code; NULL: Python's MemoryError. */
static const char *class_name(int code)
{
    switch (code) {
    case PARLA_E_INVALID:
        return "InvalidError";
    case PARLA_E_NOMEM:
        return NULL;
    case PARLA_E_STATE:
        return "StateError";
    case PARLA_E_NO_DEVICE:
        return "NoDeviceError";
    case PARLA_E_RESOURCES:
        return "ResourceError";
    case PARLA_E_DEVICE_MEMORY:
        return "DeviceMemoryError";
    case PARLA_E_TRANSPORT:
        return "TransportError";
    default:
        return "ParlaError";
    }
}

PyObject *error_raise(int code, const char *what)
{
    char message[1200]; /* the import below may call the library */
    const char *detail = parla_error_detail(), *name = class_name(code);

    snprintf(message, sizeof message, "%s: %s", what, *detail ? detail : parla_error_text(code));
    PyObject *module = name ? PyImport_ImportModule("parla._parla") : NULL;
    PyObject *class = module ? PyObject_GetAttrString(module, name) : name ? NULL : Py_NewRef(PyExc_MemoryError);
    if (class) {
        PyErr_SetString(class, message);
    }
    Py_XDECREF(class);
    Py_XDECREF(module);
    return NULL;
}
