/* fence.h - "my store before my load" between a side that does it all the time and one that does it rarely.
 *
 *   frequent side                                  rare side
 *   F1 pl_store_light(a, …)                        R1 a sequentially consistent store or update of b
 *   F2 pl_load_seq(b)                              R2 pl_fence_heavy()
 *                                                  R3 pl_load_seq(a)
 *
 * At least one of F2 and R3 sees the other's store. The light store is a plain one: the heavy fence makes every thread of the process that
 * runs execute a full fence between R1 and R3 (membarrier(2), private expedited), and one that does not run has had one when it was taken
 * off its core. If that fence falls before F1 in the frequent thread, F2 comes after R1 and sees it. If it falls after F1, the store is in
 * memory when R3 loads. F1 and F2 stand in this order in the program and the compiler keeps it (a signal fence), so there is no third case.
 *
 * Against a rare side without the heavy fence, the frequent side has one between F1 and F2 itself (pl_fence_after_light).
 *
 * Where the kernel has no such call, or a container refuses it, and in builds with PARLA_PORTABLE_FENCES (the thread sanitizer and the
 * conductor need them), the light store is sequentially consistent and the heavy fence does nothing: the same two sequences in the one
 * total order of such accesses. */
#ifndef PL_BASE_FENCE_H
#define PL_BASE_FENCE_H

#include "base/atomic.h"
#include "base/break.h"
#include "base/compiler.h"

#ifdef PL_PORTABLE_FENCES
#define pl_store_light(p, v)                                                                                                       \
    do {                                                                                                                           \
        if (pl_is_broken(PL_BREAK_FENCE))                                                                                          \
            pl_store_release((p), (v));                                                                                            \
        else                                                                                                                       \
            pl_store_seq((p), (v));                                                                                                \
    } while (0)
static inline void pl_fence_open(void) {}
static inline void pl_fence_heavy(void) {}
static inline void pl_fence_after_light(void) {}
#else
/* Set by the first pl_fence_open of the process, before a thread of a runtime exists, and constant from then on. */
extern PL_HIDDEN bool pl_fence_is_asymmetric;

#define pl_store_light(p, v)                                                                                                       \
    do {                                                                                                                           \
        if (pl_likely(pl_fence_is_asymmetric)) {                                                                                   \
            pl_store_release((p), (v));                                                                                            \
            atomic_signal_fence(memory_order_seq_cst);                                                                             \
        } else {                                                                                                                   \
            pl_store_seq((p), (v));                                                                                                \
        }                                                                                                                          \
    } while (0)

/* Asks the kernel what it can do; again in each process, since a fork may lose it. From: each start of a runtime. */
void pl_fence_open(void);
void pl_fence_heavy(void);
static inline void pl_fence_after_light(void) { atomic_thread_fence(memory_order_seq_cst); }
#endif

#endif
