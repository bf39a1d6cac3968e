/* conductor.h - runs the threads of a program one at a time and decides, at each access to shared memory, which one goes on.
 *
 * The library is compiled a second time for this (parla_conducted), from the same sources: shadow/base/atomic.h stands before its
 * base/atomic.h, so that each atomic access comes here first, and the program is linked with --wrap for what blocks (wraps.c): mutexes,
 * conditions, futexes, creation and end of threads, clocks. Threads are real ones, so thread-local variables and sanitizers see what they
 * always see, but all except one sleep. Time is a counter: it jumps to the next deadline when nobody can go on, and when there is none
 * either, that is a deadlock, which is printed with what each thread waits for.
 *
 * Two strategies decide:
 *   cd_explore   every schedule of a small program that differs in something, one after the other (exhaustive.c)
 *   cd_perturb   one schedule of a large program, drawn from a seed (random.c)
 * A failure prints the schedule that led to it. */
#ifndef PARLA_TEST_CONDUCTOR_H
#define PARLA_TEST_CONDUCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__SANITIZE_THREAD__)
enum { CD_HAS_STORE_BUFFERS = false }; /* ThreadSanitizer does not know a store that another thread lets be seen */
#else
enum { CD_HAS_STORE_BUFFERS = true };
#endif

typedef struct cd_exploring {
    bool has_store_buffers; /* stores that are not sequentially consistent are seen late, in order, as on x86 */
    bool is_plain;          /* without reduction: really every schedule, to check the reduction with */
} cd_exploring;

/* Calls scenario again and again, in the calling thread, until every schedule of the threads that it makes has been seen. Scenarios must
 * be repeatable, and join their threads. Returns how many schedules there were. */
uint64_t cd_explore(const cd_exploring *how, void (*scenario)(void));
/* Did the last exploration meet stores that store buffers would delay? If not, they make no difference. */
bool cd_may_have_late_stores(void);

/* Calls scenario once, under a schedule that follows from the seed. Returns how many times the conductor switched. */
uint64_t cd_perturb(uint64_t seed, void (*scenario)(void));
/* Lets the library see a machine of two cores whatever this one has, and look at it once; before the first cd_perturb, so that a schedule is
 * the same everywhere. */
void cd_prepare(void);
/* The last of these schedules as one number: who was about to do what at each choice, and who went. */
uint64_t cd_trace(void);

/* A decision of the schedule: each of 0 … n-1 when exploring, a random one when perturbing, 0 outside. */
int cd_choose(int n);

/* What the shadow header calls; the result is where to access instead of `address` (a store buffer's entry). */
typedef struct cd_place {
    const char *file;
    int line;
    const char *text;
} cd_place;
void *cd_before_load(volatile const void *address, size_t n_bytes, const cd_place *place);
void *cd_before_store(volatile void *address, size_t n_bytes, bool is_seq, const cd_place *place);
void *cd_before_update(volatile void *address, size_t n_bytes, const cd_place *place);

#endif
