/* shim_keys.c - thread-specific data: keys come from the program's own C library.
 *
 * Why: the slots of a thread belong to the thread, which all namespaces share, while each C library numbers its own keys. Left alone, two
 * libraries get the same key, read each other's values, and run each other's destructors.
 *
 * A key outlives its library where the library never deletes it, and its destructor would then be called in unmapped code when a thread
 * ends. So shim_keys_end deletes the keys of the context before its libraries are unloaded. What the closing thread had stored
 * stays readable for the
 * libraries' own destructors, which run after that: from then on only this thread is inside, and its values lie in `kept`.
 *
 * Destructors of thread_local objects: each C library keeps a list for each thread and runs it in threads that it made. For a thread from
 * outside the list of the program's C library is used, and counted, since its entries point into this context. */
#include "vlc/shim_parts.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <threads.h>

/* FREE -> OURS -> FREE by create and delete; OURS -> CLOSED -> FREE at the end. One thread owns each step: who creates, deletes, closes. */
enum { FREE, OURS, CLOSED };
static _Atomic unsigned char state[PTHREAD_KEYS_MAX];
static void *kept[PTHREAD_KEYS_MAX];

static bool is_closed(pthread_key_t key) { return key < PTHREAD_KEYS_MAX && pl_load_relaxed(&state[key]) == CLOSED; }

void shim_keys_end(void)
{
    for (pthread_key_t key = 0; key < PTHREAD_KEYS_MAX; key++) {
        if (pl_load_acquire(&state[key]) != OURS)
            continue;
        kept[key] = pl_vlc_this.outside->key_get(key);
        (void)pl_vlc_this.outside->key_delete(key);
        pl_store_release(&state[key], (unsigned char)CLOSED);
    }
}

/* The libraries are gone: nobody knows the closed keys any more. */
void shim_keys_renew(void)
{
    for (pthread_key_t key = 0; key < PTHREAD_KEYS_MAX; key++)
        if (pl_load_relaxed(&state[key]) == CLOSED)
            pl_store_release(&state[key], (unsigned char)FREE);
}

/* --- Replaced: POSIX --------------------------------------------------------------------------------------------------------- */

SHIM_EXPORT int pthread_key_create(pthread_key_t *out, void (*destroy)(void *))
{
    int error = pl_vlc_this.outside->key_create(out, destroy);
    if (!error)
        pl_store_release(&state[*out], (unsigned char)OURS);
    return error;
}

SHIM_EXPORT int pthread_key_delete(pthread_key_t key)
{
    if (is_closed(key))
        return 0;
    if (key < PTHREAD_KEYS_MAX)
        pl_store_release(&state[key], (unsigned char)FREE); /* before somebody else gets the number */
    return pl_vlc_this.outside->key_delete(key);
}

SHIM_EXPORT void *pthread_getspecific(pthread_key_t key) { return is_closed(key) ? kept[key] : pl_vlc_this.outside->key_get(key); }

SHIM_EXPORT int pthread_setspecific(pthread_key_t key, const void *value)
{
    if (is_closed(key)) {
        kept[key] = (void *)(uintptr_t)value;
        return 0;
    }
    return pl_vlc_this.outside->key_set(key, value);
}

/* The name under which older run-time libraries of compilers look for threads. */
int __pthread_key_create(pthread_key_t *out, void (*destroy)(void *));
SHIM_EXPORT int __pthread_key_create(pthread_key_t *out, void (*destroy)(void *)) { return pthread_key_create(out, destroy); }

/* --- Replaced: C11 ----------------------------------------------------------------------------------------------------------- */

SHIM_EXPORT int tss_create(tss_t *out, tss_dtor_t destroy) { return pthread_key_create(out, destroy) ? thrd_error : thrd_success; }
SHIM_EXPORT void tss_delete(tss_t key) { (void)pthread_key_delete(key); }
SHIM_EXPORT void *tss_get(tss_t key) { return pthread_getspecific(key); }
SHIM_EXPORT int tss_set(tss_t key, void *value) { return pthread_setspecific(key, value) ? thrd_error : thrd_success; }

/* --- Replaced: thread_local objects of C++ ----------------------------------------------------------------------------------- */

typedef struct thread_object {
    void (*destroy)(void *object);
    void *object;
} thread_object;

static _Atomic int n_objects;

int shim_thread_objects(void) { return pl_load_acquire(&n_objects); }

static void destroy_object(void *arg)
{
    thread_object *self = arg;
    shim_inside_add(1);
    self->destroy(self->object);
    shim_inside_add(-1);
    free(self);
    pl_sub_acq_rel(&n_objects, 1);
}

int __cxa_thread_atexit_impl(void (*destroy)(void *), void *object, void *library);
SHIM_EXPORT int __cxa_thread_atexit_impl(void (*destroy)(void *), void *object, void *library)
{
    if (shim_is_made_here() || !pl_vlc_this.outside->at_thread_exit)
        return SHIM_REAL(__cxa_thread_atexit_impl)(destroy, object, library);
    thread_object *self = malloc(sizeof *self);
    if (!self)
        return -1;
    *self = (thread_object){destroy, object};
    pl_add_acq_rel(&n_objects, 1);
    int error = pl_vlc_this.outside->at_thread_exit(destroy_object, self, &n_objects);
    if (error) {
        pl_sub_acq_rel(&n_objects, 1);
        free(self);
    }
    return error;
}
