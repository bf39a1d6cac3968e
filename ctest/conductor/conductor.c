/* conductor.c - the baton, and what a thread may be about to do. See threads.h.
 *
 * This file is compiled without sanitizers: the baton orders all that the threads do, and ThreadSanitizer would find no race any more if it
 * saw that. It sees the program's own accesses only, which do or do not order each other as they do without a conductor, so that each
 * schedule is searched for data races as well. */
#include "threads.h"

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

long __real_syscall(long number, ...);

cd_state cd;
static _Thread_local cd_thread *self_of_thread;
static bool had_late_stores;

bool cd_may_have_late_stores(void) { return had_late_stores; }

cd_thread *cd_self(void) { return cd.strategy ? self_of_thread : NULL; }

/* --- The baton -------------------------------------------------------------------------------------------------------------- */

static void give_baton(cd_thread *to)
{
    cd.current = to->index;
    cd.n_switches++;
    __atomic_store_n(&to->go, 1, __ATOMIC_RELEASE);
    __real_syscall(SYS_futex, &to->go, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void await_baton(cd_thread *self)
{
    while (!__atomic_load_n(&self->go, __ATOMIC_ACQUIRE))
        __real_syscall(SYS_futex, &self->go, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    __atomic_store_n(&self->go, 0, __ATOMIC_RELAXED);
}

/* Returns when the calling thread goes on; at once, without the baton, if it has ended. */
static void proceed(cd_thread *self)
{
    for (;;) {
        int process = cd.strategy->pick(self);
        if (process == self->index)
            return;
        if (process < CD_MAX_THREADS) {
            bool has_ended = !self->is_alive; /* from the hand-over on, its place may serve another thread */
            give_baton(&cd.threads[process]);
            if (!has_ended)
                await_baton(self);
            return;
        }
        cd_see_oldest_store(&cd.threads[process - CD_MAX_THREADS]);
    }
}

/* --- Who can go ------------------------------------------------------------------------------------------------------------- */

static bool is_free(uintptr_t mutex) { return __atomic_load_n(&((pthread_mutex_t *)mutex)->__data.__lock, __ATOMIC_RELAXED) == 0; }

static bool can_go(const cd_thread *thread)
{
    const cd_op *op = &thread->op;
    if (!thread->is_alive || (op->is_fenced && thread->n_stores > 0))
        return false;
    switch (op->kind) {
    case CD_LOCK:
        return is_free(op->address);
    case CD_JOIN:
        return !((const cd_thread *)op->address)->is_alive;
    case CD_ASLEEP:
        return thread->is_woken ||
               (thread->deadline_ns != 0 && (cd.strategy->times_out_any_time || cd.now_ns >= thread->deadline_ns));
    default:
        return true;
    }
}

bool cd_is_enabled(int process)
{
    return process < CD_MAX_THREADS ? can_go(&cd.threads[process]) : cd.threads[process - CD_MAX_THREADS].n_stores > 0;
}

static uint64_t enabled_now(void)
{
    uint64_t mask = 0;
    for (int i = 0; i < cd.n_threads; i++) {
        mask |= can_go(&cd.threads[i]) ? UINT64_C(1) << i : 0;
        mask |= cd.threads[i].n_stores > 0 ? UINT64_C(1) << (CD_MAX_THREADS + i) : 0;
    }
    return mask;
}

uint64_t cd_enabled(void)
{
    uint64_t mask = enabled_now(), next_ns = UINT64_MAX;
    if (mask)
        return mask;
    for (int i = 0; i < cd.n_threads; i++) {
        const cd_thread *thread = &cd.threads[i];
        if (thread->is_alive && thread->op.kind == CD_ASLEEP && thread->deadline_ns != 0 && thread->deadline_ns < next_ns)
            next_ns = thread->deadline_ns;
    }
    if (next_ns == UINT64_MAX)
        cd_fail("deadlock: no thread can go on");
    cd.now_ns = next_ns;
    return enabled_now();
}

/* --- Steps ------------------------------------------------------------------------------------------------------------------ */

/* A thread that is alone needs nobody's leave. */
static bool is_alone(const cd_thread *self) { return cd.n_alive == 1 && self->n_stores == 0; }

void cd_step(cd_thread *self, cd_op op)
{
    if (is_alone(self) && op.kind != CD_ASLEEP)
        return;
    self->op = op;
    proceed(self);
}

void cd_step_local(cd_thread *self, const char *file, int line, const char *text)
{
    cd_step(self, (cd_op){.kind = CD_LOCAL, .place = {file, line, text}});
}

static cd_op access_of(cd_kind kind, volatile const void *address, size_t n_bytes, bool is_fenced, const cd_place *place)
{
    return (cd_op){.kind = kind, .is_fenced = is_fenced, .address = (uintptr_t)address, .n_bytes = n_bytes, .place = *place};
}

/* The newest of its own stores that a load has to see; *out_partly if it covers only a part, which the load then waits for. */
static cd_store *own_store(cd_thread *self, uintptr_t address, size_t n_bytes, bool *out_partly)
{
    *out_partly = false;
    for (int i = self->n_stores - 1; i >= 0; i--) {
        cd_store *store = &self->stores[i];
        if (store->address == address && store->n_bytes == n_bytes)
            return store;
        *out_partly |= store->address < address + n_bytes && address < store->address + store->n_bytes;
    }
    return NULL;
}

void *cd_before_load(volatile const void *address, size_t n_bytes, const cd_place *place)
{
    cd_thread *self = cd_self();
    bool is_partly;
    if (!self || cd.strategy->goes_on())
        return (void *)address;
    (void)own_store(self, (uintptr_t)address, n_bytes, &is_partly);
    cd_step(self, access_of(CD_READ, address, n_bytes, is_partly, place));
    cd_store *store = own_store(self, (uintptr_t)address, n_bytes, &is_partly);
    return store ? &store->bits : (void *)address;
}

void *cd_before_store(volatile void *address, size_t n_bytes, bool is_seq, const cd_place *place)
{
    cd_thread *self = cd_self();
    if (!self || cd.strategy->goes_on())
        return (void *)address;
    bool may_be_late = !is_seq && !is_alone(self);
    bool is_late = may_be_late && cd.strategy->has_store_buffers;
    had_late_stores |= may_be_late;
    if (!is_late || self->n_stores == CD_MAX_STORES)
        cd_step(self, access_of(CD_WRITE, address, n_bytes, cd.strategy->has_store_buffers, place));
    if (!is_late)
        return (void *)address;
    self->stores[self->n_stores] = (cd_store){.address = (uintptr_t)address, .n_bytes = n_bytes, .place = *place};
    cd.strategy->on_store(self->index, self->n_stores);
    return &self->stores[self->n_stores++].bits;
}

void *cd_before_update(volatile void *address, size_t n_bytes, const cd_place *place)
{
    cd_thread *self = cd_self();
    if (self && !cd.strategy->goes_on())
        cd_step(self, access_of(CD_WRITE, address, n_bytes, true, place));
    return (void *)address;
}

void cd_see_oldest_store(cd_thread *owner)
{
    const cd_store *store = &owner->stores[0];
    memcpy((void *)store->address, &store->bits, store->n_bytes);
    owner->n_stores--;
    memmove(&owner->stores[0], &owner->stores[1], (size_t)owner->n_stores * sizeof owner->stores[0]);
}

int cd_choose(int n) { return cd_self() && n > 1 ? cd.strategy->choose(n) : 0; }

/* --- Sleep and wake --------------------------------------------------------------------------------------------------------- */

void cd_sleep_begin(cd_thread *self, const void *address, uint64_t deadline_ns)
{
    self->sleeps_on = address;
    self->is_woken = false;
    self->deadline_ns = deadline_ns;
}

bool cd_sleep(cd_thread *self, const cd_place *place)
{
    cd_step(self, access_of(CD_ASLEEP, self->sleeps_on, self->deadline_ns != 0, false, place));
    self->sleeps_on = NULL;
    if (!self->is_woken && cd.now_ns < self->deadline_ns)
        cd.now_ns = self->deadline_ns;
    return self->is_woken;
}

/* The k-th of the threads that sleep on an address and are not woken yet; with k < 0 *out_n counts them. */
static cd_thread *sleeper(const void *address, int k, int *out_n)
{
    int n = 0;
    for (int i = 0; i < cd.n_threads; i++) {
        cd_thread *thread = &cd.threads[i];
        if (thread->is_alive && thread->sleeps_on == address && !thread->is_woken && n++ == k)
            return thread;
    }
    *out_n = n;
    return NULL;
}

int cd_wake(cd_thread *self, const void *address, int n)
{
    int n_woken = 0, n_asleep;
    for (; n_woken < n; n_woken++) {
        (void)sleeper(address, -1, &n_asleep);
        if (n_asleep == 0)
            break;
        cd_thread *thread = sleeper(address, n >= n_asleep ? 0 : cd_choose(n_asleep), &n_asleep);
        thread->is_woken = true;
        cd.strategy->on_wake(self->index, thread->index);
    }
    return n_woken;
}

/* --- Threads ---------------------------------------------------------------------------------------------------------------- */

static int free_place(void)
{
    for (int i = 0; i < cd.n_threads; i++)
        if (!cd.threads[i].is_alive && !cd.threads[i].run)
            return i;
    if (cd.n_threads == CD_MAX_THREADS)
        cd_fail("more than %d threads", CD_MAX_THREADS);
    return cd.n_threads++;
}

cd_thread *cd_thread_new(cd_thread *creator)
{
    int i = free_place();
    cd_thread *thread = &cd.threads[i];
    cd.n_alive++;
    *thread = (cd_thread){.index = i, .is_alive = true, .op = {.place = {__FILE__, __LINE__, "begins"}}};
    if (creator)
        cd.strategy->on_create(creator->index, i);
    return thread;
}

void cd_thread_enter(cd_thread *self)
{
    self_of_thread = self;
    await_baton(self);
}

void cd_thread_leave(cd_thread *self)
{
    cd_step(self, access_of(CD_WRITE, self, sizeof *self, true, CD_HERE("ends")));
    self->is_alive = false;
    cd.n_alive--;
    self_of_thread = NULL;
    proceed(self);
}

void t_print_more(void);
void t_print_more(void)
{
    if (cd.strategy)
        cd_print();
}

static void print_and_abort(int number)
{
    signal(number, SIG_DFL);
    t_print_more();
    raise(number);
}

/* One thread at a time is fastest on one core. */
static void stay_on_a_core(void)
{
    static bool is_placed;
    cpu_set_t set;
    if (is_placed)
        return;
    is_placed = true;
    CPU_ZERO(&set);
    CPU_SET(sched_getcpu(), &set);
    (void)!sched_setaffinity(0, sizeof set, &set);
}

void cd_begin(const cd_strategy *strategy)
{
    stay_on_a_core();
    memset(&cd, 0, sizeof cd);
    cd.now_ns = 1000000000;
    cd.strategy = strategy;
    self_of_thread = cd_thread_new(NULL);
    signal(SIGABRT, print_and_abort);
}

void cd_end(void)
{
    cd_thread *self = cd_self();
    cd_step(self, (cd_op){.kind = CD_LOCAL, .is_fenced = true, .place = {__FILE__, __LINE__, "the scenario ends"}});
    for (int i = 1; i < cd.n_threads; i++)
        if (cd.threads[i].is_alive)
            cd_fail("thread %d was not joined", i);
    self_of_thread = NULL;
    cd.strategy = NULL;
    signal(SIGABRT, SIG_DFL);
}

/* --- Words ------------------------------------------------------------------------------------------------------------------ */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void cd_print_place(int process, const cd_place *place, const char *word)
{
    bool is_store = process >= CD_MAX_THREADS;
    fprintf(stderr, "#   thread %d %s%s:%d %s%s\n", is_store ? process - CD_MAX_THREADS : process,
            is_store ? "is seen to have done " : "", base_name(place->file), place->line, place->text, word);
}

void cd_print(void)
{
    fprintf(stderr, "# the schedule:\n");
    cd.strategy->print();
    fprintf(stderr, "# where the threads are:\n");
    for (int i = 0; i < cd.n_threads; i++) {
        const cd_thread *thread = &cd.threads[i];
        if (thread->is_alive)
            cd_print_place(i, &thread->op.place, i == cd.current ? " (runs)" : can_go(thread) ? "" : " (cannot go on)");
    }
}

void cd_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "# ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    abort();
}
