/* exit_receipt.c - what a run has used, and what it was ended by.
 *
 * A core's utilisation is the CPU time of the worker that has it over the time of the run: the kernel counts it, so nothing is measured while
 * tasks run. That of a device is the time in bodies and launched work there over the time of the run, both in the devices' time. The file is
 * replaced in one step: whoever finds it finds a whole line. */
#include "sched/exit_receipt.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/last_words.h"
#include "base/launcher.h"
#include "base/logged.h"
#include "sched/runtime.h"

#include <parla/receipt.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct pl_exit_receipt {
    parla_runtime *rt;
    char *path;
    uint64_t begin_ns, begin_devices_ns;
    double begin_cpu_s;
    pl_last_words words;
};

/* Of one run, on one thread. */
typedef struct figures {
    double duration_s, devices_s, cpu_s, cores; /* cores: mean utilisation of the workers */
    parla_runtime_info tasks;
    parla_receipt moved;
} figures;

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    return clock_gettime(clock, &now) == 0 ? (double)now.tv_sec + 1e-9 * (double)now.tv_nsec : 0;
}

static double share(double used_s, double of_s)
{
    double part = of_s > 0 ? used_s / of_s : 0;
    return part < 1 ? part : 1;
}

static double worker_s(const pl_worker *worker)
{
    clockid_t clock;
    return pthread_getcpuclockid(worker->thread, &clock) == 0 ? seconds_of(clock) : 0;
}

static int core_of(const parla_runtime *rt, int i_worker)
{
    const pl_topology *topology = &rt->topology;
    return rt->is_bound && topology->is_this_machine ? topology->cores[i_worker % topology->n_cores].os_index : -1;
}

static figures figures_of(const pl_exit_receipt *self)
{
    parla_runtime *rt = self->rt;
    figures f = {.tasks = {.size = sizeof f.tasks}, .moved = {.size = sizeof f.moved}};
    f.duration_s = 1e-9 * (double)(pl_now_ns() - self->begin_ns);
    f.devices_s = 1e-9 * (double)(pl_devices_now_ns(&rt->place.devices) - self->begin_devices_ns);
    f.cpu_s = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - self->begin_cpu_s;
    for (int i = 0; i < rt->n_workers; i++)
        f.cores += share(worker_s(rt->workers[i]), f.duration_s) / rt->n_workers;
    if (parla_runtime_query(rt, &f.tasks) || parla_receipt_query(rt, &f.moved))
        parla_log(PARLA_LOG_ERROR, "the exit receipt is not whole: %s", parla_error_detail());
    return f;
}

/* --- In words ------------------------------------------------------------------------------------------------------------------ */

static void tell(const pl_exit_receipt *self, const figures *f, const char *ended_by)
{
    char devices[512] = "";
    size_t length = 0;
    for (int i = 1; i < f->tasks.n_devices && length < sizeof devices; i++) {
        const pl_device *device = &self->rt->place.devices.list[i];
        double busy_s = 1e-9 * (double)pl_load_relaxed(&device->busy_ns);
        int n =
            snprintf(devices + length, sizeof devices - length, ", %s %.0f %%", device->name, 100 * share(busy_s, f->devices_s));
        length += n > 0 ? (size_t)n : 0;
    }
    pl_log_asked("receipt: %.3f s, %llu tasks, %llu failed; cores %.0f %%%s; %llu bytes in %llu copies; ended by %s", f->duration_s,
                 (unsigned long long)f->tasks.n_ended, (unsigned long long)f->tasks.n_failed, 100 * f->cores, devices,
                 (unsigned long long)f->moved.n_bytes, (unsigned long long)f->moved.n_copies, ended_by);
}

/* --- In JSON ------------------------------------------------------------------------------------------------------------------- */

static void print_cores(FILE *file, const pl_exit_receipt *self, double duration_s)
{
    fputs("\"cores\": [", file);
    for (int i = 0; i < self->rt->n_workers; i++) {
        int core = core_of(self->rt, i);
        fprintf(file, "%s{\"worker\": %d, \"core\": ", i > 0 ? ", " : "", i);
        core < 0 ? fputs("null", file) : fprintf(file, "%d", core);
        fprintf(file, ", \"utilisation\": %.4f}", share(worker_s(self->rt->workers[i]), duration_s));
    }
    fputs("], ", file);
}

