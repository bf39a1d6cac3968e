/* launcher.h - which rank of a job this process is, as its launcher says in the environment.
 *
 * For names of files and rows only: what ranks agree on needs MPI, and is mpi/'s. */
#ifndef PL_BASE_LAUNCHER_H
#define PL_BASE_LAUNCHER_H

typedef struct pl_launcher {
    int rank;    /* 0 … n_ranks - 1 */
    int n_ranks; /* of the job */
} pl_launcher;

/* Rank 0 of 1 where no launcher is to be seen, or what it says makes no sense. Errors: none. */
pl_launcher pl_launcher_read(void);

#endif
