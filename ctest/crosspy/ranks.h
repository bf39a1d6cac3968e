/* ranks.h - several ranks in one process: a transport between them that keeps the promises of transport.h, and a runtime for each.
 *
 * The hub matches by (from, to, tag) in the order posted. Whoever progresses any rank completes what is matched, one operation at a
 * time; callbacks run outside the lock. A message of another size ends both sides with PARLA_E_TRANSPORT. */
#ifndef RANKS_H
#define RANKS_H

#include <parla/parla.h>
#include <test.h>

#include <pthread.h>
#include <stdlib.h>

enum { MAX_RANKS = 4 };

typedef struct fake_op {
    struct fake_op *next;
    int from, to;
    uint64_t tag;
    bool is_send;
    parla_transfer_memory memory;
    parla_transfer_done done;
    void *ctx;
    struct fake_op *partner; /* of a matched send: its receive */
} fake_op;

typedef struct fake_hub fake_hub;

/* A rank: its end of the hub, and its runtime. */
typedef struct fake_rank {
    parla_transport table;
    fake_hub *hub;
    parla_runtime *rt;
    parla_poll *poll;
    uint64_t n_sent, n_sent_bytes; /* that got through; under the hub's lock */
} fake_rank;

struct fake_hub {
    int n_ranks;
    fake_rank rank[MAX_RANKS];
    pthread_mutex_t lock;
    fake_op *waiting, **waiting_end;
    fake_op *matched, **matched_end; /* the sends */
    int n_waiting;
};

static inline void fake_kick(fake_hub *hub)
{
    for (int i = 0; i < hub->n_ranks; i++) {
        if (hub->rank[i].poll) {
            parla_poll_kick(hub->rank[i].poll);
        }
    }
}

static inline void fake_append(fake_op *op, fake_op ***end)
{
    op->next = NULL;
    **end = op;
    *end = &op->next;
}

static inline fake_op *fake_take_partner(fake_hub *hub, const fake_op *op)
{
    for (fake_op **link = &hub->waiting; *link; link = &(*link)->next) {
        fake_op *other = *link;
        if (other->from == op->from && other->to == op->to && other->tag == op->tag && other->is_send != op->is_send) {
            *link = other->next;
            if (!*link) {
                hub->waiting_end = link;
            }
            hub->n_waiting--;
            return other;
        }
    }
    return NULL;
}

static inline int fake_post(fake_rank *self, int peer, uint64_t tag, const parla_transfer_memory *memory, parla_transfer_done done,
                            void *ctx, bool is_send)
{
    fake_hub *hub = self->hub;
    fake_op *op = malloc(sizeof *op);
    T_TRUE(op != NULL);
    *op = (fake_op){.from = is_send ? self->table.rank : peer,
                    .to = is_send ? peer : self->table.rank,
                    .tag = tag,
                    .is_send = is_send,
                    .memory = *memory,
                    .done = done,
                    .ctx = ctx};
    pthread_mutex_lock(&hub->lock);
    fake_op *partner = fake_take_partner(hub, op);
    if (partner) {
        fake_op *send = is_send ? op : partner;
        send->partner = is_send ? partner : op;
        fake_append(send, &hub->matched_end);
    } else {
        fake_append(op, &hub->waiting_end);
        hub->n_waiting++;
    }
    pthread_mutex_unlock(&hub->lock);
    fake_kick(hub);
    return PARLA_OK;
}

static int fake_send(void *self, parla_transfer *out, int rank, uint64_t tag, const parla_transfer_memory *memory,
                     parla_transfer_done done, void *ctx)
{
    (void)out;
    return fake_post(self, rank, tag, memory, done, ctx, true);
}

static int fake_receive(void *self, parla_transfer *out, int rank, uint64_t tag, const parla_transfer_memory *memory,
                        parla_transfer_done done, void *ctx)
{
    (void)out;
    return fake_post(self, rank, tag, memory, done, ctx, false);
}

