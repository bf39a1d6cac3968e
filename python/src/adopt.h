/* adopt.h - a task of the library, made by another extension, as a Task. */
#ifndef PARLA_PYTHON_ADOPT_H
#define PARLA_PYTHON_ADOPT_H

#include <Python.h>

/* The name of a capsule that holds a malloc'ed parla_task with one reference. Whoever takes the task sets the name to
 * ADOPT_TAKEN_CAPSULE; the maker's destructor drops the reference of one that nobody took, and frees the memory. */
#define ADOPT_CAPSULE "parla_task"
#define ADOPT_TAKEN_CAPSULE "parla_task (taken)"

/* The module function adopt(capsule, name): a Task that ends as the given one does; its failure becomes this one's. Takes the
 * reference over. */
PyObject *adopt_function(PyObject *module, PyObject *args);

#endif
