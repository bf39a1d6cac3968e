/* test.c - assertions, waiting and seeds of the test harness.
 *
 * Everything here may be called from any thread of a case. The state is the current case, its phase and the skip mark; a failure
 * prints one block to stderr and aborts, so that a debugger or a core file shows the thread that failed. */
#include "test_internal.h"

#include <execinfo.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Present only when the program links the library: then failures of calls are printed in words. */
extern const char *parla_error_name(int code) __attribute__((weak));
extern const char *parla_error_detail(void) __attribute__((weak));

/* Present only where the conductor is (ctest/conductor): prints the schedule that led to a failure. */
extern void t_print_more(void) __attribute__((weak));

enum { MAX_CALLS = 40 };

static t_case *first_case;
static const char *_Atomic case_name = "?";
static const char *_Atomic phase;
static atomic_bool is_skipped;
static uint64_t seed;

/* Present only under a sanitizer, which ends the process in its own way. */
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

t_case *t_first_case(void) { return first_case; }
const char *t_case_name(void) { return atomic_load_explicit(&case_name, memory_order_relaxed); }
uint64_t t_seed(void) { return seed; }
void t_set_seed(uint64_t value) { seed = value; }
bool t_was_skipped(void) { return atomic_load_explicit(&is_skipped, memory_order_relaxed); }
void t_phase(const char *text) { atomic_store_explicit(&phase, text, memory_order_relaxed); }

void t_count(uint64_t n, const char *what) { fprintf(stderr, "# count: %llu %s\n", (unsigned long long)n, what); }

/* Appends, so that cases run in the order of the file. */
void t_register(t_case *self)
{
    t_case **link = &first_case;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = self;
}

void t_begin_case(const t_case *one)
{
    atomic_store_explicit(&case_name, one->name, memory_order_relaxed);
    atomic_store_explicit(&is_skipped, false, memory_order_relaxed);
    t_phase(NULL);
}

void t_skip(const char *why)
{
    atomic_store_explicit(&is_skipped, true, memory_order_relaxed);
    fprintf(stderr, "# skipped %s: %s\n", t_case_name(), why);
}

bool t_is_sanitized(void)
{
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    return true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
    return true;
#else
    return false;
#endif
#else
    return false;
#endif
}

uint64_t t_scale(uint64_t n)
{
    const char *text = getenv("PARLA_TEST_SCALE");
    double factor = text != NULL ? strtod(text, NULL) : (t_is_sanitized() ? 0.1 : 1.0);
    double scaled = (double)n * factor;
    return scaled >= 1.0 ? (uint64_t)scaled : 1;
}

int64_t t_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* --- Failing ---------------------------------------------------------------------------------------------------------------- */

static void print_head(const char *at)
{
    const char *where = atomic_load_explicit(&phase, memory_order_relaxed);
    fprintf(stderr, "%s: failed in %s (seed %llu)\n", at, t_case_name(), (unsigned long long)seed);
    if (where != NULL && where != at) {
        fprintf(stderr, "#   %s\n", where);
    }
}

T_NORETURN static void end_process(void)
{
    fflush(NULL);
    if (t_print_more)
        t_print_more();
    signal(SIGABRT, SIG_DFL);
    abort();
}

