/* atomic.h - atomic accesses named after the order that they give; the only way the sources touch shared words.
 *
 * There are no standalone fences: ThreadSanitizer does not model them. Where a store must be seen before a later load of another word
 * all four accesses use the _seq forms, which lie in one total order; where one side does it for each task, fence.h makes the other pay. */
#ifndef PL_BASE_ATOMIC_H
#define PL_BASE_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define pl_load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define pl_load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define pl_load_seq(p) atomic_load_explicit((p), memory_order_seq_cst)

#define pl_store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define pl_store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define pl_store_seq(p, v) atomic_store_explicit((p), (v), memory_order_seq_cst)

/* Words that one thread at a time owns, which writes them, while others read them (acquire) only for a hint or a report: no schedule of
 * these accesses makes a difference. */
#define pl_load_own(p) atomic_load_explicit((p), memory_order_relaxed)
#define pl_store_own(p, v) atomic_store_explicit((p), (v), memory_order_release)

#define pl_exchange_acq_rel(p, v) atomic_exchange_explicit((p), (v), memory_order_acq_rel)
#define pl_exchange_seq(p, v) atomic_exchange_explicit((p), (v), memory_order_seq_cst)

/* These return the value before. */
#define pl_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define pl_add_acq_rel(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define pl_add_seq(p, v) atomic_fetch_add_explicit((p), (v), memory_order_seq_cst)
#define pl_sub_acq_rel(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_acq_rel)
#define pl_sub_seq(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_seq_cst)

/* Compare and swap: true on success; on failure *expected holds what was found. The weak form may fail for no reason. */
#define pl_cas_acq_rel(p, expected, desired)                                                                                       \
    atomic_compare_exchange_strong_explicit((p), (expected), (desired), memory_order_acq_rel, memory_order_acquire)
#define pl_cas_weak_acq_rel(p, expected, desired)                                                                                  \
    atomic_compare_exchange_weak_explicit((p), (expected), (desired), memory_order_acq_rel, memory_order_acquire)
#define pl_cas_seq(p, expected, desired)                                                                                           \
    atomic_compare_exchange_strong_explicit((p), (expected), (desired), memory_order_seq_cst, memory_order_seq_cst)
#define pl_cas_weak_seq(p, expected, desired)                                                                                      \
    atomic_compare_exchange_weak_explicit((p), (expected), (desired), memory_order_seq_cst, memory_order_seq_cst)

/* Counters with one writing thread: a plain load and store, readable by all. */
#define pl_count(p, n) atomic_store_explicit((p), atomic_load_explicit((p), memory_order_relaxed) + (n), memory_order_release)

#endif
