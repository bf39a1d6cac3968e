/* test_libraries.c - libraries as they are in use: OpenBLAS in three builds, libgomp, FFTW, ARPACK over the Fortran run-time library, C++. A
 * library that is not installed is skipped by name; ci/packages.txt has them all. */
#include "runtime_fixture.h"
#include "vlc_fixture.h"

#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

typedef void dgemm_function(int, int, int, int, int, int, double, const double *, int, const double *, int, double, double *, int);

static bool is_missing(parla_vlc *vlc, const char *library)
{
    int error = parla_vlc_open(vlc, NULL, library);
    if (error == PARLA_E_SYSTEM && strstr(parla_error_detail(), "No such file"))
        return true;
    T_OK(error);
    return false;
}

/* Its own threads' answer is right, and their number is that of the context's CPUs. */
static void multiply(parla_vlc *vlc)
{
    enum { N = 192 };
    parla_vlc_entry entry;
    double *a = calloc(3 * N * N, sizeof *a), *b = a + N * N, *c = b + N * N;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i * N + j] = i == j ? 2 : 0;
            b[i * N + j] = i - j;
        }
    T_OK(parla_vlc_enter(vlc, &entry));
    ((dgemm_function *)symbol_of(vlc, "cblas_dgemm"))(101, 111, 111, N, N, N, 1.0, a, N, b, N, 0.0, c, N);
    parla_vlc_leave(&entry);
    for (int i = 0; i < N * N; i++)
        T_NEAR(c[i], 2 * b[i], 1e-12);
    free(a);
}

static int n_blas_threads(parla_vlc *vlc) { return ((int (*)(void))symbol_of(vlc, "openblas_get_num_threads"))(); }

static bool find_openblas(const char *build, char *out, size_t capacity)
{
    static const char *const machines[] = {"x86_64-linux-gnu", "aarch64-linux-gnu"};
    for (int i = 0; i < 2; i++) {
        snprintf(out, capacity, "/usr/lib/%s/openblas-%s/libopenblas.so.0", machines[i], build);
        FILE *file = fopen(out, "r");
        if (file) {
            fclose(file);
            return true;
        }
    }
    return false;
}

static bool try_openblas(const char *build, bool has_threads)
{
    char path[128];
    int n = n_process_cpus();
    if (!find_openblas(build, path, sizeof path))
        return false;
    parla_vlc *one = make_context(1), *all = make_context(n);
    T_OK(parla_vlc_open(one, NULL, path));
    T_OK(parla_vlc_open(all, NULL, path));
    T_EQ(n_blas_threads(one), 1);
    T_EQ(n_blas_threads(all), has_threads ? n : 1);
    multiply(one);
    multiply(all);
    ((void (*)(int))symbol_of(all, "openblas_set_num_threads"))(1);
    T_EQ(n_blas_threads(one), 1);
    parla_vlc_destroy(all);
    parla_vlc_destroy(one);
    return true;
}

T_TEST(openblas_with_its_own_threads)
{
    if (!try_openblas("pthread", true))
        T_SKIP("libopenblas0-pthread is not installed");
}

T_TEST(openblas_with_openmp)
{
    if (!try_openblas("openmp", true))
        T_SKIP("libopenblas0-openmp is not installed");
}

T_TEST(openblas_without_threads)
{
    if (!try_openblas("serial", false))
        T_SKIP("libopenblas0-serial is not installed");
}

T_TEST(openblas_is_loaded_and_unloaded_again_and_again)
{
    char path[128];
    if (!find_openblas("pthread", path, sizeof path))
        T_SKIP("libopenblas0-pthread is not installed");
    for (int i = 0; i < 10; i++) {
        parla_vlc *vlc = make_context(n_process_cpus());
        T_OK(parla_vlc_open(vlc, NULL, path));
        multiply(vlc);
        T_TRUE(info_of(vlc).why_loaded == NULL);
        parla_vlc_destroy(vlc);
    }
    T_EQ(limits_now().n_parked, 1);
}

static void count_team(void *arg) { __atomic_fetch_add((int *)arg, 1, __ATOMIC_RELAXED); }

