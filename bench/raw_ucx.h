/* raw_ucx.h - tagged messages between two ranks by UCX alone: what transport.c compares with. */
#ifndef PARLA_BENCH_RAW_UCX_H
#define PARLA_BENCH_RAW_UCX_H

#include <stddef.h>

/* Collective over the two ranks of MPI_COMM_WORLD. */
void raw_ucx_open(void);
void raw_ucx_close(void);

/* Sends to the other rank, or receives from it; returns when the memory can be used again. */
void raw_ucx_send(const void *memory, size_t n_bytes);
void raw_ucx_receive(void *memory, size_t n_bytes);

#endif
