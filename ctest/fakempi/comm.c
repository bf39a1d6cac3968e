/* comm.c - communicators, and the start and the end of MPI. */
#include "fakempi.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_ATTRIBUTES = 64 };

struct fake_comm fake_world = {.id = 0};
struct fake_comm fake_self = {.id = 1, .n_ranks = 1};

static _Atomic int level = MPI_THREAD_SINGLE;
static _Atomic int is_initialized, is_finalized;
static _Atomic int next_id = 2; /* agreed on by all ranks of a new communicator */

/* --- Life ------------------------------------------------------------------------------------------------------------------------ */

int MPI_Init_thread(int *argc, char ***argv, int wanted, int *provided)
{
    (void)argc, (void)argv;
    fake_world.rank = fake_rank;
    fake_world.n_ranks = fake_n_ranks;
    for (int i = 0; i < fake_n_ranks; i++)
        fake_world.world[i] = i;
    fake_self.world[0] = fake_rank;
    level = *provided = wanted;
    is_initialized = 1;
    return MPI_Barrier(MPI_COMM_WORLD);
}

int MPI_Initialized(int *flag)
{
    *flag = is_initialized;
    return MPI_SUCCESS;
}

int MPI_Finalized(int *flag)
{
    *flag = is_finalized;
    return MPI_SUCCESS;
}

int MPI_Query_thread(int *provided)
{
    *provided = level;
    return MPI_SUCCESS;
}

int MPI_Abort(MPI_Comm comm, int status)
{
    (void)comm;
    fprintf(stderr, "fakempi: rank %d calls MPI_Abort with status %d\n", fake_rank, status);
    _exit(status ? status : 1);
}

int MPI_Error_string(int code, char *out, int *n)
{
    static const char *const words[] = {"MPI_SUCCESS: no error", "MPI_ERR_TRUNCATE: message truncated", "MPI_ERR_IN_STATUS",
                                        "MPI_ERR_ARG"};
    *n = snprintf(out, MPI_MAX_ERROR_STRING, "%s", code >= 0 && code < MPI_ERR_LASTCODE ? words[code] : "unknown");
    return MPI_SUCCESS;
}

int MPI_Get_library_version(char *out, int *n)
{
    *n = snprintf(out, MPI_MAX_LIBRARY_VERSION_STRING, "fakempi, for tests");
    return MPI_SUCCESS;
}

int fake_error(MPI_Comm comm, int code)
{
    if (code == MPI_SUCCESS || (comm && comm->errors == MPI_ERRORS_RETURN))
        return code;
    fprintf(stderr, "fakempi: error %d on a communicator whose errors are fatal\n", code);
    MPI_Abort(comm, code);
    return code;
}

/* --- Attributes ------------------------------------------------------------------------------------------------------------------ */

/* By key; each is set on one communicator at most. */
static struct attribute {
    MPI_Comm_delete_attr_function *delete;
    void *extra, *value;
    MPI_Comm comm;
} attributes[MAX_ATTRIBUTES];
static _Atomic int n_keys = MPI_TAG_UB + 1;

int MPI_Comm_create_keyval(MPI_Comm_copy_attr_function *copy, MPI_Comm_delete_attr_function *delete, int *key, void *extra)
{
    (void)copy;
    int made = atomic_fetch_add(&n_keys, 1);
    if (made >= MAX_ATTRIBUTES)
        return MPI_ERR_ARG;
    attributes[made] = (struct attribute){.delete = delete, .extra = extra};
    *key = made;
    return MPI_SUCCESS;
}

int MPI_Comm_free_keyval(int *key)
{
    *key = MPI_KEYVAL_INVALID;
    return MPI_SUCCESS;
}

int MPI_Comm_set_attr(MPI_Comm comm, int key, void *value)
{
    attributes[key].comm = comm;
    attributes[key].value = value;
    return MPI_SUCCESS;
}

int MPI_Comm_get_attr(MPI_Comm comm, int key, void *out, int *flag)
{
    static const int tag_ub = 0x7fffffff;
    const void *value = key == MPI_TAG_UB ? &tag_ub : attributes[key].value;
    *flag = key == MPI_TAG_UB || attributes[key].comm == comm;
    if (*flag)
        memcpy(out, &value, sizeof value);
    return MPI_SUCCESS;
}

