/* context.c - the life of a context: made, opened into, retired.
 *
 *   create ──> alive ──(the owner's and all stays' references are gone)──> retire ──┬──> parked, with its libraries
 *                ^                                                                  └──> parked, empty
 *                └────────────────────── the next create that fits ─────────────────────────────┘
 *
 * A namespace is never closed (loader.c says why) but parked and used again. Its libraries are unloaded first where that is safe: no thread
 * can run their code any more, and nothing of them would be left behind. Before that is asked, libraries that keep threads are told to end
 * them through functions that they offer for it (`quiet`). An empty namespace serves any context with the same global libraries; one with
 * libraries only a context that wants what they were loaded with.
 *
 * Locks: registry, then a context's own (libraries). Constructors and destructors of libraries run with them held, and must not call
 * this library. */
#include "vlc/context.h"

#include "base/break.h"
#include "base/error.h"
#include "vlc/needs.h"
#include "vlc/registry.h"
#include "vlc/texts.h"
#include "vlc/thread_cpus.h"

#include <parla/log.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

/* Calls of the program's own C library for the shim. Weak: a C library without it keeps the list of each context by itself. */
extern int __cxa_thread_atexit_impl(void (*destroy)(void *), void *object, void *library) __attribute__((weak));

static const pl_vlc_outside outside = {
    .key_create = pthread_key_create,
    .key_delete = pthread_key_delete,
    .key_get = pthread_getspecific,
    .key_set = pthread_setspecific,
    .at_thread_exit = __cxa_thread_atexit_impl,
    .exit = exit,
    .is_refused = pl_vlc_is_refused,
};

int pl_vlc_check(const parla_vlc *vlc)
{
    if (!vlc)
        return pl_error_set(PARLA_E_INVALID, "a context is needed, not NULL");
    if (vlc->process != pl_vlc_process())
        return pl_error_set(PARLA_E_FORKED, "context %s belongs to the parent process; make one after the fork", vlc->name);
    return 0;
}

void pl_vlc_step_in(const parla_vlc *vlc) { vlc->space.inside->enter(); }
void pl_vlc_step_out(const parla_vlc *vlc) { vlc->space.inside->leave(); }

/* --- Parking ----------------------------------------------------------------------------------------------------------------- */

static void free_context(parla_vlc *vlc)
{
    for (int i = 0; i < vlc->n_libraries; i++)
        free(vlc->libraries[i].name);
    free(vlc->libraries);
    pl_texts_free(vlc->environment);
    pl_texts_free(vlc->globals);
    free(vlc->name);
    free(vlc->cpus_text);
    pthread_mutex_destroy(&vlc->lock);
    free(vlc);
}

/* Functions by which libraries end their threads; they start them anew when they are called again. */
static void quiet(parla_vlc *vlc)
{
    enum { OMP_PAUSE_HARD = 2 };
    for (int i = 0; i < vlc->n_libraries; i++) {
        void *library = vlc->libraries[i].handle;
        int (*openblas)(void) = (int (*)(void))(uintptr_t)vlc->loader->symbol(library, "blas_thread_shutdown_");
        int (*openmp)(int) = (int (*)(int))(uintptr_t)vlc->loader->symbol(library, "omp_pause_resource_all");
        if (openblas)
            (void)openblas();
        if (openmp)
            (void)openmp(OMP_PAUSE_HARD);
    }
}

/* Why its libraries must stay, or NULL. */
static const char *why_loaded(const parla_vlc *vlc, pl_vlc_contents *contents)
{
    vlc->loader->look(&vlc->space, contents);
    if (contents->stays[0] != '\0')
        return contents->stays;
    if (vlc->space.inside->n_threads() > 0 && !pl_is_broken(PL_BREAK_VLC_THREADS))
        return "threads that were made inside still live";
    if (vlc->space.inside->n_thread_objects() > 0)
        return "threads outside still hold its thread_local objects";
    return NULL;
}

static void unload(parla_vlc *vlc)
{
    pl_vlc_step_in(vlc);
    if (!pl_is_broken(PL_BREAK_VLC_KEYS))
        vlc->space.inside->end();
    while (vlc->n_libraries > 0) {
        pl_vlc_library *last = &vlc->libraries[--vlc->n_libraries];
        (void)vlc->space.inside->close(last->handle);
        free(last->name);
    }
    vlc->space.inside->flush(); /* what their destructors have written */
    pl_vlc_step_out(vlc);
}

