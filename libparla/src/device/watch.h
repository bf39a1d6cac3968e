/* watch.h - a thread that waits for events in turn and calls back: how the end of device work is noticed where a backend cannot call. */
#ifndef PL_DEVICE_WATCH_H
#define PL_DEVICE_WATCH_H

#include <parla/backend.h>

typedef struct pl_watch pl_watch;

/* One event to wait for; the caller's memory until function is called. */
typedef struct pl_watch_item {
    void *event;
    void (*function)(void *arg);
    void *arg;
    struct pl_watch_item *next; /* of the watch */
} pl_watch_item;

/* Starts the thread. Errors: PARLA_E_NOMEM, PARLA_E_SYSTEM. */
PARLA_MUST_USE int pl_watch_open(pl_watch **out, const parla_backend *backend);

/* Waits until all items have been called, then ends the thread. From: not that thread. */
void pl_watch_close(pl_watch *watch);

/* Calls item->function on the watch's thread once the event has passed. Items are served in the order of the calls, so give it the events
 * of one queue. Cannot fail. */
void pl_watch_push(pl_watch *watch, pl_watch_item *item);

#endif