static inline void fake_complete(fake_hub *hub, fake_op *send)
{
    fake_op *receive = send->partner;
    size_t n_bytes = parla_strided_bytes(&send->memory.box);
    bool fits =
        n_bytes == parla_strided_bytes(&receive->memory.box) && parla_strided_copy(&receive->memory.box, &send->memory.box) == 0;
    pthread_mutex_lock(&hub->lock);
    hub->rank[send->from].n_sent += fits;
    hub->rank[send->from].n_sent_bytes += fits ? n_bytes : 0;
    pthread_mutex_unlock(&hub->lock);
    receive->done(receive->ctx, fits ? PARLA_OK : PARLA_E_TRANSPORT);
    send->done(send->ctx, fits ? PARLA_OK : PARLA_E_TRANSPORT);
    free(receive);
    free(send);
}

static int fake_progress(void *self)
{
    fake_hub *hub = ((fake_rank *)self)->hub;
    pthread_mutex_lock(&hub->lock);
    fake_op *send = hub->matched;
    if (send) {
        hub->matched = send->next;
        if (!hub->matched) {
            hub->matched_end = &hub->matched;
        }
    }
    pthread_mutex_unlock(&hub->lock);
    if (send) {
        fake_complete(hub, send);
    }
    return send ? 2 : 0;
}

static int fake_poll(void *self)
{
    fake_hub *hub = ((fake_rank *)self)->hub;
    int n = fake_progress(self);
    pthread_mutex_lock(&hub->lock);
    bool is_idle = !hub->matched && hub->n_waiting == 0;
    pthread_mutex_unlock(&hub->lock);
    return n > 0 || !is_idle ? n : -1;
}

/* Starts the ranks, each with a worker, the CPU and two simulated GPUs. */
static inline void fake_open(fake_hub *hub, int n_ranks)
{
    *hub = (fake_hub){.n_ranks = n_ranks};
    hub->waiting_end = &hub->waiting;
    hub->matched_end = &hub->matched;
    pthread_mutex_init(&hub->lock, NULL);
    for (int i = 0; i < n_ranks; i++) {
        fake_rank *rank = &hub->rank[i];
        parla_options options = PARLA_OPTIONS_INIT;
        rank->hub = hub;
        rank->table = (parla_transport){.abi = PARLA_TRANSPORT_ABI,
                                        .name = "fake",
                                        .rank = i,
                                        .n_ranks = n_ranks,
                                        .self = rank,
                                        .send = fake_send,
                                        .receive = fake_receive,
                                        .progress = fake_progress};
        options.n_workers = 1;
        options.devices = "cpu,sim:2";
        T_OK(parla_runtime_create(&rank->rt, &options));
    }
    for (int i = 0; i < n_ranks; i++) {
        T_OK(parla_poll_add(hub->rank[i].rt, &hub->rank[i].poll, fake_poll, &hub->rank[i]));
    }
}

/* Waits for all tasks of all ranks; failures are looked at by whoever expects them. Where a rule is broken on purpose the wait may not
 * end by itself. */
static inline void fake_wait(fake_hub *hub)
{
    int64_t limit_ns = getenv("PL_BREAK") ? INT64_C(2000000000) : PARLA_FOREVER;
    for (int i = 0; i < hub->n_ranks; i++) {
        T_OK(parla_runtime_wait(hub->rank[i].rt, limit_ns));
    }
}

/* Ends the ranks; every message must have found its partner. */
static inline void fake_close(fake_hub *hub)
{
    fake_wait(hub);
    T_EVENTUALLY(fake_poll(&hub->rank[0]) < 0, 20000);
    for (int i = 0; i < hub->n_ranks; i++) {
        parla_poll *poll = hub->rank[i].poll;
        hub->rank[i].poll = NULL;
        parla_poll_remove(poll);
    }
    for (int i = 0; i < hub->n_ranks; i++) {
        parla_runtime_destroy(hub->rank[i].rt);
    }
    T_EQ(hub->n_waiting, 0);
    pthread_mutex_destroy(&hub->lock);
}

#endif