/* Unloads what can be unloaded; what cannot stays for the next context that fits. */
static void empty_locked(parla_vlc *vlc)
{
    pl_vlc_contents contents;
    if (vlc->n_libraries == 0)
        return;
    const char *why = why_loaded(vlc, &contents);
    if (why)
        parla_log(PARLA_LOG_DEBUG, "context %s is parked with its libraries: %s", vlc->name, why);
    else
        unload(vlc);
}

void pl_vlc_retire(parla_vlc *vlc)
{
    pl_vlc_registry_lock();
    pl_vlc_step_in(vlc);
    quiet(vlc);
    vlc->space.inside->flush();
    pl_vlc_step_out(vlc);
    pl_vlc_claim_locked(vlc, -1);
    vlc->has_claims = false;
    vlc->is_parked = true;
    empty_locked(vlc);
    pl_vlc_registry_unlock();
}

void parla_vlc_destroy(parla_vlc *vlc)
{
    if (!vlc || pl_vlc_check(vlc))
        return;
    if (pl_sub_acq_rel(&vlc->refs_shared, 1) == 1)
        pl_vlc_retire(vlc);
}

/* --- Making ------------------------------------------------------------------------------------------------------------------ */

static int check_memory(parla_vlc_memory memory)
{
    uint64_t nodes[PL_CPU_WORDS];
    int policy;
    if ((unsigned)memory > PARLA_VLC_MEMORY_SPREAD)
        return pl_error_set(PARLA_E_INVALID, "memory is %d, expected a parla_vlc_memory", (int)memory);
    if (memory != PARLA_VLC_MEMORY_INHERIT && pl_thread_memory(&policy, nodes) != 0)
        return pl_error_set(PARLA_E_UNSUPPORTED,
                            "the kernel has no memory policies for this process (%m): use PARLA_VLC_MEMORY_INHERIT");
    return 0;
}

static int check_globals(const char *const *globals)
{
    char why[512];
    for (; globals && *globals; globals++)
        if (pl_vlc_is_refused(*globals, why, sizeof why))
            return pl_error_set(PARLA_E_UNSUPPORTED, "%s", why);
    return 0;
}

/* What the options ask for, in a context without a namespace. */
static int read_options(const parla_vlc_options *options, parla_vlc **out)
{
    parla_vlc *vlc = calloc(1, sizeof *vlc);
    if (!vlc)
        return pl_error_set(PARLA_E_NOMEM, "no memory for a context");
    pthread_mutex_init(&vlc->lock, NULL);
    vlc->refs_shared = 1;
    vlc->process = pl_vlc_process();
    vlc->memory = options->memory;
    vlc->loader = pl_vlc_loader_get();
    vlc->environment = pl_environment_with((const char *const *)environ, options->environment);
    vlc->globals = pl_texts_copy(options->global_libraries);
    if (!vlc->environment || (options->global_libraries && !vlc->globals)) {
        free_context(vlc);
        return pl_error_set(PARLA_E_NOMEM, "no memory for a context");
    }
    vlc->start.outside = &outside;
    vlc->start.environment = vlc->environment;
    *out = vlc;
    return 0;
}

static int name_it_locked(parla_vlc *vlc, const char *name, const pl_cpus *cpus)
{
    char text[PL_CPUS_TEXT];
    vlc->cpus = *cpus;
    for (int i = 0; i < PL_CPU_WORDS; i++)
        pl_store_relaxed(&vlc->start.cpus[i], cpus->words[i]);
    if (vlc->memory != PARLA_VLC_MEMORY_INHERIT)
        pl_nodes_of(cpus, vlc->nodes);
    pl_cpus_format(cpus, text, sizeof text);
    free(vlc->cpus_text);
    vlc->cpus_text = strdup(text);
    if (!name) {
        snprintf(text, sizeof text, "vlc%d", pl_vlc_next_number_locked());
        name = text;
    }
    free(vlc->name);
    vlc->name = strdup(name);
    return vlc->name && vlc->cpus_text ? 0 : pl_error_set(PARLA_E_NOMEM, "no memory for a context");
}

/* Can the parked context stand for the wanted one, libraries and all? */
static bool is_alike(const parla_vlc *parked, const parla_vlc *wanted)
{
    return parked->memory == wanted->memory && pl_cpus_count(&parked->cpus) == pl_cpus_count(&wanted->cpus) &&
           pl_texts_equal(parked->environment, wanted->environment);
}

