/* transport.c - messages to and fro between two ranks, by our transports and by what lies below them; ci/bench runs this on 2 ranks.
 *
 * A value is half a round trip: bytes / value is the bandwidth in GB/s. Both ranks run every case; rank 0 prints.
 *   ucx.N, mpi.N         plain memory, beside UCX and MPI alone
 *   shared.N             memory from parla_mpi_memory_alloc, beside UCX alone on plain memory
 *   strided.N, mpi_strided.N   half of each 4 KiB row, beside MPI alone with its datatype */
#include "bench.h"
#ifdef BENCH_HAVE_UCX
#include "raw_ucx.h"
#endif

#include <parla/error.h>
#include <parla/mpi.h>
#include <parla/mpi_transport.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 4 << 20, ROW_BYTES = 2048, ROW_STRIDE = 4096 };

typedef struct trial {
    parla_transport *transport; /* ours */
    unsigned char *memory[2];   /* sent from, received into */
    size_t n_bytes;
    bool is_strided;
    int n_rounds;
    MPI_Datatype type;
} trial;

static int rank;

static void check(int code, const char *what)
{
    if (code != 0) {
        bench_die("%s: %s", what, parla_error_detail());
    }
}

/* --- Ours ---------------------------------------------------------------------------------------------------------------------- */

static void count_done(void *ctx, int status)
{
    check(status, "a transfer");
    ++*(int *)ctx;
}

static parla_transfer_memory box_of(const trial *self, int i)
{
    parla_transfer_memory memory = {.i_device = 0};
    memory.box = (parla_strided){.base = self->memory[i], .item_bytes = self->n_bytes};
    if (self->is_strided) {
        int64_t n_rows = (int64_t)(self->n_bytes / ROW_BYTES);
        memory.box = (parla_strided){
            .base = self->memory[i], .item_bytes = 8, .ndim = 2, .extent = {n_rows, ROW_BYTES / 8}, .stride = {ROW_STRIDE, 8}};
    }
    return memory;
}

static void ours_wait(const trial *self, const int *n_done, int n)
{
    while (*n_done < n) {
        (void)self->transport->progress(self->transport->self);
    }
}

static double ours_run(void *ctx)
{
    trial *self = ctx;
    parla_transport *t = self->transport;
    parla_transfer_memory from = box_of(self, 0), to = box_of(self, 1);
    check(t->barrier(t->self), "barrier");
    double begin_ns = bench_now_ns();
    for (int i = 0; i < self->n_rounds; i++) {
        int n_sent = 0, n_received = 0;
        if (rank == 0) {
            check(t->send(t->self, NULL, 1, 1, &from, count_done, &n_sent), "send");
        }
        check(t->receive(t->self, NULL, 1 - rank, 1, &to, count_done, &n_received), "receive");
        ours_wait(self, &n_received, 1);
        if (rank == 1) {
            check(t->send(t->self, NULL, 0, 1, &from, count_done, &n_sent), "send");
        }
        ours_wait(self, &n_sent, 1);
    }
    return bench_now_ns() - begin_ns;
}

/* --- Theirs -------------------------------------------------------------------------------------------------------------------- */

