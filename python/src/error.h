/* error.h - the library's codes as Python exceptions. The only place where one becomes the other. */
#ifndef PARLA_PYTHON_ERROR_H
#define PARLA_PYTHON_ERROR_H

#include <Python.h>

#include <parla/error.h>

/* X(class, code, second base or NULL, docstring). Each class derives from ParlaError too. */
#define PARLA_EXCEPTIONS(X)                                                                                                        \
    X(InvalidError, INVALID, PyExc_ValueError, "An argument that cannot be meant.")                                                \
    X(StateError, STATE, NULL, "A call that is not possible in this state.")                                                       \
    X(TaskCancelled, CANCELLED, NULL, "The task did not run to its end; `__cause__` is the failure that it follows from.")         \
    X(TaskError, USER, NULL, "A task's body reported a failure without a Python exception.")                                       \
    X(TaskTimeout, TIMEOUT, PyExc_TimeoutError, "A wait took longer than its timeout.")                                            \
    X(NoDeviceError, NO_DEVICE, PyExc_ValueError, "A device that does not exist; the message lists what exists.")                  \
    X(ResourceError, RESOURCES, PyExc_ValueError, "A demand that no device can ever meet.")                                        \
    X(UnsupportedError, UNSUPPORTED, PyExc_NotImplementedError, "Something that this device or build cannot do.")                  \
    X(DeviceError, DEVICE, NULL, "A device reported a failure.")                                                                   \
    X(StuckError, STUCK, NULL, "Tasks wait for something that cannot happen; the message names them.")                             \
    X(SystemCallError, SYSTEM, PyExc_OSError, "The operating system refused something.")                                           \
    X(ConfigError, CONFIG, PyExc_ValueError, "A malformed option or PARLA_* variable.")                                            \
    X(ForkedError, FORKED, NULL, "A runtime was used in a forked child process.")                                                  \
    X(DeviceMemoryError, DEVICE_MEMORY, PyExc_MemoryError, "A device's memory is full.")                                           \
    X(TransportError, TRANSPORT, NULL, "A transfer between ranks failed.")

typedef enum exception {
    EXCEPTION_ParlaError,
#define X(name, code, base, text) EXCEPTION_##name,
    PARLA_EXCEPTIONS(X)
#undef X
        N_EXCEPTIONS
} exception;

struct module_state;

/* Makes the classes and adds them to the module. Returns 0 or -1. */
int error_init(PyObject *module, struct module_state *state);

/* The class for a code. Borrowed. */
PyObject *error_class(struct module_state *state, int code);

/* Raises the exception for a code that a library call has just returned on this thread: "WHAT: detail". Returns NULL. */
PyObject *error_raise(struct module_state *state, int code, const char *what);

/* Raises one of our classes with a formatted message (as PyUnicode_FromFormat). Returns NULL. */
PyObject *error_format(struct module_state *state, exception which, const char *format, ...);

#endif