T_TEST(openmp_has_as_many_threads_as_the_context_cpus)
{
    for (int n = 1; n <= n_process_cpus(); n++) {
        parla_vlc *vlc = make_context(n);
        parla_vlc_entry entry;
        int n_team = 0;
        if (is_missing(vlc, "libgomp.so.1"))
            T_SKIP("libgomp1 is not installed");
        T_OK(parla_vlc_enter(vlc, &entry));
        ((void (*)(void (*)(void *), void *, unsigned, unsigned))symbol_of(vlc, "GOMP_parallel"))(count_team, &n_team, 0, 0);
        T_EQ(n_team, n);
        T_EQ(((int (*)(void))symbol_of(vlc, "omp_get_num_procs"))(), n);
        parla_vlc_leave(&entry);
        parla_vlc_destroy(vlc);
    }
}

/* Bodies of tasks that ask for all CPUs of a pool's contexts: an OpenMP library and threads of POSIX in them have exactly these, whatever the
 * worker that runs the body is bound to. */
typedef struct seen {
    int n_team, n_thread_cpus, n_cpus;
} seen;

static int look_around(parla_context *context, void *arg)
{
    seen *self = arg;
    parla_vlc *vlc = parla_vlc_current();
    (void)context;
    ((void (*)(void (*)(void *), void *, unsigned, unsigned))symbol_of(vlc, "GOMP_parallel"))(count_team, &self->n_team, 0, 0);
    self->n_thread_cpus = GUEST_OF(vlc, guest_thread_cpus)();
    self->n_cpus = GUEST_OF(vlc, guest_kernel_cpus)();
    return 0;
}

static void run_in_pool(int n_contexts, int n_cpus)
{
    enum { N_TASKS = 12 };
    parla_vlc_options options = PARLA_VLC_OPTIONS_INIT;
    parla_vlc_pool *pool;
    seen all[N_TASKS] = {0};
    options.n_cpus = n_cpus;
    T_OK(parla_vlc_pool_create(&pool, n_contexts, &options));
    for (int i = 0; i < n_contexts; i++) {
        if (is_missing(parla_vlc_pool_context(pool, i), "libgomp.so.1"))
            T_SKIP("libgomp1 is not installed");
        T_OK(parla_vlc_open(parla_vlc_pool_context(pool, i), NULL, T_GUEST));
    }
    open_runtime(3);
    for (int i = 0; i < N_TASKS; i++) {
        parla_task_options task = PARLA_TASK_OPTIONS_INIT;
        task.body = look_around;
        task.arg = &all[i];
        T_OK(parla_vlc_spawn(rt, pool, n_cpus, NULL, &task));
    }
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    close_runtime();
    for (int i = 0; i < N_TASKS; i++) {
        T_EQ(all[i].n_team, n_cpus);
        T_EQ(all[i].n_thread_cpus, n_cpus);
        T_EQ(all[i].n_cpus, n_cpus);
    }
    parla_vlc_pool_destroy(pool);
}

T_TEST(libraries_inside_tasks_are_held_to_the_pool_s_cpus)
{
    int n = n_process_cpus();
    run_in_pool(1, n);
    run_in_pool(n, 1);
}

T_TEST(fftw_plans_in_two_contexts)
{
    parla_vlc *sides[2] = {make_context(1), make_context(1)};
    for (int k = 0; k < 2; k++) {
        double in[16] = {0}, out[16];
        in[2 * k] = 1; /* a peak at k has the spectrum exp(-2 pi i k j / 8) */
        if (is_missing(sides[k], "libfftw3.so.3"))
            T_SKIP("libfftw3-double3 is not installed");
        void *plan =
            ((void *(*)(int, double *, double *, int, unsigned))symbol_of(sides[k], "fftw_plan_dft_1d"))(8, in, out, -1, 64);
        ((void (*)(void *))symbol_of(sides[k], "fftw_execute"))(plan);
        for (int j = 0; j < 8; j++)
            T_NEAR(out[2 * j], cos(2 * M_PI * k * j / 8), 1e-12);
        ((void (*)(void *))symbol_of(sides[k], "fftw_destroy_plan"))(plan);
    }
    parla_vlc_destroy(sides[0]);
    parla_vlc_destroy(sides[1]);
}

/* The largest eigenvalue of diag(1 … n) by ARPACK's reverse communication, whose state lies in saved Fortran variables. */
typedef void dsaupd_function(int *, const char *, int *, const char *, int *, double *, double *, int *, double *, int *, int *,
                             int *, double *, double *, int *, int *, size_t, size_t);

