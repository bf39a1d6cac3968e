/* bench.c - see bench.h. Standard output carries JSON lines, and remarks that begin with #. */
#include "bench.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *bench_name;
static bool is_smoke;
static char **wanted;
static int n_wanted;

void bench_begin(const char *bench, int argc, char **argv)
{
    bench_name = bench;
    wanted = argv + 1;
    n_wanted = argc - 1;
    if (n_wanted > 0 && strcmp(wanted[0], "--smoke") == 0) {
        is_smoke = true;
        wanted++;
        n_wanted--;
    }
}

bool bench_is_smoke(void) { return is_smoke; }

bool bench_wants(const char *name)
{
    for (int i = 0; i < n_wanted; i++) {
        if (strcmp(wanted[i], name) == 0) {
            return true;
        }
    }
    return n_wanted == 0;
}

void bench_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", bench_name);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

double bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e9 * (double)now.tv_sec + (double)now.tv_nsec;
}

/* --- Cores ------------------------------------------------------------------------------------------------------------------ */

/* Pins this process to the first n cores that it may use; returns how many it may use. */
static int pin(int n)
{
    cpu_set_t allowed, chosen;
    int n_allowed = 0;
    CPU_ZERO(&chosen);
    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) {
        return 0;
    }
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &allowed)) {
            if (n_allowed < n) {
                CPU_SET(i, &chosen);
            }
            n_allowed++;
        }
    }
    if (n_allowed >= n) {
        sched_setaffinity(0, sizeof(chosen), &chosen);
    }
    return n_allowed;
}

bool bench_on_cores(int n_cores, void (*body)(int n_cores))
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int n_allowed = pin(n_cores);
        if (n_allowed < n_cores) {
            printf("# skipped %d threads: %d cores to be had\n", n_cores, n_allowed);
            exit(77);
        }
        body(n_cores);
        exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
        (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 77)) {
        bench_die("the run on %d cores failed", n_cores);
    }
    return WEXITSTATUS(status) == 0;
}

double bench_machine_busy_s(void)
{
    unsigned long long user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0;
    FILE *file = fopen("/proc/stat", "r");
    int n_read = 0;
    if (file != NULL) {
        n_read = fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &iowait, &irq, &softirq,
                        &steal);
        fclose(file);
    }
    return n_read == 8 ? (double)(user + nice + system + irq + softirq + steal) / (double)sysconf(_SC_CLK_TCK) : 0;
}

double bench_own_busy_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* --- Measuring -------------------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof(values[0]), by_value);
    return values[n / 2];
}

void bench_compare(const char *name, int n_threads, long n_items, const bench_side *ours, const bench_side *peer)
{
    double a[BENCH_RUNS], b[BENCH_RUNS];
    int n_runs = is_smoke ? 1 : BENCH_RUNS;
    ours->run_ns(ours->ctx);
    if (peer != NULL) {
        peer->run_ns(peer->ctx);
    }
    double machine_s = bench_machine_busy_s(), own_s = bench_own_busy_s(), begin_ns = bench_now_ns();
    for (int i = 0; i < n_runs; i++) {
        a[i] = ours->run_ns(ours->ctx) / (double)n_items;
        b[i] = peer != NULL ? peer->run_ns(peer->ctx) / (double)n_items : 0;
    }
    double elapsed_s = 1e-9 * (bench_now_ns() - begin_ns);
    double neighbours = elapsed_s > 0 ? (bench_machine_busy_s() - machine_s - (bench_own_busy_s() - own_s)) / elapsed_s : 0;
    bench_print_times(name, n_threads, a, n_runs, peer != NULL ? peer->name : NULL, b, neighbours);
}

void bench_print_times(const char *name, int n_threads, double *ours_ns, int n_runs, const char *peer, double *peer_ns,
                       double neighbours)
{
    double value = bench_median(ours_ns, n_runs);
    printf("{\"bench\": \"%s\", \"case\": \"%s@%d\", \"metric\": \"time\", \"unit\": \"ns\", \"value\": %.2f, \"least\": %.2f, ",
           bench_name, name, n_threads, value, ours_ns[0]);
    if (peer != NULL) {
        double peer_value = bench_median(peer_ns, n_runs);
        printf("\"peer\": \"%s\", \"peer_value\": %.2f, \"peer_least\": %.2f, \"ratio\": %.3f, ", peer, peer_value, peer_ns[0],
               peer_value / value);
    } else {
        printf("\"peer\": null, \"peer_value\": null, \"ratio\": null, ");
    }
    printf("\"runs\": %d, \"neighbours\": %.2f}\n", n_runs, neighbours > 0 ? neighbours : 0);
    fflush(stdout);
}

void bench_report(const char *name, int n_threads, const char *metric, const char *unit, double value, const char *peer,
                  double peer_value)
{
    printf("{\"bench\": \"%s\", \"case\": \"%s@%d\", \"metric\": \"%s\", \"unit\": \"%s\", \"value\": %.2f, ", bench_name, name,
           n_threads, metric, unit, value);
    if (peer != NULL) {
        double ratio = value > 0 ? peer_value / value : 0;
        printf("\"peer\": \"%s\", \"peer_value\": %.2f, \"ratio\": %.3f}\n", peer, peer_value, ratio);
    } else {
        printf("\"peer\": null, \"peer_value\": null, \"ratio\": null}\n");
    }
    fflush(stdout);
}

void bench_count(const char *name, int n_threads, const char *metric, const char *unit, double value)
{
    bench_report(name, n_threads, metric, unit, value, NULL, 0);
}