static void print_devices(FILE *file, const pl_exit_receipt *self, const figures *f)
{
    fputs("\"devices\": [", file);
    for (int i = 0; i < f->tasks.n_devices; i++) {
        const pl_device *device = &self->rt->place.devices.list[i];
        parla_device_info info = {.size = sizeof info};
        double busy = i > 0 ? share(1e-9 * (double)pl_load_relaxed(&device->busy_ns), f->devices_s) : f->cores;
        uint64_t n_tasks = parla_device_query(self->rt, i, &info) ? 0 : info.n_tasks;
        fprintf(file, "%s{\"name\": \"%s\", \"tasks\": %llu, \"utilisation\": %.4f}", i > 0 ? ", " : "", device->name,
                (unsigned long long)n_tasks, busy);
    }
    fputs("], ", file);
}

static void print_json(FILE *file, const pl_exit_receipt *self, const figures *f, const char *ended_by)
{
    pl_launcher launcher = pl_launcher_read();
    size_t n = parla_receipt_print(self->rt, PARLA_RECEIPT_JSON, NULL, 0) + 256;
    char *moved = malloc(n);
    fprintf(file, "{\"rank\": %d, \"n_ranks\": %d, \"ended_by\": \"%s\", \"duration_s\": %.6f, \"cpu_s\": %.6f, ", launcher.rank,
            launcher.n_ranks, ended_by, f->duration_s, f->cpu_s);
    fprintf(file, "\"tasks\": {\"spawned\": %llu, \"ended\": %llu, \"failed\": %llu, \"cancelled\": %llu}, ",
            (unsigned long long)f->tasks.n_spawned, (unsigned long long)f->tasks.n_ended, (unsigned long long)f->tasks.n_failed,
            (unsigned long long)f->tasks.n_cancelled);
    print_cores(file, self, f->duration_s);
    print_devices(file, self, f);
    fprintf(file, "\"moved\": %s}\n", moved && parla_receipt_print(self->rt, PARLA_RECEIPT_JSON, moved, n) < n ? moved : "null");
    free(moved);
}

static int write_file(const pl_exit_receipt *self, const figures *f, const char *ended_by)
{
    char *unfinished;
    if (asprintf(&unfinished, "%s.%d", self->path, (int)getpid()) < 0)
        return ENOMEM;
    FILE *file = fopen(unfinished, "we");
    int error = file ? 0 : errno;
    if (file) {
        print_json(file, self, f, ended_by);
        error = ferror(file) ? EIO : 0;
        error = fclose(file) && !error ? errno : error;
        error = !error && rename(unfinished, self->path) ? errno : error;
        if (error)
            remove(unfinished);
    }
    free(unfinished);
    return error;
}

static void write_receipt(void *arg, const char *ended_by)
{
    const pl_exit_receipt *self = arg;
    figures f = figures_of(self);
    tell(self, &f, ended_by);
    int error = write_file(self, &f, ended_by);
    if (error)
        parla_log(PARLA_LOG_ERROR, "the exit receipt '%s' was not written: %s", self->path, strerror(error));
}

/* --- Open and close ------------------------------------------------------------------------------------------------------------ */

int pl_exit_receipt_open(parla_runtime *rt, const char *path, pl_exit_receipt **out)
{
    pl_exit_receipt *self = calloc(1, sizeof *self);
    if (!self || !(self->path = strdup(path))) {
        free(self);
        return pl_error_set(PARLA_E_NOMEM, "no memory for the exit receipt");
    }
    self->rt = rt;
    self->begin_ns = pl_now_ns();
    self->begin_devices_ns = pl_devices_now_ns(&rt->place.devices);
    self->begin_cpu_s = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    self->words = (pl_last_words){.say = write_receipt, .arg = self};
    int rc = pl_last_words_add(&self->words);
    if (rc < 0) {
        free(self->path);
        free(self);
        return rc;
    }
    *out = self;
    return 0;
}

void pl_exit_receipt_close(pl_exit_receipt *receipt)
{
    if (!receipt)
        return;
    pl_last_words_remove(&receipt->words);
    write_receipt(receipt, "the end");
    free(receipt->path);
    free(receipt);
}
