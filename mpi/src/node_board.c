/* node_board.c - see node_board.h.
 *
 * The page is a memfd of the node's first rank, and a bell is a pipe of each rank; the others open them by way of /proc/PID/fd. So neither has
 * a name in a file system, and the kernel frees them with the last process. Where /proc does not lead to the same process (another process
 * namespace) the page's first word, which MPI has told everybody, is wrong. */
#include "node_board.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD_BYTES = 64 };

/* What the first rank tells the others about its memfd. */
typedef struct invitation {
    int64_t process, fd;
    uint64_t secret;
} invitation;

static int open_of(pid_t process, int fd, int flags)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)process, fd);
    return open(path, flags | O_CLOEXEC);
}

static bool agree(MPI_Comm node, bool mine)
{
    int one = mine, all = 0;
    return MPI_Allreduce(&one, &all, 1, MPI_INT, MPI_LAND, node) == MPI_SUCCESS && all;
}

/* The page's descriptor, or -1. `*secret` is what it must begin with. */
static int make_or_join(MPI_Comm node, bool is_first, size_t n_bytes, uint64_t *secret, int *out_made)
{
    invitation call = {.process = getpid(), .fd = -1, .secret = ((uint64_t)getpid() << 32) ^ (uint64_t)(uintptr_t)&call ^ 0x5eed};
    *out_made = -1;
    if (is_first) {
        int fd = memfd_create("parla ranks", MFD_CLOEXEC);
        bool is_made = fd >= 0 && ftruncate(fd, (off_t)n_bytes) == 0;
        call.fd = is_made ? fd : -1;
        *out_made = fd;
        if (is_made && pwrite(fd, &call.secret, sizeof call.secret, 0) != sizeof call.secret)
            call.fd = -1;
    }
    if (MPI_Bcast(&call, sizeof call, MPI_BYTE, 0, node) != MPI_SUCCESS)
        call.fd = -1;
    *secret = call.secret;
    if (call.fd < 0)
        return -1;
    return open_of((pid_t)call.process, (int)call.fd, O_RDWR);
}

static bool map(plm_node_board *self, int fd, uint64_t secret)
{
    struct stat found;
    if (fd < 0 || fstat(fd, &found) || (size_t)found.st_size != self->n_bytes)
        return false;
    void *memory = mmap(NULL, self->n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return false;
    self->memory = memory;
    self->seats = (plm_seat *)(void *)((char *)memory + HEAD_BYTES);
    return memcmp(memory, &secret, sizeof secret) == 0;
}

static bool make_bell(plm_node_board *self)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
        return false;
    self->bell = ends[0];
    self->bell_in = ends[1];
    return true;
}

static void take_seat(plm_node_board *self, int rank)
{
    plm_seat *seat = &self->seats[self->own];
    seat->rank = rank;
    seat->process = getpid();
    seat->bell = self->bell_in;
}

/* `node` are the ranks of this node. */
static bool open_on_node(plm_node_board *self, MPI_Comm node, int rank, const char **out_why)
{
    uint64_t secret;
    int made;
    MPI_Comm_rank(node, &self->own);
    MPI_Comm_size(node, &self->n_seats);
    self->n_bytes = HEAD_BYTES + (size_t)self->n_seats * sizeof(plm_seat);
    int fd = make_or_join(node, self->own == 0, self->n_bytes, &secret, &made);
    bool is_mapped = map(self, fd, secret);
    *out_why = is_mapped ? "no pipe could be made" : "no memory is shared by way of memfd_create and /proc/PID/fd";
    bool is_ready = agree(node, is_mapped && make_bell(self));
    if (fd >= 0)
        close(fd);
    if (made >= 0)
        close(made);
    if (is_ready)
        take_seat(self, rank);
    return agree(node, is_ready); /* everybody has a seat */
}

bool plm_node_board_open(plm_node_board *self, MPI_Comm comm, const char **out_why)
{
    MPI_Comm node;
    int rank;
    *self = (plm_node_board){.bell = -1, .bell_in = -1};
    *out_why = "MPI cannot tell the ranks of a node";
    MPI_Comm_rank(comm, &rank);
    if (MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node) != MPI_SUCCESS)
        return false;
    bool is_open = open_on_node(self, node, rank, out_why);
    MPI_Comm_free(&node);
    if (!is_open)
        plm_node_board_close(self);
    return is_open;
}

void plm_node_board_close(plm_node_board *self)
{
    if (self->memory)
        munmap(self->memory, self->n_bytes);
    if (self->bell >= 0) {
        close(self->bell);
        close(self->bell_in);
    }
    *self = (plm_node_board){.bell = -1, .bell_in = -1};
}

void plm_node_board_set(plm_node_board *self, plm_presence presence, const char *words)
{
    plm_seat *seat = &self->seats[self->own];
    if (words) {
        strncpy(seat->words, words, sizeof seat->words - 1);
        seat->words[sizeof seat->words - 1] = '\0';
    }
    atomic_store_explicit(&seat->presence, presence,
                          memory_order_release); /* pairs with plm_seat_presence: words before presence */
}

void plm_node_board_ring_own(const plm_node_board *self, unsigned char why)
{
    int error = errno;
    (void)!write(self->bell_in, &why, 1); /* fails only when it is ringing already */
    errno = error;
}

void plm_node_board_ring(plm_node_board *self)
{
    for (int i = 0; i < self->n_seats; i++) {
        if (i == self->own) {
            plm_node_board_ring_own(self, 0);
            continue;
        }
        int fd = open_of(self->seats[i].process, self->seats[i].bell, O_WRONLY | O_NONBLOCK);
        if (fd < 0)
            continue; /* it has ended */
        (void)!write(fd, "", 1);
        close(fd);
    }
}

unsigned char plm_node_board_hear(plm_node_board *self)
{
    unsigned char heard[64], most = 0;
    for (ssize_t n; (n = read(self->bell, heard, sizeof heard)) > 0;)
        for (ssize_t i = 0; i < n; i++)
            most = heard[i] > most ? heard[i] : most;
    return most;
}
