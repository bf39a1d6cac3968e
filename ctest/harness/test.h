/* test.h - what a C test program is written with.
 *
 * A case registers itself, and test_main.c runs each in a process of its own with a time limit, so a crash or a hang of one case costs
 * only that case. Assertions work from any thread and in every build: a failed one prints both values and aborts the case's process. */
#ifndef PARLA_TEST_H
#define PARLA_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct t_case {
    const char *name;
    void (*run)(void);
    int timeout_s; /* 0: the program's limit */
    struct t_case *next;
} t_case;

/* Defines and registers a case: T_TEST(name) { … }. The second form has its own time limit, in seconds. */
#define T_TEST(name) T_TEST_TIMEOUT(name, 0)
#define T_TEST_TIMEOUT(name, seconds)                                                                                              \
    static void t_body_##name(void);                                                                                               \
    __attribute__((constructor)) static void t_register_##name(void)                                                               \
    {                                                                                                                              \
        static t_case self = {#name, t_body_##name, (seconds), NULL};                                                              \
        t_register(&self);                                                                                                         \
    }                                                                                                                              \
    static void t_body_##name(void)

/* --- Assertions ------------------------------------------------------------------------------------------------------------- */

#define T_TRUE(c) ((c) ? (void)0 : t_fail_bool(T_AT, #c, true))
#define T_FALSE(c) ((c) ? t_fail_bool(T_AT, #c, false) : (void)0)

/* Integers of any type, compared as intmax_t. */
#define T_EQ(a, b) T_COMPARE(a, ==, b)
#define T_NE(a, b) T_COMPARE(a, !=, b)
#define T_LT(a, b) T_COMPARE(a, <, b)
#define T_LE(a, b) T_COMPARE(a, <=, b)
#define T_GT(a, b) T_COMPARE(a, >, b)
#define T_GE(a, b) T_COMPARE(a, >=, b)

#define T_EQ_STR(a, b) t_check_str(T_AT, #a, (a), #b, (b))
#define T_EQ_PTR(a, b) t_check_ptr(T_AT, #a, (a), #b, (b))

/* The string `a` contains `part`. */
#define T_HAS_STR(a, part) t_check_has_str(T_AT, #a, (a), (part))

/* The same bytes; the first that differs is printed. */
#define T_EQ_MEM(a, b, n_bytes) t_check_mem(T_AT, #a, (a), #b, (b), (n_bytes))

/* |a - b| <= tolerance; a NaN fails. */
#define T_NEAR(a, b, tolerance) t_check_near(T_AT, #a, (a), #b, (b), (tolerance))

/* The call returns 0; else its code is printed by name with parla_error_detail() where the library is linked. */
#define T_OK(call) t_check_ok(T_AT, #call, (call))

/* The condition becomes true within `ms` milliseconds (ten times as long under a sanitizer). It is evaluated again and again. */
#define T_EVENTUALLY(cond, ms)                                                                                                     \
    do {                                                                                                                           \
        t_wait t_wait_state = t_wait_begin(T_AT ": waiting for " #cond, (ms));                                                     \
        while (!(cond)) {                                                                                                          \
            t_wait_step(&t_wait_state);                                                                                            \
        }                                                                                                                          \
        t_wait_end(&t_wait_state);                                                                                                 \
    } while (0)

/* Fails in words. */
#define T_FAIL(...) t_fail(T_AT, __VA_ARGS__)

/* Ends the case as skipped; only in the case's own function, since it returns. */
#define T_SKIP(why)                                                                                                                \
    do {                                                                                                                           \
        t_skip(why);                                                                                                               \
        return;                                                                                                                    \
    } while (0)

/* What the case is doing, printed if it runs out of time. `text` must stay valid. */
void t_phase(const char *text);

/* Adds to a number of the test summary (ci/summary.py): t_count(2000, "schedule seeds"). */
void t_count(uint64_t n, const char *what);

/* --- Inputs ----------------------------------------------------------------------------------------------------------------- */

/* The seed of this run: --seed, else PARLA_TEST_SEED, else always the same one. Printed by the runner. */
uint64_t t_seed(void);

/* How often to repeat something that is repeated n times in a plain build: n * PARLA_TEST_SCALE, else a tenth under a sanitizer; >= 1. */
uint64_t t_scale(uint64_t n);

/* Pseudo-random numbers (splitmix64), the same on every machine. Start with {t_seed() + something}. */
typedef struct t_rng {
    uint64_t state;
} t_rng;

static inline uint64_t t_next(t_rng *rng)
{
    uint64_t z = (rng->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A number in [0, n), n > 0. The bias is below n / 2^64. */
static inline uint64_t t_below(t_rng *rng, uint64_t n) { return t_next(rng) % n; }

/* --- Behind the macros ------------------------------------------------------------------------------------------------------ */

#define T_TEXT2(x) #x
#define T_TEXT(x) T_TEXT2(x)
#define T_AT __FILE__ ":" T_TEXT(__LINE__)

#define T_COMPARE(a, op, b)                                                                                                        \
    do {                                                                                                                           \
        intmax_t t_a = (intmax_t)(a), t_b = (intmax_t)(b);                                                                         \
        if (!(t_a op t_b)) {                                                                                                       \
            t_fail_compare(T_AT, #a " " #op " " #b, t_a, t_b);                                                                     \
        }                                                                                                                          \
    } while (0)

typedef struct t_wait {
    const char *before; /* the phase to go back to */
    int64_t begin_ns, limit_ns;
    unsigned n_steps;
} t_wait;

t_wait t_wait_begin(const char *what, int64_t limit_ms);
void t_wait_step(t_wait *wait);
void t_wait_end(t_wait *wait);

void t_register(t_case *self);
void t_skip(const char *why);

#define T_NORETURN __attribute__((noreturn, cold))
T_NORETURN void t_fail(const char *at, const char *format, ...) __attribute__((format(printf, 2, 3)));
T_NORETURN void t_fail_bool(const char *at, const char *text, bool wanted);
T_NORETURN void t_fail_compare(const char *at, const char *text, intmax_t a, intmax_t b);
void t_check_str(const char *at, const char *text_a, const char *a, const char *text_b, const char *b);
void t_check_has_str(const char *at, const char *text_a, const char *a, const char *part);
void t_check_ptr(const char *at, const char *text_a, const void *a, const char *text_b, const void *b);
void t_check_mem(const char *at, const char *text_a, const void *a, const char *text_b, const void *b, size_t n_bytes);
void t_check_near(const char *at, const char *text_a, double a, const char *text_b, double b, double tolerance);
void t_check_ok(const char *at, const char *text, int code);

#endif
