/* thread_cpus.h - a thread's CPUs and memory policy as the kernel has them. */
#ifndef PL_VLC_THREAD_CPUS_H
#define PL_VLC_THREAD_CPUS_H

#include "vlc/cpus.h"

/* The kernel's mask of the calling thread: 0, or -1 with errno. */
int pl_thread_cpus(pl_cpus *out);
int pl_thread_pin(const pl_cpus *set);

/* The CPUs of this process: its main thread's, or, while that thread is in a context, those it had before. */
int pl_process_cpus(pl_cpus *out);

/* The main thread enters its outermost context with these CPUs, or (NULL) has left it. Other threads are ignored. */
void pl_process_cpus_note(const pl_cpus *outside);

/* The memory nodes that hold CPUs of the set; node 0 alone where the kernel tells nothing. */
void pl_nodes_of(const pl_cpus *set, uint64_t nodes[PL_CPU_WORDS]);

/* The memory policy of the calling thread, a number of the kernel's and a set of nodes: 0, or -1 with errno. */
int pl_thread_memory(int *policy, uint64_t nodes[PL_CPU_WORDS]);
int pl_thread_memory_set(int policy, const uint64_t nodes[PL_CPU_WORDS]);

#endif
