/* shim_keys.c - thread-specific data: keys come from the program's own C library.
 *
 * Why: the slots of a thread belong to the thread, which all namespaces share, while each C library numbers its own keys. Left alone, two
 * libraries get the same key, read each other's values, and run each other's destructors.
 *
 * Values of threads from outside lie in the thread's slots, and the program's C library runs the destructors when such a thread ends. A
 * thread that was made here ends in this namespace's C library, which knows nothing of the keys and would free the program's blocks of slots
 * in its own heap: its values lie in a table of the thread (`mine`), and shim_keys_thread_end runs the destructors.
 *
 * A key outlives its library where the library never deletes it, and its destructor would then be called in unmapped code when a thread
 * ends. So shim_keys_end deletes the keys of the context before its libraries are unloaded. What the closing thread had stored stays readable
 * for the libraries' own destructors, which run after that: from then on only this thread is inside, and its values lie in `kept`.
 *
 * Destructors of thread_local objects: each C library keeps a list for each thread and runs it in threads that it made. For a thread from
 * outside the list of the program's C library is used, and counted, since its entries point into this context. */
#include "vlc/shim_parts.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <threads.h>

/* FREE -> OURS -> FREE by create and delete; OURS -> CLOSED -> FREE at the end. One thread owns each step: who creates, deletes, closes. */
enum { FREE, OURS, CLOSED };
static _Atomic unsigned char state[PTHREAD_KEYS_MAX];
static void *kept[PTHREAD_KEYS_MAX];

/* Of a key that is OURS: written before it is. A number that is given again has another serial, which old values do not match. */
static void (*destructors[PTHREAD_KEYS_MAX])(void *);
static _Atomic unsigned serials[PTHREAD_KEYS_MAX];

typedef struct value {
    void *pointer;
    unsigned serial;
} value;

/* PTHREAD_KEYS_MAX values of a thread that was made here, from its first one on. Mapped: `malloc` may be a library's that has keys itself. */
static __thread value *mine;

static bool is_closed(pthread_key_t key) { return key < PTHREAD_KEYS_MAX && pl_load_relaxed(&state[key]) == CLOSED; }

/* Has the calling thread a table of its own for this key? */
static bool is_mine(pthread_key_t key)
{
    return shim_is_made_here() && key < PTHREAD_KEYS_MAX && pl_load_acquire(&state[key]) == OURS;
}

static void *get_mine(pthread_key_t key)
{
    return mine && mine[key].serial == pl_load_relaxed(&serials[key]) ? mine[key].pointer : NULL;
}

static int set_mine(pthread_key_t key, void *pointer)
{
    if (!mine && pointer) {
        void *table = mmap(NULL, PTHREAD_KEYS_MAX * sizeof *mine, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (table == MAP_FAILED)
            return ENOMEM;
        mine = table;
    }
    if (mine)
        mine[key] = (value){pointer, pl_load_relaxed(&serials[key])};
    return 0;
}

/* Calls the destructors of all values once. They may set values again: returns whether there was any. */
static bool destroy_mine(void)
{
    bool is_any = false;
    for (pthread_key_t key = 0; key < PTHREAD_KEYS_MAX; key++) {
        void *pointer = mine[key].pointer;
        if (!pointer || !is_mine(key) || !get_mine(key) || !destructors[key])
            continue;
        mine[key].pointer = NULL;
        destructors[key](pointer);
        is_any = true;
    }
    return is_any;
}

void shim_keys_thread_end(void)
{
    if (!mine)
        return;
    for (int round = 0; round < PTHREAD_DESTRUCTOR_ITERATIONS && destroy_mine(); round++)
        ;
    munmap(mine, PTHREAD_KEYS_MAX * sizeof *mine);
    mine = NULL;
}

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
    if (!error) {
        destructors[*out] = destroy;
        pl_add_relaxed(&serials[*out], 1);
        pl_store_release(&state[*out], (unsigned char)OURS);
    }
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

SHIM_EXPORT void *pthread_getspecific(pthread_key_t key)
{
    if (is_closed(key))
        return kept[key];
    return is_mine(key) ? get_mine(key) : pl_vlc_this.outside->key_get(key);
}

SHIM_EXPORT int pthread_setspecific(pthread_key_t key, const void *pointer)
{
    if (is_closed(key)) {
        kept[key] = (void *)(uintptr_t)pointer;
        return 0;
    }
    return is_mine(key) ? set_mine(key, (void *)(uintptr_t)pointer) : pl_vlc_this.outside->key_set(key, pointer);
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
