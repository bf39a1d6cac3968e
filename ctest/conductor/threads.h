/* threads.h - between the files of the conductor: its threads, what each is about to do, and the strategy that chooses.
 *
 * One thread holds the baton (cd.current) and alone touches what is declared here. It says what it is about to do (cd_op), asks the strategy
 * who goes next, wakes that thread and sleeps until it is chosen itself. So at each choice every thread's next operation is known. */
#ifndef PARLA_TEST_CONDUCTOR_THREADS_H
#define PARLA_TEST_CONDUCTOR_THREADS_H

#include "conductor.h"

#include <pthread.h>

enum { CD_MAX_THREADS = 32, CD_MAX_STORES = 8, CD_NOBODY = -1 };

typedef enum cd_kind {
    CD_LOCAL,  /* touches nothing that others see: a thread's begin, a wake-up, a yield */
    CD_READ,   /* reads `address` */
    CD_WRITE,  /* writes or updates `address` */
    CD_LOCK,   /* a write that can be done only while the mutex at `address` is free */
    CD_JOIN,   /* a read that can be done only when the thread whose cd_thread is at `address` has ended */
    CD_ASLEEP, /* until woken, or until deadline_ns if that is not 0; then a read of `address` */
} cd_kind;

typedef struct cd_op {
    cd_kind kind;
    bool is_fenced; /* only when the thread's own stores have been seen */
    uintptr_t address;
    size_t n_bytes;
    cd_place place;
} cd_op;

/* A store that its thread has done and the others do not see yet. */
typedef struct cd_store {
    uintptr_t address;
    size_t n_bytes;
    uint64_t bits;
    cd_place place;
} cd_store;

typedef struct cd_thread {
    int index;
    bool is_alive;
    uint32_t go; /* the futex that it sleeps on without the baton */
    cd_op op;
    const void *sleeps_on; /* while CD_ASLEEP */
    bool is_woken;
    uint64_t deadline_ns;
    cd_store stores[CD_MAX_STORES];
    int n_stores;
    pthread_t pthread;
    void *(*run)(void *);
    void *arg, *result;
    int n_key_rounds; /* see end_of_thread in wraps.c */
} cd_thread;

/* A strategy. Processes are threads (their index) and, with store buffers, CD_MAX_THREADS + index: "the oldest store is seen". */
typedef struct cd_strategy {
    /* The calling thread's next operation is set; returns which process goes. `self` is ended or asleep, or would like to go on. */
    int (*pick)(cd_thread *self);
    /* May an access be done without asking? For speed. */
    bool (*goes_on)(void);
    int (*choose)(int n);
    void (*on_create)(int creator, int created);
    void (*on_wake)(int waker, int woken);
    void (*on_store)(int owner, int i_store);
    void (*print)(void);
    bool has_store_buffers;
    bool times_out_any_time; /* a sleeper with a deadline may time out whenever it is chosen */
} cd_strategy;

typedef struct cd_state {
    const cd_strategy *strategy; /* NULL: nothing is conducted */
    cd_thread threads[CD_MAX_THREADS];
    int n_threads, n_alive;
    int current;
    uint64_t now_ns;
    uint64_t n_switches;
} cd_state;

extern cd_state cd;

/* The calling thread, or NULL if it is not conducted. */
cd_thread *cd_self(void);

/* The calling thread becomes thread 0, under this strategy; and back. */
void cd_begin(const cd_strategy *strategy);
void cd_end(void);

/* Can the process go now? */
bool cd_is_enabled(int process);
/* A bit for each process that can. Advances the time if it takes that, and fails if nobody ever can. */
uint64_t cd_enabled(void);

/* Announces an operation; returns when the strategy has chosen the calling thread for it. */
void cd_step(cd_thread *self, cd_op op);
void cd_step_local(cd_thread *self, const char *file, int line, const char *text);

/* From here on the calling thread can be woken; then it sleeps until it is. False: the deadline (0: none) came first. */
void cd_sleep_begin(cd_thread *self, const void *address, uint64_t deadline_ns);
bool cd_sleep(cd_thread *self, const cd_place *place);
/* Wakes up to n sleepers; which ones is a choice. Returns how many. */
int cd_wake(cd_thread *self, const void *address, int n);

/* A new thread, known to the conductor but not running yet; what it calls first, and last. */
cd_thread *cd_thread_new(cd_thread *creator);
void cd_thread_enter(cd_thread *self);
void cd_thread_leave(cd_thread *self);

/* The oldest store of a thread reaches memory. */
void cd_see_oldest_store(cd_thread *owner);

void cd_print_place(int process, const cd_place *place, const char *word);
/* Prints the schedule and what each thread is about to do. */
void cd_print(void);
__attribute__((noreturn, format(printf, 1, 2))) void cd_fail(const char *format, ...);

#define CD_HERE(text) (&(const cd_place){__FILE__, __LINE__, text})

#endif
