/* pool.c - see pool.h. Threads that have nothing to do sleep on one condition variable: workers for tasks, waiters for the end of what
 * they wait for. Every task that ends while somebody waits wakes them to look again. */
#include "pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

enum { N_INLINE = 4 };

struct pool_task {
    pool_body body;
    void *arg;
    long i;
    int n_unmet; /* dependencies that have not ended, plus one until it is submitted */
    int n_dependents, capacity;
    bool is_done;
    pool_task *next;    /* in the list of ready tasks */
    pool_task *younger; /* in the list of all tasks */
    pool_task *inline_dependents[N_INLINE];
    pool_task **dependents;
};

struct pool {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    pool_task *head; /* ready */
    pool_task *all;
    long n_unfinished;
    int n_sleeping;
    bool is_open, is_stopping;
    int n_workers;
    pthread_t workers[];
};

static void *out_of_memory(void) { abort(); }

/* The newest task is taken first: waits inside tasks then nest no deeper than the tree of tasks. */
static void push_locked(pool *p, pool_task *task)
{
    task->next = p->head;
    p->head = task;
    if (p->n_sleeping > 0 && p->is_open) {
        pthread_cond_signal(&p->changed);
    }
}

static pool_task *pop_locked(pool *p)
{
    pool_task *task = p->is_open ? p->head : NULL;
    if (task != NULL) {
        p->head = task->next;
    }
    return task;
}

static void finish_locked(pool *p, pool_task *task)
{
    task->is_done = true;
    for (int k = 0; k < task->n_dependents; k++) {
        if (--task->dependents[k]->n_unmet == 0) {
            push_locked(p, task->dependents[k]);
        }
    }
    p->n_unfinished--;
    if (p->n_sleeping > 0) {
        pthread_cond_broadcast(&p->changed);
    }
}

static bool are_done(pool_task *const *tasks, int n_tasks)
{
    for (int i = 0; i < n_tasks; i++) {
        if (!tasks[i]->is_done) {
            return false;
        }
    }
    return true;
}

/* Runs tasks until the pool stops (no tasks named), or those named are done, or with n_tasks < 0 until all are. */
static void work(pool *p, pool_task *const *tasks, int n_tasks)
{
    pthread_mutex_lock(&p->mutex);
    for (;;) {
        if (n_tasks < 0 ? p->n_unfinished == 0 : (tasks != NULL ? are_done(tasks, n_tasks) : p->is_stopping)) {
            break;
        }
        pool_task *task = pop_locked(p);
        if (task != NULL) {
            pthread_mutex_unlock(&p->mutex);
            task->body(task->arg, task->i);
            pthread_mutex_lock(&p->mutex);
            finish_locked(p, task);
        } else {
            p->n_sleeping++;
            pthread_cond_wait(&p->changed, &p->mutex);
            p->n_sleeping--;
        }
    }
    pthread_mutex_unlock(&p->mutex);
}

static void *worker(void *arg)
{
    work(arg, NULL, 0);
    return NULL;
}

pool *pool_create(int n_threads)
{
    pool *p = calloc(1, sizeof(*p) + (size_t)n_threads * sizeof(p->workers[0]));
    if (p == NULL) {
        return out_of_memory();
    }
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->changed, NULL);
    p->is_open = true;
    for (; p->n_workers < n_threads - 1; p->n_workers++) {
        if (pthread_create(&p->workers[p->n_workers], NULL, worker, p) != 0) {
            abort();
        }
    }
    return p;
}

void pool_destroy(pool *p)
{
    pthread_mutex_lock(&p->mutex);
    p->is_stopping = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->mutex);
    for (int i = 0; i < p->n_workers; i++) {
        pthread_join(p->workers[i], NULL);
    }
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->mutex);
    free(p);
}

pool_task *pool_new(pool *p, pool_body body, void *arg, long i)
{
    pool_task *task = malloc(sizeof(*task));
    if (task == NULL) {
        return out_of_memory();
    }
    (void)p;
    task->body = body;
    task->arg = arg;
    task->i = i;
    task->n_unmet = 1;
    task->n_dependents = 0;
    task->capacity = N_INLINE;
    task->is_done = false;
    task->dependents = task->inline_dependents;
    return task;
}

static void grow(pool_task *task)
{
    bool is_inline = task->dependents == task->inline_dependents;
    size_t n_bytes = 2 * (size_t)task->capacity * sizeof(task->dependents[0]);
    pool_task **larger = realloc(is_inline ? NULL : task->dependents, n_bytes);
    if (larger == NULL) {
        out_of_memory();
        return;
    }
    for (int k = 0; is_inline && k < task->n_dependents; k++) {
        larger[k] = task->inline_dependents[k];
    }
    task->dependents = larger;
    task->capacity *= 2;
}

void pool_depend(pool *p, pool_task *task, pool_task *on)
{
    pthread_mutex_lock(&p->mutex);
    if (!on->is_done) {
        if (on->n_dependents == on->capacity) {
            grow(on);
        }
        on->dependents[on->n_dependents++] = task;
        task->n_unmet++;
    }
    pthread_mutex_unlock(&p->mutex);
}

void pool_submit(pool *p, pool_task *task)
{
    pthread_mutex_lock(&p->mutex);
    task->younger = p->all;
    p->all = task;
    p->n_unfinished++;
    if (--task->n_unmet == 0) {
        push_locked(p, task);
    }
    pthread_mutex_unlock(&p->mutex);
}

void pool_gate(pool *p, int is_open)
{
    pthread_mutex_lock(&p->mutex);
    p->is_open = is_open;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->mutex);
}

void pool_wait(pool *p)
{
    work(p, NULL, -1);
    while (p->all != NULL) {
        pool_task *task = p->all;
        p->all = task->younger;
        if (task->dependents != task->inline_dependents) {
            free(task->dependents);
        }
        free(task);
    }
}

void pool_wait_for(pool *p, pool_task *const *tasks, int n_tasks) { work(p, tasks, n_tasks); }
