/* busy.c - work that takes a given time, with and without the GIL: kernels for tests and benchmarks. */
#include "busy.h"

#include <stdint.h>
#include <time.h>

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void spin(int64_t duration_ns)
{
    int64_t end_ns = now_ns() + duration_ns;

    while (now_ns() < end_ns) {
    }
}

/* Reads microseconds >= 0, at most about 292 years. Returns -1 with an exception set. */
static int64_t read_duration_ns(PyObject *microseconds)
{
    double us = PyFloat_AsDouble(microseconds);

    if (us == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    if (!(us >= 0 && us < 9e15)) {
        PyErr_Format(PyExc_ValueError, "expected microseconds >= 0, not %R", microseconds);
        return -1;
    }
    return (int64_t)(us * 1e3);
}

PyObject *busy_with_gil(PyObject *module, PyObject *microseconds)
{
    int64_t duration_ns = read_duration_ns(microseconds);

    (void)module;
    if (duration_ns < 0) {
        return NULL;
    }
    spin(duration_ns);
    Py_RETURN_NONE;
}

PyObject *busy_without_gil(PyObject *module, PyObject *microseconds)
{
    int64_t duration_ns = read_duration_ns(microseconds);

    (void)module;
    if (duration_ns < 0) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS spin(duration_ns);
    Py_END_ALLOW_THREADS Py_RETURN_NONE;
}
