/* module.c - opens backends that lie in shared modules: libparla_cuda.so beside this library, or where the loader finds it.
 *
 * A module links nothing of this library, so it serves the shared library and programs that hold a static one alike: what it needs is
 * handed to its entry. Each is tried once for the process, under one lock that is held until its backend is registered or the reason why
 * not is kept. Modules are never closed, since tables of functions are constant for ever (backends.c). */
#include "device/module.h"

#include "base/break.h"
#include "base/error.h"
#include "base/lock.h"
#include "base/text.h"

#include <parla/backend.h>
#include <parla/log.h>

#include <dlfcn.h>
#include <string.h>

#define PATH_BYTES 4096
#define REASON_BYTES 512

typedef struct module {
    const char *kind;
    const char *file;
    bool is_tried;
    char reason[REASON_BYTES]; /* constant once is_tried */
} module;

static pl_lock lock = PL_LOCK_INIT(NULL);
static module modules[] = {{.kind = "cuda", .file = "libparla_cuda.so"}};

enum { N_MODULES = sizeof modules / sizeof modules[0] };

static int host_error(int code, const char *text) { return pl_error_set(code, "%s", text); }
static void host_log(int level, const char *text) { parla_log((parla_log_level)level, "%s", text); }
static bool host_is_broken(int rule) { return pl_is_broken(rule); }

static const parla_backend_host host = {
    .abi = PARLA_BACKEND_ABI, .error = host_error, .log = host_log, .is_broken = host_is_broken};

static void *open_beside(const char *file)
{
    char path[PATH_BYTES];
    Dl_info self;
    const char *slash = dladdr((void *)&host, &self) && self.dli_fname ? strrchr(self.dli_fname, '/') : NULL;
    if (!slash)
        return NULL;
    pl_text_format(path, sizeof path, "%.*s/%s", (int)(slash - self.dli_fname), self.dli_fname, file);
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

static int use_library(void *library)
{
    parla_backend_entry entry;
    *(void **)&entry = dlsym(library, PARLA_BACKEND_ENTRY);
    if (!entry)
        return pl_error_set(PARLA_E_NO_DEVICE, "it is no backend's module: %s", dlerror());
    pl_error_clear();
    const parla_backend *backend = entry(&host);
    return backend ? parla_backend_register(backend) : PARLA_E_NO_DEVICE;
}

static void try_locked(module *m)
{
    m->is_tried = true;
    void *library = open_beside(m->file);
    if (!library)
        library = dlopen(m->file, RTLD_NOW | RTLD_LOCAL);
    int rc = library ? use_library(library) : pl_error_set(PARLA_E_NO_DEVICE, "%s", dlerror());
    if (rc == 0)
        return;
    pl_text_format(m->reason, sizeof m->reason, "%s", parla_error_detail());
    parla_log(PARLA_LOG_INFO, "no devices of kind %s: %s", m->kind, m->reason);
}

static module *find(const char *kind)
{
    for (int i = 0; kind && i < N_MODULES; i++)
        if (strcmp(modules[i].kind, kind) == 0)
            return &modules[i];
    return NULL;
}

void pl_module_open(const char *kind)
{
    module *m = find(kind);
    if (!m)
        return;
    pl_lock_take(&lock);
    if (!m->is_tried)
        try_locked(m);
    pl_lock_give(&lock);
}

void pl_modules_open(void)
{
    for (int i = 0; i < N_MODULES; i++)
        pl_module_open(modules[i].kind);
}

const char *pl_module_reason(const char *kind)
{
    module *m = find(kind);
    if (!m)
        return "";
    pl_lock_take(&lock);
    const char *reason = m->is_tried ? m->reason : "";
    pl_lock_give(&lock);
    return reason;
}
