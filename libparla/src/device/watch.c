/* watch.c - see the header. A list, a lock, a thread that sleeps while the list is empty. The lock is a leaf: it is held neither while the
 * thread waits for an event nor during a callback, so callbacks may push further items. */
#include "device/watch.h"

#include "base/error.h"
#include "device/thread.h"

#include <pthread.h>
#include <stdlib.h>

struct pl_watch {
    const parla_backend *backend;
    pthread_t thread;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t grown; /* the list or is_closing changed */
    pl_watch_item *first;
    pl_watch_item **last; /* where the next item is linked in */
    bool is_closing;
};

static pl_watch_item *take(pl_watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    while (!watch->first && !watch->is_closing)
        pthread_cond_wait(&watch->grown, &watch->lock);
    pl_watch_item *item = watch->first;
    if (item) {
        watch->first = item->next;
        if (!watch->first)
            watch->last = &watch->first;
    }
    pthread_mutex_unlock(&watch->lock);
    return item;
}

static void *run(void *arg)
{
    pl_watch *watch = arg;
    pl_watch_item *item;
    while ((item = take(watch)) != NULL) {
        (void)watch->backend->event_wait(item->event); /* the callback asks the event how it went */
        item->function(item->arg);
    }
    return NULL;
}

int pl_watch_open(pl_watch **out, const parla_backend *backend)
{
    pl_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return pl_error_set(PARLA_E_NOMEM, "no memory for the thread that watches copies");
    watch->backend = backend;
    watch->last = &watch->first;
    pthread_mutex_init(&watch->lock, NULL);
    pthread_cond_init(&watch->grown, NULL);
    int rc = pl_thread_start(&watch->thread, "parla-copies", run, watch);
    if (rc < 0) {
        pthread_cond_destroy(&watch->grown);
        pthread_mutex_destroy(&watch->lock);
        free(watch);
        return rc;
    }
    *out = watch;
    return 0;
}

void pl_watch_close(pl_watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    watch->is_closing = true;
    pthread_cond_signal(&watch->grown);
    pthread_mutex_unlock(&watch->lock);
    pthread_join(watch->thread, NULL);
    pthread_cond_destroy(&watch->grown);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}

void pl_watch_push(pl_watch *watch, pl_watch_item *item)
{
    item->next = NULL;
    pthread_mutex_lock(&watch->lock);
    *watch->last = item;
    watch->last = &item->next;
    pthread_cond_signal(&watch->grown);
    pthread_mutex_unlock(&watch->lock);
}
