/* atomic.h - stands before libparla's base/atomic.h where the library is compiled for the conductor: the same names, and before each
 * access a word with the conductor, which may let other threads go first. Values are computed before that word, so that nothing comes
 * between it and the access. The weak forms of compare-and-swap never fail for no reason here. */
#ifndef PARLA_TEST_SHADOW_ATOMIC_H
#define PARLA_TEST_SHADOW_ATOMIC_H

#include_next "base/atomic.h"

#include "conductor.h"

#define CD_PLACE(text) (&(const cd_place){__FILE__, __LINE__, text})
#define CD_VALUE(p) __typeof__(atomic_load_explicit((p), memory_order_relaxed))

#define CD_LOAD(p, order, text) atomic_load_explicit((__typeof__(p))cd_before_load((p), sizeof *(p), CD_PLACE(text)), order)

#define CD_STORE(p, v, order, is_seq, text)                                                                                        \
    __extension__({                                                                                                                \
        CD_VALUE(p) cd_value = (v);                                                                                                \
        atomic_store_explicit((__typeof__(p))cd_before_store((p), sizeof *(p), is_seq, CD_PLACE(text)), cd_value, order);          \
    })

#define CD_UPDATE(function, p, v, order, text)                                                                                     \
    __extension__({                                                                                                                \
        CD_VALUE(p) cd_value = (v);                                                                                                \
        function((__typeof__(p))cd_before_update((p), sizeof *(p), CD_PLACE(text)), cd_value, order);                              \
    })

#define CD_CAS(p, expected, desired, order, failed, text)                                                                          \
    __extension__({                                                                                                                \
        CD_VALUE(p) cd_value = (desired);                                                                                          \
        atomic_compare_exchange_strong_explicit((__typeof__(p))cd_before_update((p), sizeof *(p), CD_PLACE(text)), (expected),     \
                                                cd_value, order, failed);                                                          \
    })

#undef pl_load_relaxed
#undef pl_load_acquire
#undef pl_load_seq
#define pl_load_relaxed(p) CD_LOAD(p, memory_order_relaxed, "load_relaxed(" #p ")")
#define pl_load_acquire(p) CD_LOAD(p, memory_order_acquire, "load_acquire(" #p ")")
#define pl_load_seq(p) CD_LOAD(p, memory_order_seq_cst, "load_seq(" #p ")")

#undef pl_store_relaxed
#undef pl_store_release
#undef pl_store_seq
#define pl_store_relaxed(p, v) CD_STORE(p, v, memory_order_relaxed, false, "store_relaxed(" #p ", " #v ")")
#define pl_store_release(p, v) CD_STORE(p, v, memory_order_release, false, "store_release(" #p ", " #v ")")
#define pl_store_seq(p, v) CD_STORE(p, v, memory_order_seq_cst, true, "store_seq(" #p ", " #v ")")

#undef pl_exchange_acq_rel
#undef pl_exchange_seq
#define pl_exchange_acq_rel(p, v)                                                                                                  \
    CD_UPDATE(atomic_exchange_explicit, p, v, memory_order_acq_rel, "exchange_acq_rel(" #p ", " #v ")")
#define pl_exchange_seq(p, v) CD_UPDATE(atomic_exchange_explicit, p, v, memory_order_seq_cst, "exchange_seq(" #p ", " #v ")")

#undef pl_add_relaxed
#undef pl_add_acq_rel
#undef pl_add_seq
#undef pl_sub_acq_rel
#undef pl_sub_seq
#define pl_add_relaxed(p, v) CD_UPDATE(atomic_fetch_add_explicit, p, v, memory_order_relaxed, "add_relaxed(" #p ", " #v ")")
#define pl_add_acq_rel(p, v) CD_UPDATE(atomic_fetch_add_explicit, p, v, memory_order_acq_rel, "add_acq_rel(" #p ", " #v ")")
#define pl_add_seq(p, v) CD_UPDATE(atomic_fetch_add_explicit, p, v, memory_order_seq_cst, "add_seq(" #p ", " #v ")")
#define pl_sub_acq_rel(p, v) CD_UPDATE(atomic_fetch_sub_explicit, p, v, memory_order_acq_rel, "sub_acq_rel(" #p ", " #v ")")
#define pl_sub_seq(p, v) CD_UPDATE(atomic_fetch_sub_explicit, p, v, memory_order_seq_cst, "sub_seq(" #p ", " #v ")")

#undef pl_cas_acq_rel
#undef pl_cas_weak_acq_rel
#undef pl_cas_seq
#undef pl_cas_weak_seq
#define pl_cas_acq_rel(p, expected, desired)                                                                                       \
    CD_CAS(p, expected, desired, memory_order_acq_rel, memory_order_acquire, "cas_acq_rel(" #p ", " #desired ")")
#define pl_cas_weak_acq_rel(p, expected, desired)                                                                                  \
    CD_CAS(p, expected, desired, memory_order_acq_rel, memory_order_acquire, "cas_weak_acq_rel(" #p ", " #desired ")")
#define pl_cas_seq(p, expected, desired)                                                                                           \
    CD_CAS(p, expected, desired, memory_order_seq_cst, memory_order_seq_cst, "cas_seq(" #p ", " #desired ")")
#define pl_cas_weak_seq(p, expected, desired)                                                                                      \
    CD_CAS(p, expected, desired, memory_order_seq_cst, memory_order_seq_cst, "cas_weak_seq(" #p ", " #desired ")")

#undef pl_count
#define pl_count(p, n) pl_store_release((p), pl_load_relaxed(p) + (n))

#endif
