/* node.c - the ranks of one node and its cores: every rank tells the others which cores it may use, then each computes the same
 * split (share.c). */
#include "error.h"
#include "share.h"

#include <errno.h>
#include <hwloc.h>
#include <parla/error.h>
#include <parla/mpi.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(PLM_CORE_WORDS * 64 == PARLA_MPI_MAX_CORES, "the public header's cores and ours");

static int own_mask(plm_cores *out)
{
    cpu_set_t set;
    *out = (plm_cores){{0}};
    if (sched_getaffinity(0, sizeof set, &set))
        return parla_error_set(PARLA_E_SYSTEM, "reading the cores of this process: %s", strerror(errno));
    for (int i = 0; i < PARLA_MPI_MAX_CORES && i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &set))
            plm_cores_add(out, i);
    return 0;
}

/* The numbers of all cores, hardware threads of one core and cores of one cache side by side. Plain order where hwloc cannot tell. */
static int core_order(int *out)
{
    hwloc_topology_t topology;
    int n = 0;
    if (hwloc_topology_init(&topology) == 0) {
        hwloc_topology_set_flags(topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
        int n_units = hwloc_topology_load(topology) == 0 ? hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU) : 0;
        for (int i = 0; i < n_units && n < PARLA_MPI_MAX_CORES; i++) {
            unsigned number = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PU, (unsigned)i)->os_index;
            if (number < PARLA_MPI_MAX_CORES)
                out[n++] = (int)number;
        }
        hwloc_topology_destroy(topology);
    }
    plm_cores known = {{0}};
    for (int i = 0; i < n; i++)
        plm_cores_add(&known, out[i]);
    for (int i = 0; i < PARLA_MPI_MAX_CORES; i++)
        if (!plm_cores_has(&known, i))
            out[n++] = i; /* such as the cores of a synthetic topology's real machine */
    return n;
}

static void describe(parla_mpi_share_info *out, const plm_cores *masks, const plm_cores *parts)
{
    plm_cores all = {{0}};
    for (int r = 0; r < out->n_local; r++)
        for (int w = 0; w < PLM_CORE_WORDS; w++)
            all.words[w] |= masks[r].words[w];
    out->n_node_cores = plm_cores_count(&all);
    out->n_cores = plm_cores_count(&parts[out->local_rank]);
    out->is_narrowed = out->n_cores < plm_cores_count(&masks[out->local_rank]);
    memcpy(out->cores, parts[out->local_rank].words, sizeof out->cores);
}

/* `out` has local_rank and n_local. */
static int split(parla_mpi_share_info *out, MPI_Comm node)
{
    int order[PARLA_MPI_MAX_CORES];
    plm_cores mask;
    plm_cores *masks = calloc(2 * (size_t)out->n_local, sizeof *masks);
    int own_rc = own_mask(&mask); /* a rank that cannot tell takes part all the same: with no core of its own */
    if (!masks)
        return parla_error_set(PARLA_E_NOMEM, "no memory for the cores of %d ranks", out->n_local);
    int code = MPI_Allgather(&mask, PLM_CORE_WORDS, MPI_UINT64_T, masks, PLM_CORE_WORDS, MPI_UINT64_T, node);
    int rc = own_rc < 0 ? own_rc : plm_error_set(code, "parla_mpi_share: exchanging cores");
    if (rc == 0) {
        plm_cores *parts = masks + out->n_local;
        out->is_oversubscribed = plm_share(parts, masks, out->n_local, order, core_order(order));
        describe(out, masks, parts);
    }
    free(masks);
    return rc;
}

int parla_mpi_share(parla_mpi_share_info *out, MPI_Comm comm)
{
    parla_mpi_share_info info = {.size = sizeof info};
    MPI_Comm node;
    if (out->size != sizeof *out)
        return parla_error_set(PARLA_E_INVALID, "parla_mpi_share_info.size is %zu, expected %zu", out->size, sizeof *out);
    int rc = plm_check_running("parla_mpi_share");
    if (rc < 0)
        return rc;
    rc = plm_error_set(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node), "parla_mpi_share");
    if (rc < 0)
        return rc;
    MPI_Comm_rank(node, &info.local_rank);
    MPI_Comm_size(node, &info.n_local);
    rc = split(&info, node);
    MPI_Comm_free(&node);
    if (rc == 0)
        *out = info;
    return rc;
}

int parla_mpi_share_bind(const parla_mpi_share_info *share)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (share->is_oversubscribed)
        return 0;
    for (int i = 0; i < PARLA_MPI_MAX_CORES && i < CPU_SETSIZE; i++)
        if (share->cores[i / 64] >> (i % 64) & 1)
            CPU_SET(i, &set);
    if (sched_setaffinity(0, sizeof set, &set))
        return parla_error_set(PARLA_E_SYSTEM, "binding a thread to its part of the cores: %s", strerror(errno));
    return 0;
}