static double mpi_run(void *ctx)
{
    trial *self = ctx;
    int count = self->is_strided ? 1 : (int)self->n_bytes;
    MPI_Barrier(MPI_COMM_WORLD);
    double begin_ns = bench_now_ns();
    for (int i = 0; i < 2 * self->n_rounds; i++) {
        if (i % 2 == rank) {
            MPI_Send(self->memory[0], count, self->type, 1 - rank, 1, MPI_COMM_WORLD);
        } else {
            MPI_Recv(self->memory[1], count, self->type, 1 - rank, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        }
    }
    return bench_now_ns() - begin_ns;
}

#ifdef BENCH_HAVE_UCX
static double ucx_run(void *ctx)
{
    trial *self = ctx;
    MPI_Barrier(MPI_COMM_WORLD);
    double begin_ns = bench_now_ns();
    for (int i = 0; i < 2 * self->n_rounds; i++) {
        if (i % 2 == rank) {
            raw_ucx_send(self->memory[0], self->n_bytes);
        } else {
            raw_ucx_receive(self->memory[1], self->n_bytes);
        }
    }
    return bench_now_ns() - begin_ns;
}
#endif

/* --- All of it ----------------------------------------------------------------------------------------------------------------- */

static void compare(const char *kind, trial *ours, trial *theirs, const char *peer, double (*peer_run)(void *))
{
    static const struct {
        size_t n_bytes;
        const char *name;
    } sizes[] = {{8, "8B"}, {1024, "1KiB"}, {65536, "64KiB"}, {1 << 20, "1MiB"}, {MOST_BYTES, "4MiB"}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s.%s", kind, sizes[i].name);
        if ((ours->is_strided && sizes[i].n_bytes < ROW_BYTES) || !bench_wants(name)) {
            continue;
        }
        ours->n_bytes = theirs->n_bytes = sizes[i].n_bytes;
        ours->n_rounds = theirs->n_rounds = bench_is_smoke() ? 2 : (int)(20000000 / (sizes[i].n_bytes + 20000));
        bench_side a = {NULL, ours_run, ours}, b = {peer, peer_run, theirs};
        if (theirs->is_strided) {
            MPI_Type_vector((int)(sizes[i].n_bytes / ROW_BYTES), ROW_BYTES, ROW_STRIDE, MPI_BYTE, &theirs->type);
            MPI_Type_commit(&theirs->type);
        }
        bench_compare(name, 2, 2L * ours->n_rounds, &a, &b);
        if (theirs->is_strided) {
            MPI_Type_free(&theirs->type);
        }
    }
}

static void measure(const char *kind)
{
    parla_mpi_transport_options options = PARLA_MPI_TRANSPORT_OPTIONS_INIT;
    bool is_ucx = strcmp(kind, "ucx") == 0;
    trial plain = {.type = MPI_BYTE}, shared = {.type = MPI_BYTE}, theirs;
    options.kind = kind;
    check(parla_mpi_transport(&plain.transport, MPI_COMM_WORLD, &options), kind);
    shared.transport = plain.transport;
    for (int i = 0; i < 2; i++) {
        void *memory;
        plain.memory[i] = calloc(2, MOST_BYTES);
        check(parla_mpi_memory_alloc(shared.transport, &memory, (size_t)2 * MOST_BYTES), "memory");
        shared.memory[i] = memset(memory, 0, (size_t)2 * MOST_BYTES);
    }
    theirs = plain;
#ifdef BENCH_HAVE_UCX
    if (is_ucx) {
        compare("ucx", &plain, &theirs, "ucx", ucx_run);
        compare("shared", &shared, &theirs, "ucx", ucx_run);
    }
#endif
    if (!is_ucx) {
        compare("mpi", &plain, &theirs, "mpi", mpi_run);
    }
    plain.is_strided = shared.is_strided = theirs.is_strided = true;
    compare(is_ucx ? "strided" : "mpi_strided", &plain, &theirs, "mpi", mpi_run);
    if (is_ucx) {
        compare("shared_strided", &shared, &theirs, "mpi", mpi_run);
    }
    plain.transport->close(plain.transport->self);
    for (int i = 0; i < 2; i++) {
        free(plain.memory[i]);
    }
}

int main(int argc, char **argv)
{
    int n_ranks;
    check(parla_mpi_start(&argc, &argv), "MPI");
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_ranks);
    bench_begin("transport", argc, argv);
    if (n_ranks != 2) {
        bench_die("%d ranks; this takes 2", n_ranks);
    }
    if (rank != 0 && freopen("/dev/null", "w", stdout) == NULL) {
        bench_die("no /dev/null");
    }
#ifdef BENCH_HAVE_UCX
    raw_ucx_open();
    measure("ucx");
    raw_ucx_close();
#endif
    measure("mpi");
    return 0;
}
