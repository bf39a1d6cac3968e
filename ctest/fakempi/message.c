/* message.c - messages and requests.
 *
 * Each rank has a socket to each other one. A message is a head and its bytes; a send is complete when all of it was written. Every call reads
 * what has arrived: a message goes to the first receive that was posted for it, or waits among the unexpected ones, in the order of its sender.
 * One lock guards everything; a call that waits takes it again and again. */
#include "fakempi.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

typedef struct head {
    int space; /* of which communicator, and whether of its collectives */
    int source, tag;
    size_t n_bytes;
} head;

/* On its way out, or arrived. */
typedef struct message {
    struct message *next;
    head head;
    size_t n_moved;      /* of head and bytes */
    MPI_Request request; /* of the send; NULL: nobody waits for it any more */
    char bytes[];
} message;

typedef enum request_kind { SEND, RECEIVE, GROUP } request_kind;

struct fake_request {
    struct fake_request *next;              /* among the posted receives */
    struct fake_request *following, **link; /* among all, so that one that nobody owns any more is no leak: it is MPI's */
    request_kind kind;
    bool is_active, is_done, is_persistent, is_freed;
    MPI_Comm comm;
    int space, peer, tag, n;
    void *buffer;
    MPI_Datatype type;
    MPI_Status status;
    int n_parts;
    MPI_Request parts[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static MPI_Request posted, *posted_end = &posted;
static message *unexpected, **unexpected_end = &unexpected;
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER; /* inside of the other one */
static MPI_Request all;
static struct peer {
    message *out; /* the first is partly written */
    message *in;
    head in_head;
    size_t n_in; /* of the head and the bytes that come in */
} peers[FAKE_MAX_RANKS];

static int space_of(MPI_Comm comm, bool is_collective) { return 2 * comm->id + is_collective; }

static void destroy(MPI_Request request)
{
    if (request->type)
        fake_type_unref(request->type);
    for (int i = 0; i < request->n_parts; i++)
        destroy(request->parts[i]);
    pthread_mutex_lock(&all_lock);
    *request->link = request->following;
    if (request->following)
        request->following->link = request->link;
    pthread_mutex_unlock(&all_lock);
    free(request);
}

/* --- Completion ------------------------------------------------------------------------------------------------------------------ */

static void complete(MPI_Request request)
{
    if (!request)
        return;
    request->is_done = true;
    if (request->is_freed)
        destroy(request);
}

static void take(MPI_Request request, message *arrived)
{
    size_t room = (size_t)request->n * request->type->n_bytes, n = arrived->head.n_bytes < room ? arrived->head.n_bytes : room;
    request->status = (MPI_Status){.MPI_SOURCE = arrived->head.source,
                                   .MPI_TAG = arrived->head.tag,
                                   .MPI_ERROR = arrived->head.n_bytes > room ? MPI_ERR_TRUNCATE : MPI_SUCCESS,
                                   .n_bytes = n};
    fake_unpack(request->buffer, request->n, request->type, arrived->bytes, n);
    free(arrived);
    complete(request);
}

static bool fits(const struct fake_request *request, const head *arrived)
{
    return request->space == arrived->space && (request->peer == MPI_ANY_SOURCE || request->peer == arrived->source) &&
           (request->tag == MPI_ANY_TAG || request->tag == arrived->tag);
}

static void unlink_posted(MPI_Request *at)
{
    MPI_Request request = *at;
    *at = request->next;
    if (!*at)
        posted_end = at;
}

static void deliver(message *arrived)
{
    for (MPI_Request *at = &posted; *at; at = &(*at)->next)
        if (fits(*at, &arrived->head)) {
            MPI_Request request = *at;
            unlink_posted(at);
            take(request, arrived);
            return;
        }
    arrived->next = NULL;
    *unexpected_end = arrived;
    unexpected_end = &arrived->next;
}

static void post(MPI_Request request)
{
    request->is_active = true;
    request->is_done = false;
    for (message **at = &unexpected; *at; at = &(*at)->next)
        if (fits(request, &(*at)->head)) {
            message *arrived = *at;
            *at = arrived->next;
            if (!*at)
                unexpected_end = at;
            take(request, arrived);
            return;
        }
    request->next = NULL;
    *posted_end = request;
    posted_end = &request->next;
}

/* --- Sockets --------------------------------------------------------------------------------------------------------------------- */

/* Moves bytes of a message from `begin` to `end` (0: its head). Returns whether all of it has moved. */
static bool write_some(int fd, message *out)
{
    size_t n_head = sizeof out->head, n_all = n_head + out->head.n_bytes;
    while (out->n_moved < n_all) {
        const char *from = out->n_moved < n_head ? (char *)&out->head + out->n_moved : out->bytes + (out->n_moved - n_head);
        size_t n = out->n_moved < n_head ? n_head - out->n_moved : n_all - out->n_moved;
        ssize_t n_written = send(fd, from, n, MSG_NOSIGNAL);
        if (n_written < 0 && errno != EAGAIN)
            return true; /* the other rank has ended: what is sent to it is lost */
        if (n_written <= 0)
            return false;
        out->n_moved += (size_t)n_written;
    }
    return true;
}

static void write_out(int i)
{
    struct peer *peer = &peers[i];
    while (peer->out && write_some(fake_sockets[i], peer->out)) {
        message *done = peer->out;
        peer->out = done->next;
        complete(done->request);
        free(done);
    }
}

static void read_in(int i)
{
    struct peer *peer = &peers[i];
    for (;;) {
        bool has_head = peer->n_in >= sizeof peer->in_head;
        size_t n_all = sizeof peer->in_head + (has_head ? peer->in_head.n_bytes : 0);
        if (has_head && !peer->in) {
            peer->in = malloc(sizeof *peer->in + peer->in_head.n_bytes);
            peer->in->head = peer->in_head;
        }
        if (has_head && peer->n_in == n_all) {
            message *arrived = peer->in;
            peer->in = NULL;
            peer->n_in = 0;
            deliver(arrived);
            continue;
        }
        char *to = has_head ? peer->in->bytes + (peer->n_in - sizeof peer->in_head) : (char *)&peer->in_head + peer->n_in;
        ssize_t n = recv(fake_sockets[i], to, n_all - peer->n_in, 0);
        if (n <= 0)
            return;
        peer->n_in += (size_t)n;
    }
}

static void progress(void)
{
    for (int i = 0; i < fake_n_ranks; i++)
        if (fake_sockets[i] >= 0) {
            write_out(i);
            read_in(i);
        }
}

void fake_flush(void)
{
    bool is_empty = false;
    while (!is_empty) {
        pthread_mutex_lock(&lock);
        progress();
        is_empty = true;
        for (int i = 0; i < fake_n_ranks; i++)
            is_empty = is_empty && !peers[i].out;
        pthread_mutex_unlock(&lock);
        if (!is_empty)
            sched_yield();
    }
}

/* --- Begin ----------------------------------------------------------------------------------------------------------------------- */

static MPI_Request new_request(request_kind kind, int n_parts)
{
    MPI_Request request = calloc(1, sizeof *request + (size_t)n_parts * sizeof(MPI_Request));
    request->kind = kind;
    request->n_parts = n_parts;
    pthread_mutex_lock(&all_lock);
    request->following = all;
    request->link = &all;
    if (all)
        all->link = &request->following;
    all = request;
    pthread_mutex_unlock(&all_lock);
    return request;
}

void fake_isend(const void *buffer, int n, MPI_Datatype type, int peer, int tag, MPI_Comm comm, bool is_collective,
                MPI_Request *out)
{
    size_t n_bytes = (size_t)n * type->n_bytes;
    MPI_Request request = new_request(SEND, 0);
    message *sent = malloc(sizeof *sent + n_bytes);
    *sent = (message){.head = {.space = space_of(comm, is_collective), .source = comm->rank, .tag = tag, .n_bytes = n_bytes},
                      .request = request};
    fake_pack(sent->bytes, buffer, n, type);
    request->is_active = true;
    request->comm = comm;
    int world = comm->world[peer];
    pthread_mutex_lock(&lock);
    *out = request;
    if (world == fake_rank) {
        complete(request);
        deliver(sent);
    } else {
        struct peer *to = &peers[world];
        message **end = &to->out;
        while (*end)
            end = &(*end)->next;
        *end = sent;
        progress();
    }
    pthread_mutex_unlock(&lock);
}

static MPI_Request new_receive(void *buffer, int n, MPI_Datatype type, int peer, int tag, MPI_Comm comm, bool is_collective)
{
    MPI_Request request = new_request(RECEIVE, 0);
    request->comm = comm;
    request->space = space_of(comm, is_collective);
    request->peer = peer;
    request->tag = tag;
    request->n = n;
    request->buffer = buffer;
    request->type = type;
    fake_type_ref(type);
    return request;
}

void fake_irecv(void *buffer, int n, MPI_Datatype type, int peer, int tag, MPI_Comm comm, bool is_collective, MPI_Request *out)
{
    *out = new_receive(buffer, n, type, peer, tag, comm, is_collective);
    pthread_mutex_lock(&lock);
    post(*out);
    progress();
    pthread_mutex_unlock(&lock);
}

MPI_Request fake_group(int n, MPI_Request *parts)
{
    MPI_Request request = new_request(GROUP, n);
    request->is_active = true;
    request->comm = n > 0 ? parts[0]->comm : NULL;
    memcpy(request->parts, parts, (size_t)n * sizeof *parts);
    return request;
}

int MPI_Isend(const void *buffer, int n, MPI_Datatype type, int peer, int tag, MPI_Comm comm, MPI_Request *out)
{
    fake_isend(buffer, n, type, peer, tag, comm, false, out);
    return MPI_SUCCESS;
}

int MPI_Irecv(void *buffer, int n, MPI_Datatype type, int peer, int tag, MPI_Comm comm, MPI_Request *out)
{
    fake_irecv(buffer, n, type, peer, tag, comm, false, out);
    return MPI_SUCCESS;
}

int MPI_Recv_init(void *buffer, int n, MPI_Datatype type, int peer, int tag, MPI_Comm comm, MPI_Request *out)
{
    *out = new_receive(buffer, n, type, peer, tag, comm, false);
    (*out)->is_persistent = true;
    return MPI_SUCCESS;
}

int MPI_Start(MPI_Request *request)
{
    pthread_mutex_lock(&lock);
    post(*request);
    pthread_mutex_unlock(&lock);
    return MPI_SUCCESS;
}

/* --- End ------------------------------------------------------------------------------------------------------------------------- */

/* Under the lock. */
static bool is_complete(MPI_Request request)
{
    if (request->kind != GROUP)
        return request->is_done;
    for (int i = 0; i < request->n_parts; i++)
        if (!request->parts[i]->is_done)
            return false;
    return true;
}

static void set_status(MPI_Status *out, const struct fake_request *request)
{
    if (out)
        *out = request && request->is_active ? request->status : (MPI_Status){.MPI_SOURCE = MPI_ANY_SOURCE, .MPI_TAG = MPI_ANY_TAG};
}

/* Under the lock: is done with a request that is complete; returns its code. */
static int retire(MPI_Request *request, MPI_Status *status)
{
    MPI_Request done = *request;
    int code = done->is_active ? done->status.MPI_ERROR : MPI_SUCCESS;
    set_status(status, done);
    done->is_active = false;
    if (done->is_persistent)
        return code;
    destroy(done);
    *request = MPI_REQUEST_NULL;
    return code;
}

static bool is_live(MPI_Request request) { return request && request->is_active; }

int MPI_Test(MPI_Request *request, int *flag, MPI_Status *status)
{
    int code = MPI_SUCCESS;
    MPI_Comm comm = *request ? (*request)->comm : NULL;
    pthread_mutex_lock(&lock);
    progress();
    *flag = !is_live(*request) || is_complete(*request);
    if (*flag && is_live(*request))
        code = retire(request, status);
    else if (*flag)
        set_status(status, NULL);
    pthread_mutex_unlock(&lock);
    return fake_error(comm, code);
}

int MPI_Request_get_status(MPI_Request request, int *flag, MPI_Status *status)
{
    pthread_mutex_lock(&lock);
    progress();
    *flag = !is_live(request) || is_complete(request);
    if (*flag)
        set_status(status, request);
    pthread_mutex_unlock(&lock);
    return MPI_SUCCESS;
}

int MPI_Testsome(int n, MPI_Request requests[], int *n_done, int indices[], MPI_Status statuses[])
{
    int n_live = 0, result = MPI_SUCCESS;
    MPI_Comm comm = NULL;
    *n_done = 0;
    pthread_mutex_lock(&lock);
    progress();
    for (int i = 0; i < n; i++) {
        if (!is_live(requests[i]))
            continue;
        n_live++;
        if (!is_complete(requests[i]))
            continue;
        MPI_Comm of = requests[i]->comm;
        MPI_Status *status = statuses ? &statuses[*n_done] : NULL;
        int code = retire(&requests[i], status);
        if (code != MPI_SUCCESS) {
            result = MPI_ERR_IN_STATUS;
            comm = of;
        }
        indices[(*n_done)++] = i;
    }
    pthread_mutex_unlock(&lock);
    if (n_live == 0)
        *n_done = MPI_UNDEFINED;
    return fake_error(comm, result);
}

int MPI_Wait(MPI_Request *request, MPI_Status *status)
{
    int flag = 0, code = MPI_SUCCESS;
    while (!flag && code == MPI_SUCCESS) {
        code = MPI_Test(request, &flag, status);
        if (!flag)
            sched_yield();
    }
    return code;
}

int MPI_Waitall(int n, MPI_Request requests[], MPI_Status statuses[])
{
    int result = MPI_SUCCESS;
    for (int i = 0; i < n; i++) {
        int code = MPI_Wait(&requests[i], statuses ? &statuses[i] : NULL);
        if (statuses)
            statuses[i].MPI_ERROR = code;
        result = code == MPI_SUCCESS ? result : MPI_ERR_IN_STATUS;
    }
    return result;
}

int MPI_Request_free(MPI_Request *request)
{
    pthread_mutex_lock(&lock);
    MPI_Request freed = *request;
    *request = MPI_REQUEST_NULL;
    freed->is_freed = true;
    if (!freed->is_active || freed->is_done)
        destroy(freed);
    pthread_mutex_unlock(&lock);
    return MPI_SUCCESS;
}

int MPI_Cancel(MPI_Request *request)
{
    pthread_mutex_lock(&lock);
    for (MPI_Request *at = &posted; *at; at = &(*at)->next)
        if (*at == *request) {
            unlink_posted(at);
            (*request)->status = (MPI_Status){.is_cancelled = 1};
            complete(*request);
            break;
        }
    pthread_mutex_unlock(&lock);
    return MPI_SUCCESS;
}

int MPI_Test_cancelled(const MPI_Status *status, int *flag)
{
    *flag = status->is_cancelled;
    return MPI_SUCCESS;
}

int MPI_Get_count(const MPI_Status *status, MPI_Datatype type, int *out)
{
    *out = (int)(status->n_bytes / type->n_bytes);
    return MPI_SUCCESS;
}

int MPI_Send(const void *buffer, int n, MPI_Datatype type, int peer, int tag, MPI_Comm comm)
{
    MPI_Request request;
    MPI_Isend(buffer, n, type, peer, tag, comm, &request);
    return MPI_Wait(&request, MPI_STATUS_IGNORE);
}

int MPI_Recv(void *buffer, int n, MPI_Datatype type, int peer, int tag, MPI_Comm comm, MPI_Status *status)
{
    MPI_Request request;
    MPI_Irecv(buffer, n, type, peer, tag, comm, &request);
    return MPI_Wait(&request, status);
}

int MPI_Sendrecv(const void *sent, int n_sent, MPI_Datatype sent_type, int to, int sent_tag, void *received, int n_received,
                 MPI_Datatype received_type, int from, int received_tag, MPI_Comm comm, MPI_Status *status)
{
    MPI_Request requests[2];
    MPI_Irecv(received, n_received, received_type, from, received_tag, comm, &requests[0]);
    MPI_Isend(sent, n_sent, sent_type, to, sent_tag, comm, &requests[1]);
    (void)MPI_Wait(&requests[1], MPI_STATUS_IGNORE);
    return MPI_Wait(&requests[0], status);
}