enum { SIZE = 60, N_VECTORS = 20, WORK = N_VECTORS * (N_VECTORS + 8) };

typedef struct search {
    parla_vlc *vlc;
    double scale, found;
} search;

static void *find_largest(void *arg)
{
    search *self = arg;
    dsaupd_function *dsaupd = (dsaupd_function *)symbol_of(self->vlc, "dsaupd_");
    parla_vlc_entry entry;
    int ido = 0, n = SIZE, nev = 1, ncv = N_VECTORS, ldv = SIZE, lworkl = WORK, info = 0, iparam[11] = {0}, ipntr[14];
    double tol = 0, resid[SIZE], v[SIZE * N_VECTORS], workd[3 * SIZE], workl[WORK];
    iparam[0] = 1;
    iparam[2] = 300;
    iparam[6] = 1;
    T_OK(parla_vlc_enter(self->vlc, &entry));
    for (;;) {
        dsaupd(&ido, "I", &n, "LA", &nev, &tol, resid, &ncv, v, &ldv, iparam, ipntr, workd, workl, &lworkl, &info, 1, 2);
        if (ido != 1 && ido != -1)
            break;
        for (int i = 0; i < SIZE; i++)
            workd[ipntr[1] - 1 + i] = self->scale * (i + 1) * workd[ipntr[0] - 1 + i];
    }
    parla_vlc_leave(&entry);
    T_EQ(info, 0);
    self->found = workl[ipntr[5] - 1];
    return NULL;
}

T_TEST(arpack_twice_at_once)
{
    search both[2] = {{make_context(1), 1, 0}, {make_context(1), 10, 0}};
    pthread_t threads[2];
    for (int k = 0; k < 2; k++)
        if (is_missing(both[k].vlc, "libarpack.so.2"))
            T_SKIP("libarpack2 is not installed");
    for (int round = 0; round < 5; round++) {
        for (int k = 0; k < 2; k++)
            T_EQ(pthread_create(&threads[k], NULL, find_largest, &both[k]), 0);
        for (int k = 0; k < 2; k++) {
            T_EQ(pthread_join(threads[k], NULL), 0);
            T_NEAR(both[k].found, both[k].scale * SIZE, 1e-8);
        }
    }
    parla_vlc_destroy(both[0].vlc);
    parla_vlc_destroy(both[1].vlc);
}

#ifdef T_GUEST_CXX
static void *touch(void *vlc)
{
    T_EQ(((int (*)(void))symbol_of(vlc, "cxx_touch"))(), 1);
    return NULL;
}

T_TEST(cxx_statics_exceptions_and_thread_locals)
{
    parla_vlc *a = make_context(1), *b = make_context(1);
    pthread_t thread;
    T_OK(parla_vlc_open(a, NULL, T_GUEST_CXX));
    T_OK(parla_vlc_open(b, NULL, T_GUEST_CXX));
    int (*count_a)(const char *) = (int (*)(const char *))symbol_of(a, "cxx_count");
    int (*read_a)(const char *) = (int (*)(const char *))symbol_of(a, "cxx_read");
    T_EQ(count_a("word"), 1);
    T_EQ(count_a("word"), 2);
    T_EQ(((int (*)(const char *))symbol_of(b, "cxx_count"))("word"), 1);
    T_EQ(((int (*)(int))symbol_of(a, "cxx_throw"))(1), 1);
    T_EQ(pthread_create(&thread, NULL, touch, a), 0);
    T_EQ(pthread_join(thread, NULL), 0);
    T_EQ(read_a("destroyed"), 1); /* at the end of a thread from outside */
    T_EQ(((int (*)(int))symbol_of(a, "cxx_thread"))(1), 2);
    T_EQ(read_a("destroyed"), 2); /* and of one made inside */
    parla_vlc_destroy(a);
    parla_vlc_destroy(b);
}

T_TEST(an_exception_that_leaves_its_context_ends_the_process)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        parla_vlc *vlc = make_context(1);
        T_OK(parla_vlc_open(vlc, NULL, T_GUEST_CXX));
        (void)freopen("/dev/null", "w", stderr);
        ((void (*)(void))symbol_of(vlc, "cxx_throw_out"))();
        _exit(0);
    }
    T_EQ(waitpid(child, &status, 0), child);
    T_TRUE(WIFSIGNALED(status));
}
#endif
