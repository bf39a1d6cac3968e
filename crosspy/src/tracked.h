/* tracked.h - what a rank knows of an array's blocks. */
#ifndef CX_TRACKED_H
#define CX_TRACKED_H

#include <crosspy/flow.h>

/* One block. `holders` and `copy` speak of the newest version. */
typedef struct cx_tracked_block {
    int rank; /* its owner */
    uint32_t version;
    bool is_empty;
    parla_data *own;  /* its content, at its owner; with a reference */
    parla_data *copy; /* at another rank: its content there, or NULL; with a reference */
    uint64_t holders; /* at its owner: bit r % 64 is set if rank r may have it, for fewer than 65 ranks it has */
} cx_tracked_block;

struct cx_tracked {
    const void *flow; /* in which `id` counts */
    uint64_t id;
    cx_layout *layout; /* with a reference */
    int rank;
    size_t item_bytes;
    int64_t n_blocks;
    uint64_t *many_holders; /* for more ranks: n_words words for each block; NULL until it is needed */
    size_t n_words;
    cx_tracked_block blocks[];
};

/* Has this rank of n_ranks the newest version of a block of this rank? And from now on it has. Errors: PARLA_E_NOMEM. */
int cx_tracked_note_holder(cx_tracked *array, int64_t i_block, int rank, int n_ranks, bool *out_had);

/* The block gets a new version, which `holder` alone has (besides its owner). This rank keeps its copy only if it is the holder. */
void cx_tracked_renew(cx_tracked *array, int64_t i_block, int holder);

/* The copy of a block at this rank, made without content if there is none. Errors: PARLA_E_NOMEM. */
int cx_tracked_copy(cx_tracked *array, int64_t i_block, parla_data **out, bool *out_is_new);

#endif
