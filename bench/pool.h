/* pool.h - the floor that a runtime must not lose to: a thread pool with one mutex, as one writes it in an afternoon.
 *
 * Tasks live on the heap, dependencies are counted, what is ready is a list; everything shared is under the one mutex. The thread that waits
 * works too, so n_threads counts it. Tasks stay allocated until pool_wait, since others may still name them. */
#ifndef PARLA_BENCH_POOL_H
#define PARLA_BENCH_POOL_H

typedef struct pool pool;
typedef struct pool_task pool_task;
typedef void (*pool_body)(void *arg, long i);

pool *pool_create(int n_threads);
void pool_destroy(pool *p);

/* Makes a task; it starts after pool_submit, when all that it depends on has ended. */
pool_task *pool_new(pool *p, pool_body body, void *arg, long i);
void pool_depend(pool *p, pool_task *task, pool_task *on);
void pool_submit(pool *p, pool_task *task);

/* While the gate is closed workers take nothing. It is open at first. */
void pool_gate(pool *p, int is_open);

/* Works until every task has ended, and frees them all. From: the thread that made the pool. */
void pool_wait(pool *p);

/* Works until these tasks have ended. From: inside a task as well. */
void pool_wait_for(pool *p, pool_task *const *tasks, int n_tasks);

#endif