/* One with libraries that fits before an empty one. Parked contexts whose threads have ended since are emptied on the way. */
static parla_vlc *find_parked_locked(const parla_vlc *wanted, bool is_fresh)
{
    parla_vlc *empty = NULL;
    for (parla_vlc *vlc = pl_vlc_list_first_locked(); vlc; vlc = vlc->next) {
        if (!vlc->is_parked || vlc->loader != wanted->loader || !pl_texts_equal(vlc->globals, wanted->globals))
            continue;
        if (!is_fresh && vlc->n_libraries > 0 && is_alike(vlc, wanted))
            return vlc;
        empty_locked(vlc);
        if (vlc->n_libraries == 0)
            empty = vlc;
    }
    return empty;
}

/* A parked context takes over what the wanted one has but for the namespace; the wanted one is freed. */
static int revive_locked(parla_vlc *parked, parla_vlc *wanted, const char *name)
{
    parked->memory = wanted->memory;
    int error = name_it_locked(parked, name, &wanted->cpus);
    if (error)
        return error;
    parked->has_claims = wanted->has_claims;
    parked->is_parked = false;
    parked->is_reused = parked->n_libraries > 0;
    pl_store_release(&parked->refs_shared, 1);
    if (parked->is_reused) {
        parked->space.inside->pin_threads();
    } else {
        char **before = parked->environment;
        parked->start.environment = parked->environment = wanted->environment;
        wanted->environment = before;
        pl_vlc_step_in(parked);
        parked->space.inside->renew();
        pl_vlc_step_out(parked);
    }
    free_context(wanted);
    return 0;
}

static int open_space_locked(parla_vlc *vlc)
{
    int error = vlc->loader->open(&vlc->space, (const char *const *)vlc->globals, &vlc->start);
    if (!error)
        pl_vlc_list_add_locked(vlc);
    return error;
}

static int make_locked(const parla_vlc_options *options, parla_vlc *wanted, parla_vlc **out)
{
    pl_cpus cpus;
    int error = pl_vlc_choose_cpus_locked(options, &cpus, &wanted->has_claims);
    if (error || (error = name_it_locked(wanted, options->name, &cpus)))
        return error;
    parla_vlc *parked = find_parked_locked(wanted, options->flags & PARLA_VLC_FRESH);
    *out = parked ? parked : wanted;
    error = parked ? revive_locked(parked, wanted, options->name) : open_space_locked(wanted);
    if (!error)
        pl_vlc_claim_locked(*out, 1);
    return error;
}

int parla_vlc_create(parla_vlc **out, const parla_vlc_options *options)
{
    parla_vlc_options defaults = PARLA_VLC_OPTIONS_INIT;
    parla_vlc *wanted = NULL, *made = NULL;
    options = options ? options : &defaults;
    if (options->size != sizeof *options)
        return pl_error_set(PARLA_E_INVALID, "parla_vlc_options.size is %zu, expected %zu", options->size, sizeof *options);
    int error = check_memory(options->memory);
    if (error || (error = check_globals(options->global_libraries)) || (error = read_options(options, &wanted)))
        return error;
    pl_vlc_registry_lock();
    error = make_locked(options, wanted, &made);
    pl_vlc_registry_unlock();
    if (error) {
        free_context(wanted);
        return error;
    }
    *out = made;
    return 0;
}

/* --- Libraries --------------------------------------------------------------------------------------------------------------- */

static int add_library_locked(parla_vlc *vlc, const char *library, void **out)
{
    for (int i = 0; i < vlc->n_libraries; i++) {
        if (strcmp(vlc->libraries[i].name, library) == 0) {
            *out = vlc->libraries[i].handle;
            return 0;
        }
    }
    pl_vlc_library *grown = realloc(vlc->libraries, ((size_t)vlc->n_libraries + 1) * sizeof *grown);
    if (grown)
        vlc->libraries = grown;
    char *name = strdup(library);
    if (!grown || !name) {
        free(name);
        return pl_error_set(PARLA_E_NOMEM, "no memory for a library's name");
    }
    void *handle = vlc->space.inside->open(library);
    if (!handle) {
        free(name);
        char what[256];
        snprintf(what, sizeof what, "context %s, library %s", vlc->name, library);
        return pl_vlc_loader_error(what, vlc->space.inside->error());
    }
    vlc->libraries[vlc->n_libraries++] = (pl_vlc_library){name, handle};
    *out = handle;
    return 0;
}

