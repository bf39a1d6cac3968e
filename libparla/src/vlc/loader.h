/* loader.h - namespaces of the dynamic linker: opening one with the shim in front, and looking at what is in it. None is ever closed. */
#ifndef PL_VLC_LOADER_H
#define PL_VLC_LOADER_H

#include "vlc/shim.h"

/* A namespace that is open. */
typedef struct pl_vlc_space {
    void *root; /* its first object */
    const pl_vlc_inside *inside;
} pl_vlc_space;

/* What is in a namespace. */
typedef struct pl_vlc_contents {
    int n_objects;
    int static_tls_bytes; /* of objects whose thread-local variables are reached at a fixed place */
    char stays[128];      /* the first object that must not be unloaded, and why; "" if there is none */
} pl_vlc_contents;

/* The dynamic linker behind a table, so that what is built on it runs without one in tests: ThreadSanitizer cannot follow dlmopen. */
typedef struct pl_vlc_loader {
    /* Opens a namespace whose global scope is the shim, then `globals` (ends with NULL; may be NULL). `start` is what the shim is to know.
     * Codes with words, as everywhere. */
    int (*open)(pl_vlc_space *out, const char *const *globals, const pl_vlc_start *start);

    void (*look)(const pl_vlc_space *space, pl_vlc_contents *out);
    void *(*symbol)(void *library, const char *name);
} pl_vlc_loader;

/* The one in use: the dynamic linker, unless a test has set another. */
const pl_vlc_loader *pl_vlc_loader_get(void);
void pl_vlc_loader_set(const pl_vlc_loader *loader);

/* Namespaces that the dynamic linker has, besides the program's own. */
enum { PL_VLC_MAX_SPACES = 15 };

/* Bytes that the dynamic linker kept at the start of the process for the static thread-local variables of what is loaded later, from the
 * tunables in `tunables` (the value of GLIBC_TUNABLES, or NULL). */
int pl_vlc_static_tls_bytes(const char *tunables);

/* What raises both limits for all namespaces. */
#define PL_VLC_TUNABLE "GLIBC_TUNABLES=glibc.rtld.nns=16:glibc.rtld.optional_static_tls=65536"

/* Sets the error for the dynamic linker's words, and says what to do where that is known. Returns the code. */
int pl_vlc_loader_error(const char *what, const char *words);

#endif
