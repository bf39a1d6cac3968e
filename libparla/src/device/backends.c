/* backends.c - the registry of device kinds, one for the process.
 *
 * Kinds are only ever added, and a table of functions is constant, so a pointer that was found stays good without a lock. One mutex guards
 * the list itself; nothing is called while it is held. */
#include "device/backends.h"

#include "base/error.h"
#include "base/lock.h"
#include "base/text.h"
#include "device/module.h"

#include <string.h>

#define MAX_KINDS 16

static pl_lock lock = PL_LOCK_INIT(NULL);
static const parla_backend *kinds[MAX_KINDS] = {&pl_backend_cpu, &pl_backend_sim};
static int n_kinds = 2;

/* Kinds are words of the device string, so they are spelt like its words; "auto" is taken there. */
static bool is_kind_name(const char *kind)
{
    return kind && kind[0] >= 'a' && kind[0] <= 'z' && kind[strspn(kind, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0' &&
           strlen(kind) < 16 && strcmp(kind, "auto") != 0;
}

static bool is_complete(const parla_backend *b)
{
    return b->probe && b->open && b->close && b->alloc && b->free && b->queue_alloc && b->queue_free && b->host_alloc &&
           b->host_free && b->copy && b->fill && b->queue_open && b->queue_close && b->event_record && b->event_query &&
           b->queue_wait && b->event_wait && b->event_free && b->queue_native;
}

/* Needs the lock. */
static const parla_backend *find_locked(const char *kind)
{
    for (int i = 0; i < n_kinds; i++)
        if (strcmp(kinds[i]->kind, kind) == 0)
            return kinds[i];
    return NULL;
}

static int add_locked(const parla_backend *backend)
{
    if (find_locked(backend->kind))
        return pl_error_set(PARLA_E_STATE, "a backend of kind \"%s\" is registered already", backend->kind);
    if (n_kinds == MAX_KINDS)
        return pl_error_set(PARLA_E_STATE, "no more than %d kinds of device can be registered", MAX_KINDS);
    kinds[n_kinds++] = backend;
    return 0;
}

int parla_backend_register(const parla_backend *backend)
{
    if (!backend)
        return pl_error_set(PARLA_E_INVALID, "the backend is NULL");
    if (backend->abi != PARLA_BACKEND_ABI)
        return pl_error_set(PARLA_E_INVALID, "the backend was built for ABI %u; this library has %d", (unsigned)backend->abi,
                            PARLA_BACKEND_ABI);
    if (!is_kind_name(backend->kind))
        return pl_error_set(PARLA_E_INVALID,
                            "the backend's kind is \"%s\"; it must be a word of at most 15 lower-case letters, digits "
                            "and _ that begins with a letter and is not \"auto\"",
                            backend->kind ? backend->kind : "");
    if (!is_complete(backend))
        return pl_error_set(PARLA_E_INVALID,
                            "backend \"%s\" lacks a function; only queue_call, body_begin and body_end may be NULL", backend->kind);

    pl_lock_take(&lock);
    int rc = add_locked(backend);
    pl_lock_give(&lock);
    return rc;
}

const parla_backend *parla_backend_find(const char *kind)
{
    pl_module_open(kind);
    pl_lock_take(&lock);
    const parla_backend *backend = kind ? find_locked(kind) : NULL;
    pl_lock_give(&lock);
    return backend;
}

const parla_backend *pl_backend_at(int i)
{
    pl_lock_take(&lock);
    const parla_backend *backend = i < n_kinds ? kinds[i] : NULL;
    pl_lock_give(&lock);
    return backend;
}

void pl_backend_list(char *out, size_t n_bytes)
{
    size_t n = 0;
    const parla_backend *backend;
    for (int i = 0; (backend = pl_backend_at(i)) != NULL && n + 8 < n_bytes; i++)
        n += pl_text_format(out + n, n_bytes - n, "%s%s", i > 0 ? ", " : "", backend->kind);
}