int MPI_Comm_delete_attr(MPI_Comm comm, int key)
{
    struct attribute deleted = attributes[key];
    attributes[key].comm = MPI_COMM_NULL;
    return deleted.delete(comm, key, deleted.value, deleted.extra);
}

/* What hangs on MPI_COMM_SELF is deleted first, the newest before the others. */
int MPI_Finalize(void)
{
    for (int i = n_keys - 1; i > MPI_TAG_UB; i--)
        if (attributes[i].comm == MPI_COMM_SELF)
            MPI_Comm_delete_attr(MPI_COMM_SELF, i);
    MPI_Barrier(MPI_COMM_WORLD);
    fake_flush();
    is_finalized = 1;
    return MPI_SUCCESS;
}

/* --- Communicators --------------------------------------------------------------------------------------------------------------- */

int MPI_Comm_rank(MPI_Comm comm, int *out)
{
    *out = comm->rank;
    return MPI_SUCCESS;
}

int MPI_Comm_size(MPI_Comm comm, int *out)
{
    *out = comm->n_ranks;
    return MPI_SUCCESS;
}

MPI_Comm fake_comm_make(MPI_Comm of, int id, int n, const int *ranks)
{
    MPI_Comm made = calloc(1, sizeof *made);
    made->id = id;
    made->n_ranks = n;
    made->errors = of->errors;
    for (int i = 0; i < n; i++) {
        made->world[i] = of->world[ranks[i]];
        made->rank = ranks[i] == of->rank ? i : made->rank;
    }
    return made;
}

/* The same at all ranks of `comm`, and used by none of them. */
static int agree_on_id(MPI_Comm comm)
{
    int mine = atomic_fetch_add(&next_id, 1), id;
    MPI_Allreduce(&mine, &id, 1, MPI_INT, MPI_MAX, comm);
    for (int seen = next_id; seen <= id && !atomic_compare_exchange_weak(&next_id, &seen, id + 1);)
        ;
    return id;
}

int MPI_Comm_split(MPI_Comm comm, int colour, int key, MPI_Comm *out)
{
    int mine[2] = {colour, key}, all[FAKE_MAX_RANKS][2], ranks[FAKE_MAX_RANKS], n = 0;
    int id = agree_on_id(comm);
    MPI_Allgather(mine, 2, MPI_INT, all, 2, MPI_INT, comm);
    for (int i = 0; i < comm->n_ranks; i++) {
        if (all[i][0] != colour)
            continue;
        int at = n++;
        for (; at > 0 && all[ranks[at - 1]][1] > all[i][1]; at--)
            ranks[at] = ranks[at - 1];
        ranks[at] = i;
    }
    *out = colour == MPI_UNDEFINED ? MPI_COMM_NULL : fake_comm_make(comm, id, n, ranks);
    return MPI_SUCCESS;
}

int MPI_Comm_dup(MPI_Comm comm, MPI_Comm *out) { return MPI_Comm_split(comm, 0, comm->rank, out); }

int MPI_Comm_split_type(MPI_Comm comm, int type, int key, MPI_Info info, MPI_Comm *out)
{
    (void)info;
    return MPI_Comm_split(comm, type, key, out); /* all ranks are on one machine */
}

int MPI_Comm_free(MPI_Comm *comm)
{
    free(*comm); /* MPI may wait for the others here; this one does not, so that tests can have a rank end */
    *comm = MPI_COMM_NULL;
    return MPI_SUCCESS;
}

int MPI_Comm_compare(MPI_Comm a, MPI_Comm b, int *out)
{
    bool is_same = a->n_ranks == b->n_ranks && !memcmp(a->world, b->world, (size_t)a->n_ranks * sizeof a->world[0]);
    *out = a == b ? MPI_IDENT : is_same ? MPI_CONGRUENT : MPI_UNEQUAL;
    return MPI_SUCCESS;
}

int MPI_Comm_set_errhandler(MPI_Comm comm, MPI_Errhandler handler)
{
    comm->errors = handler;
    return MPI_SUCCESS;
}
