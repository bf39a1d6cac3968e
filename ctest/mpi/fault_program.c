/* fault_program.c - a job of which one rank comes to a bad end: what fault_test.py runs under a launcher.
 *
 * usage: fault_program HOW VICTIM MILLISECONDS TRANSPORT
 * All ranks exchange messages of several sizes in a ring, over the transport and over MPI, with their main threads blocked in different ways
 * (in a task wait, in MPI, in the C library). The victim ends after some milliseconds: HOW is kill, segv, exit, fail, stop or none. */
#include <parla/error.h>
#include <parla/event.h>
#include <parla/mpi.h>
#include <parla/mpi_transport.h>
#include <parla/parla.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { N_LINES = 3 };

static const size_t sizes[N_LINES] = {64, 20000, 1 << 20};

static parla_runtime *rt;
static parla_mpi *mpi;
static parla_transport *transport;
static int rank, n_ranks;

static void need(int code, const char *what)
{
    if (code >= 0)
        return;
    fprintf(stderr, "rank %d: %s: %s\n", rank, what, parla_error_detail());
    (void)parla_mpi_fail(mpi, 9, what);
    _exit(9);
}

/* --- Traffic -------------------------------------------------------------------------------------------------------------------- */

/* Messages of one size go round for ever: a task that receives and sends, and spawns the next. */
typedef struct line {
    int i;
    size_t n_bytes;
    char *sent, *received;
    parla_task task;
} line;

static void on_done(void *ctx, int status)
{
    line *l = ctx;
    (void)!parla_release(l->task, status, status ? "a message failed" : NULL);
}

static int body(parla_context *context, void *arg);

static void on_end(void *arg, const parla_outcome *outcome)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = body;
    options.arg = arg;
    options.on_end = on_end;
    options.name = "a message";
    if (outcome->status == 0)
        (void)!parla_task_spawn(rt, NULL, &options);
}

static int body(parla_context *context, void *arg)
{
    line *l = arg;
    parla_transfer_memory from = {.box = {.base = l->sent, .item_bytes = l->n_bytes}};
    parla_transfer_memory to = {.box = {.base = l->received, .item_bytes = l->n_bytes}};
    int left = (rank + n_ranks - 1) % n_ranks, right = (rank + 1) % n_ranks, held = parla_hold(context, 2);
    l->task = parla_context_task(context);
    if (held < 0)
        return held;
    int received = transport->receive(transport->self, NULL, left, (uint64_t)l->i, &to, on_done, l);
    int sent = transport->send(transport->self, NULL, right, (uint64_t)l->i, &from, on_done, l);
    if (received < 0)
        on_done(l, received);
    if (sent < 0)
        on_done(l, sent);
    return 0;
}

static void start_traffic(void)
{
    static line lines[N_LINES];
    static const parla_outcome none;
    for (int i = 0; i < N_LINES; i++) {
        lines[i] = (line){.i = i, .n_bytes = sizes[i], .sent = malloc(sizes[i]), .received = malloc(sizes[i])};
        if (i == N_LINES - 1)
            need(parla_mpi_memory_alloc(transport, (void **)&lines[i].sent, sizes[i]), "memory");
        memset(lines[i].sent, rank, sizes[i]);
        on_end(&lines[i], &none);
    }
}

/* --- Ends ----------------------------------------------------------------------------------------------------------------------- */

static void come_to_an_end(const char *how)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    fprintf(stderr, "victim %d.%06d\n", (int)now.tv_sec, (int)(now.tv_nsec / 1000));
    if (strcmp(how, "kill") == 0)
        (void)kill(getpid(), SIGKILL);
    else if (strcmp(how, "segv") == 0)
        (void)kill(getpid(), SIGSEGV);
    else if (strcmp(how, "exit") == 0)
        _exit(0);
    else if (strcmp(how, "stop") == 0)
        (void)kill(getpid(), SIGSTOP);
    else if (strcmp(how, "fail") == 0)
        (void)parla_mpi_fail(mpi, 5, "as the test wants it");
}

typedef struct plan {
    const char *how;
    int delay_ms;
} plan;

static void *end_later(void *arg)
{
    plan *p = arg;
    nanosleep(&(struct timespec){.tv_sec = p->delay_ms / 1000, .tv_nsec = p->delay_ms % 1000 * 1000000}, NULL);
    come_to_an_end(p->how);
    return NULL;
}

/* Where the main thread is when it happens. */
static void block(void)
{
    int value;
    parla_task never;
    need(parla_event_create(rt, &never, "never"), "event");
    if (rank % 3 == 0)
        (void)!parla_task_wait(rt, &never, 1, PARLA_FOREVER);
    else if (rank % 3 == 1)
        MPI_Recv(&value, 1, MPI_INT, MPI_ANY_SOURCE, 1234, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    static plan p;
    pthread_t thread;
    parla_options rt_options = PARLA_OPTIONS_INIT;
    parla_mpi_options options = PARLA_MPI_OPTIONS_INIT;
    parla_mpi_transport_options transport_options = PARLA_MPI_TRANSPORT_OPTIONS_INIT;
    p = (plan){.how = argv[1], .delay_ms = atoi(argv[3])};
    parla_log_set_level(PARLA_LOG_WARN);
    need(parla_mpi_start(NULL, NULL), "start");
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_ranks);
    transport_options.kind = argv[4];
    rt_options.n_workers = 1;
    need(parla_mpi_transport(&transport, MPI_COMM_WORLD, &transport_options), "transport");
    need(parla_runtime_create(&rt, &rt_options), "runtime");
    options.transport = transport;
    need(parla_mpi_init(&mpi, rt, MPI_COMM_WORLD, &options), "init");
    start_traffic();
    fprintf(stderr, "pid %d of rank %d\n", (int)getpid(), rank);
    if (rank == atoi(argv[2]) && pthread_create(&thread, NULL, end_later, &p))
        return 2;
    block();
}
