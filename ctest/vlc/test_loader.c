/* test_loader.c - namespaces that begin with the shim, and what is told of them. */
#include "vlc/loader.h"

#include "test.h"

#include <dlfcn.h>
#include <parla/error.h>
#include <stdlib.h>

static bool refuse_nothing(const char *library, char *why, size_t capacity)
{
    (void)library;
    (void)why;
    (void)capacity;
    return false;
}

static const pl_vlc_outside outside = {pthread_key_create, pthread_key_delete, pthread_getspecific, pthread_setspecific, NULL, exit,
                                       refuse_nothing};
static char *environment[] = {(char *)"ONLY=this", NULL};
static pl_vlc_start start = {&outside, environment, {1}};

T_TEST(the_shim_comes_first_then_the_global_libraries)
{
    static const char *const globals[] = {"libm.so.6", NULL};
    const pl_vlc_loader *loader = pl_vlc_loader_get();
    pl_vlc_space space;
    T_OK(loader->open(&space, globals, &start));
    T_EQ(space.inside->abi, PL_VLC_ABI);
    long (*count)(int) = (long (*)(int))(uintptr_t)loader->symbol(space.root, "sysconf");
    T_EQ(count(84 /* _SC_NPROCESSORS_ONLN */), 1);
    double (*root)(double) = (double (*)(double))(uintptr_t)loader->symbol(space.root, "sqrt");
    T_NEAR(root(9.0), 3.0, 0);
    T_TRUE((void *)root != dlsym(RTLD_DEFAULT, "sqrt"));
    char *(*get)(const char *) = (char *(*)(const char *))(uintptr_t)loader->symbol(space.root, "getenv");
    T_EQ_STR(get("ONLY"), "this");
    T_TRUE(get("PATH") == NULL);
    pl_vlc_contents contents;
    loader->look(&space, &contents);
    T_GE(contents.n_objects, 4); /* the first one, the shim, libm, libc */
    T_GT(contents.static_tls_bytes, 0);
    T_EQ_STR(contents.stays, "");
}

T_TEST(a_global_library_that_is_missing_is_named)
{
    static const char *const globals[] = {"libno_such_library.so", NULL};
    pl_vlc_space space;
    T_EQ(pl_vlc_loader_get()->open(&space, globals, &start), PARLA_E_SYSTEM);
    T_HAS_STR(parla_error_detail(), "libno_such_library.so");
}

T_TEST(limits_are_told_with_what_to_do)
{
    T_EQ(pl_vlc_loader_error("x", "no more namespaces available for dlmopen()"), PARLA_E_RESOURCES);
    T_HAS_STR(parla_error_detail(), "15 namespaces");
    T_EQ(pl_vlc_loader_error("x", "a.so: cannot allocate memory in static TLS block"), PARLA_E_RESOURCES);
    T_HAS_STR(parla_error_detail(), "GLIBC_TUNABLES=glibc.rtld.nns=16:glibc.rtld.optional_static_tls=65536");
    T_EQ(pl_vlc_loader_error("x", "a.so: wrong ELF class"), PARLA_E_SYSTEM);
    T_EQ(pl_vlc_static_tls_bytes(NULL), 1664);
    T_EQ(pl_vlc_static_tls_bytes("glibc.malloc.check=1:glibc.rtld.nns=16"), 1664 + 12 * 288);
    T_EQ(pl_vlc_static_tls_bytes("glibc.rtld.optional_static_tls=65536"), 1664 + 65536 - 512);
}