int parla_vlc_open(parla_vlc *vlc, void **out, const char *library)
{
    char why[512];
    parla_vlc_entry entry;
    void *handle = NULL;
    int error = pl_vlc_check(vlc);
    if (error)
        return error;
    if (!library)
        return pl_error_set(PARLA_E_INVALID, "a library's name is needed, not NULL");
    if (pl_vlc_is_refused(library, why, sizeof why))
        return pl_error_set(PARLA_E_UNSUPPORTED, "%s", why);
    error = parla_vlc_enter(vlc, &entry);
    if (error)
        return error;
    pthread_mutex_lock(&vlc->lock);
    error = add_library_locked(vlc, library, &handle);
    pthread_mutex_unlock(&vlc->lock);
    parla_vlc_leave(&entry);
    if (!error && out)
        *out = handle;
    return error;
}

static void *find_symbol_locked(const parla_vlc *vlc, const char *name)
{
    void *found = NULL;
    for (int i = 0; i < vlc->n_libraries && !found; i++)
        found = vlc->loader->symbol(vlc->libraries[i].handle, name);
    return found ? found : vlc->loader->symbol(vlc->space.root, name);
}

int parla_vlc_symbol(parla_vlc *vlc, void *library, const char *name, void **out)
{
    int error = pl_vlc_check(vlc);
    if (error)
        return error;
    pthread_mutex_lock(&vlc->lock);
    void *found = library ? vlc->loader->symbol(library, name) : find_symbol_locked(vlc, name);
    pthread_mutex_unlock(&vlc->lock);
    if (!found)
        return pl_error_set(PARLA_E_SYSTEM, "context %s has no symbol %s in %s", vlc->name, name,
                            library ? "this library" : "any library that was opened");
    *out = found;
    return 0;
}

/* --- Looking ----------------------------------------------------------------------------------------------------------------- */

int parla_vlc_query(parla_vlc *vlc, parla_vlc_info *out)
{
    static _Thread_local char why[sizeof(((pl_vlc_contents *)NULL)->stays)];
    pl_vlc_contents contents;
    int error = pl_vlc_check(vlc);
    if (error)
        return error;
    if (out->size != sizeof *out)
        return pl_error_set(PARLA_E_INVALID, "parla_vlc_info.size is %zu, expected %zu", out->size, sizeof *out);
    vlc->loader->look(&vlc->space, &contents);
    memcpy(why, contents.stays, sizeof why);
    pthread_mutex_lock(&vlc->lock);
    int n_libraries = vlc->n_libraries;
    pthread_mutex_unlock(&vlc->lock);
    *out = (parla_vlc_info){.size = sizeof *out,
                            .name = vlc->name,
                            .cpus = vlc->cpus_text,
                            .n_cpus = pl_cpus_count(&vlc->cpus),
                            .n_libraries = n_libraries,
                            .n_threads = vlc->space.inside->n_threads(),
                            .n_inside = pl_load_acquire(&vlc->refs_shared) - 1,
                            .n_objects = contents.n_objects,
                            .static_tls_bytes = contents.static_tls_bytes,
                            .is_reused = vlc->is_reused,
                            .why_loaded = why[0] ? why : NULL};
    return 0;
}

int parla_vlc_query_limits(parla_vlc_limits *out)
{
    if (out->size != sizeof *out)
        return pl_error_set(PARLA_E_INVALID, "parla_vlc_limits.size is %zu, expected %zu", out->size, sizeof *out);
    parla_vlc_limits limits = {.size = sizeof limits,
                               .max_contexts = PL_VLC_MAX_SPACES,
                               .static_tls_bytes = pl_vlc_static_tls_bytes(getenv("GLIBC_TUNABLES")),
                               .tunable = PL_VLC_TUNABLE};
    pl_vlc_registry_lock();
    for (const parla_vlc *vlc = pl_vlc_list_first_locked(); vlc; vlc = vlc->next) {
        pl_vlc_contents contents;
        vlc->loader->look(&vlc->space, &contents);
        limits.static_tls_used_bytes += contents.static_tls_bytes;
        limits.n_parked += vlc->is_parked;
        limits.n_contexts += !vlc->is_parked;
    }
    pl_vlc_registry_unlock();
    *out = limits;
    return 0;
}
