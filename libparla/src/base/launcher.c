/* launcher.c - reads what launchers tell their processes.
 *
 * Each launcher has a pair of variables of its own: Open MPI's mpirun; MPICH's and Intel MPI's Hydra, and other PMI launchers; MVAPICH;
 * Flux; Slurm's srun. Slurm stands last, since mpirun inside of a Slurm job hands on Slurm's variables of the batch step. */
#include "base/launcher.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

static const struct {
    const char *rank, *n_ranks;
} variables[] = {
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
    {"PMI_RANK", "PMI_SIZE"},
    {"MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"},
    {"FLUX_TASK_RANK", "FLUX_JOB_SIZE"},
    {"SLURM_PROCID", "SLURM_NTASKS"},
};

static bool read_number(const char *name, int *out)
{
    const char *text = getenv(name);
    if (text == NULL || text[0] < '0' || text[0] > '9') {
        return false;
    }
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    *out = (int)value;
    return errno == 0 && *end == '\0' && value <= INT_MAX;
}

pl_launcher pl_launcher_read(void)
{
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        pl_launcher launcher;
        if (read_number(variables[i].rank, &launcher.rank) && read_number(variables[i].n_ranks, &launcher.n_ranks) &&
            launcher.rank < launcher.n_ranks) {
            return launcher;
        }
    }
    return (pl_launcher){.rank = 0, .n_ranks = 1};
}
