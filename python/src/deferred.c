/* deferred.c - a stack that any thread pushes to and that a thread with the GIL takes whole.
 *
 * Push is a compare-and-swap, taking is one exchange: a taken chain belongs to the taker alone, so a node that is reused (a task that
 * is spawned again) cannot be confused with its former self. Settling may run Python code that drains again; it then sees only what was
 * pushed meanwhile. */
#include "deferred.h"

#include <stdatomic.h>
#include <stddef.h>

void deferred_push(deferred_list *list, deferred *node)
{
    deferred *head = atomic_load_explicit(&list->head, memory_order_relaxed);

    do {
        node->next = head;
        /* Sequentially consistent: see notifier.h, which pairs this with the count of watchers. */
    } while (!atomic_compare_exchange_weak_explicit(&list->head, &head, node, memory_order_seq_cst, memory_order_relaxed));
}

static deferred *take_oldest_first(deferred_list *list)
{
    /* Pairs with the exchange in deferred_push: what was written to a node before it was pushed is seen here. */
    deferred *newest = atomic_exchange_explicit(&list->head, NULL, memory_order_seq_cst);
    deferred *oldest = NULL;

    while (newest) {
        deferred *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

void deferred_drain(deferred_list *list)
{
    PyObject *type, *value, *traceback;
    deferred *node;

    if (!atomic_load_explicit(&list->head, memory_order_seq_cst)) {
        return;
    }
    PyErr_Fetch(&type, &value, &traceback);
    node = take_oldest_first(list);
    while (node) {
        deferred *next = node->next;

        node->settle(node);
        node = next;
    }
    PyErr_Restore(type, value, traceback);
}

static void settle_object(deferred *node)
{
    deferred_object *self = (deferred_object *)node;
    PyObject *object = self->object;

    PyMem_RawFree(self);
    Py_DECREF(object);
}

deferred_object *deferred_object_new(deferred_list *list, PyObject *object)
{
    deferred_object *self = PyMem_RawMalloc(sizeof(*self));

    if (!self) {
        PyErr_NoMemory();
        return NULL;
    }
    self->node.settle = settle_object;
    self->list = list;
    self->object = Py_NewRef(object);
    return self;
}

void deferred_object_release(void *node)
{
    deferred_object *self = node;

    deferred_push(self->list, &self->node);
}