void t_fail(const char *at, const char *format, ...)
{
    va_list args;
    print_head(at);
    fputs("    ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    end_process();
}

void t_fail_bool(const char *at, const char *text, bool wanted) { t_fail(at, "%s is %s", text, wanted ? "false" : "true"); }

void t_fail_compare(const char *at, const char *text, intmax_t a, intmax_t b)
{
    t_fail(at, "%s\n    left:  %jd (0x%jx)\n    right: %jd (0x%jx)", text, a, (uintmax_t)a, b, (uintmax_t)b);
}

void t_check_str(const char *at, const char *text_a, const char *a, const char *text_b, const char *b)
{
    if (a == NULL || b == NULL ? a != b : strcmp(a, b) != 0) {
        t_fail(at, "%s == %s\n    left:  \"%s\"\n    right: \"%s\"", text_a, text_b, a != NULL ? a : "(null)",
               b != NULL ? b : "(null)");
    }
}

void t_check_has_str(const char *at, const char *text_a, const char *a, const char *part)
{
    if (a == NULL || strstr(a, part) == NULL) {
        t_fail(at, "%s contains \"%s\"\n    text:  \"%s\"", text_a, part, a != NULL ? a : "(null)");
    }
}

void t_check_ptr(const char *at, const char *text_a, const void *a, const char *text_b, const void *b)
{
    if (a != b) {
        t_fail(at, "%s == %s\n    left:  %p\n    right: %p", text_a, text_b, a, b);
    }
}

void t_check_mem(const char *at, const char *text_a, const void *a, const char *text_b, const void *b, size_t n_bytes)
{
    const unsigned char *x = a, *y = b;
    for (size_t i = 0; i < n_bytes; i++) {
        if (x[i] != y[i]) {
            t_fail(at, "%s == %s\n    byte %zu of %zu: 0x%02x and 0x%02x", text_a, text_b, i, n_bytes, x[i], y[i]);
        }
    }
}

void t_check_near(const char *at, const char *text_a, double a, const char *text_b, double b, double tolerance)
{
    if (!(fabs(a - b) <= tolerance)) {
        t_fail(at, "%s near %s\n    left:  %.17g\n    right: %.17g\n    apart: %.3g, allowed %.3g", text_a, text_b, a, b,
               fabs(a - b), tolerance);
    }
}

void t_check_ok(const char *at, const char *text, int code)
{
    if (code != 0) {
        const char *name = parla_error_name != NULL ? parla_error_name(code) : "?";
        const char *detail = parla_error_detail != NULL ? parla_error_detail() : "";
        t_fail(at, "%s\n    returned %d %s %s", text, code, name, detail);
    }
}

/* --- Waiting ---------------------------------------------------------------------------------------------------------------- */

t_wait t_wait_begin(const char *what, int64_t limit_ms)
{
    t_wait wait = {.before = atomic_load_explicit(&phase, memory_order_relaxed), .begin_ns = t_now_ns()};
    wait.limit_ns = limit_ms * 1000000 * (t_is_sanitized() ? 10 : 1);
    t_phase(what);
    return wait;
}

/* Asks often at first, then every millisecond: a short wait ends at once, a long one leaves the cores to the code under test. */
void t_wait_step(t_wait *wait)
{
    struct timespec pause = {.tv_nsec = wait->n_steps < 50 ? 20000 : 1000000};
    wait->n_steps++;
    if (t_now_ns() - wait->begin_ns > wait->limit_ns) {
        const char *what = atomic_load_explicit(&phase, memory_order_relaxed);
        t_fail(what, "not within %lld ms", (long long)(wait->limit_ns / 1000000));
    }
    nanosleep(&pause, NULL);
}

void t_wait_end(t_wait *wait) { t_phase(wait->before); }

/* --- Out of time ------------------------------------------------------------------------------------------------------------ */

/* Only what is allowed in a signal handler: write() and plain loads. */
static void write_text(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

static void write_where(void)
{
    const char *where = atomic_load_explicit(&phase, memory_order_relaxed);
    write_text(t_case_name());
    write_text("\n#   ");
    write_text(where != NULL ? where : "(no phase given)");
    write_text("\n");
}

/* backtrace() was called once before, in t_report_on_crash: its first call allocates. */
static void write_calls(void)
{
    void *calls[MAX_CALLS];
    backtrace_symbols_fd(calls, backtrace(calls, MAX_CALLS), STDERR_FILENO);
}

static void on_report(int signal_number)
{
    bool is_late = signal_number == SIGABRT || signal_number == SIGALRM;
    write_text(is_late ? "# out of time or aborted: case " : "# crashed: case ");
    write_where();
    if (!is_late)
        write_calls();
    if (t_print_more) {
        t_print_more(); /* more than is allowed here, but nothing is left to lose */
    }
    signal_number = is_late ? SIGABRT : signal_number;
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void on_sanitizer(void)
{
    write_text("# ended by a sanitizer: case ");
    write_where();
}

void t_report_on_crash(void)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    void *call;
    (void)backtrace(&call, 1);
    if (__sanitizer_set_death_callback != NULL) {
        __sanitizer_set_death_callback(on_sanitizer);
        return;
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        t_report_on(numbers[i]);
    }
}

void t_report_on(int signal_number)
{
    struct sigaction action = {.sa_handler = on_report};
    sigemptyset(&action.sa_mask);
    sigaction(signal_number, &action, NULL);
}
