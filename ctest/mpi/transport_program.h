/* transport_program.h - a random program of sends and receives between ranks, and the oracle that knows how each must end.
 *
 * Messages belong to classes: source, destination, tag and size. All ranks draw the same classes. The k-th receive that the destination
 * posts in a class gets the k-th send of the source, and what that holds follows from class and k, so no rank needs to know another's
 * order of posting. */
#ifndef PARLA_TEST_TRANSPORT_PROGRAM_H
#define PARLA_TEST_TRANSPORT_PROGRAM_H

#include <parla/transport.h>

#include <stdatomic.h>

/* What one operation reported. */
typedef struct report {
    atomic_int status;
    atomic_int n_calls;
} report;

void report_done(void *ctx, int status);

typedef struct program_options {
    int n_classes;
    int n_largest;         /* how many classes have up to 4 MiB a message */
    bool is_hasty;         /* closes with everything still on the way */
    bool is_shared_memory; /* some boxes lie in parla_mpi_memory_alloc */
} program_options;

typedef struct program program;

/* Every rank of the transport makes the same program: same seed, same options. */
program *program_create(parla_transport *transport, uint64_t seed, const program_options *options);

/* Posts everything in random order, cancels some, waits for what must complete unless it is hasty, closes the transport. */
void program_run(program *self);

/* Checks what this rank's operations reported and received. */
void program_check(const program *self);

/* For each class, sends less receives that ended well at this rank; over all ranks the sum of each must be 0. Returns how many. */
int program_balance(const program *self, const int **out);

void program_destroy(program *self);

#endif
