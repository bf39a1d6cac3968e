/* deferred.h - work that needs the GIL, left by threads that do not have it.
 *
 * The runtime ends tasks and drops arrays on threads of its own, perhaps with locks held: taking the GIL there could deadlock against a
 * thread that holds the GIL and wants the lock. Such a thread pushes a node here instead, and whoever holds the GIL next settles it. */
#ifndef PARLA_PYTHON_DEFERRED_H
#define PARLA_PYTHON_DEFERRED_H

#include <Python.h>

typedef struct deferred deferred;

/* Does the work of a node and disposes of the node. From: a thread with the GIL. */
typedef void (*deferred_settle)(deferred *node);

struct deferred {
    deferred *next;
    deferred_settle settle;
};

typedef struct deferred_list {
    _Atomic(deferred *) head;
} deferred_list;

/* From: any thread, with or without the GIL. The node may be gone when this returns. */
void deferred_push(deferred_list *list, deferred *node);

/* Settles everything pushed so far, oldest first. Keeps a pending exception. From: a thread with the GIL. */
void deferred_drain(deferred_list *list);

/* A node that drops a reference to an object. */
typedef struct deferred_object {
    deferred node;
    deferred_list *list;
    PyObject *object;
} deferred_object;

/* Takes a reference of its own to `object`. Returns NULL with an exception set if memory is out. */
deferred_object *deferred_object_new(deferred_list *list, PyObject *object);

/* Gives the reference up: the form that the library calls back (`release(ctx)`). From: any thread. */
void deferred_object_release(void *node);

#endif
