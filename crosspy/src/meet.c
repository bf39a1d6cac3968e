/* meet.c - the ranks exchange records, and see whether they have walked the same stream.
 *
 * Rank 0 receives an entry from every other rank, then sends all of them to each. A call that times out leaves its messages under way and
 * the next call goes on; their memory belongs to the flow. Callbacks count the messages down; the waiting thread progresses the
 * transport itself, so a meeting needs no runtime, and sleeps in between. */
#include "flow.h"

#include "breaks.h"
#include "message.h"

#include <parla/error.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NAP_NS = 200000 };

/* What a rank tells: its record, and how far it is in the stream. */
typedef struct entry {
    unsigned char record[CX_RECORD_BYTES];
    uint64_t n_calls, hash;
} entry;

int cx_meeting_init(cx_meeting *meeting, int n_ranks)
{
    pthread_condattr_t monotonic;
    meeting->mine = malloc(sizeof(entry));
    meeting->table = malloc((size_t)n_ranks * sizeof(entry));
    if (!meeting->mine || !meeting->table) {
        free(meeting->mine);
        free(meeting->table);
        return parla_error_set(PARLA_E_NOMEM, "no memory for the records of %d ranks", n_ranks);
    }
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&meeting->moved, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&meeting->lock, NULL);
    return PARLA_OK;
}

void cx_meeting_fini(cx_meeting *meeting)
{
    pthread_mutex_destroy(&meeting->lock);
    pthread_cond_destroy(&meeting->moved);
    free(meeting->mine);
    free(meeting->table);
}

/* --- Messages --------------------------------------------------------------------------------------------------------------- */

static void on_moved(void *ctx, int status)
{
    cx_meeting *meeting = ctx;
    pthread_mutex_lock(&meeting->lock);
    meeting->n_under_way--;
    meeting->status = meeting->status ? meeting->status : status;
    pthread_cond_signal(&meeting->moved);
    pthread_mutex_unlock(&meeting->lock);
}

static void post(cx_flow *flow, bool is_send, int rank, uint64_t tag, void *base, size_t n_bytes)
{
    parla_transport *t = flow->transport;
    parla_transfer_memory memory = {.i_device = 0};
    int64_t extent = (int64_t)n_bytes;
    int err = parla_strided_contiguous(&memory.box, base, 1, 1, &extent);
    pthread_mutex_lock(&flow->meeting.lock);
    flow->meeting.n_under_way++;
    pthread_mutex_unlock(&flow->meeting.lock);
    if (!err) {
        err = (is_send ? t->send : t->receive)(t->self, NULL, rank, tag, &memory, on_moved, &flow->meeting);
    }
    if (err) {
        on_moved(&flow->meeting, err);
    }
}

static size_t table_bytes(const cx_flow *flow) { return (size_t)flow->info.n_ranks * sizeof(entry); }

static void begin(cx_flow *flow, const void *record)
{
    cx_meeting *meeting = &flow->meeting;
    uint64_t tag = CX_TAG_MEETING | 2 * meeting->n_meetings++;
    entry mine = {.n_calls = flow->info.n_calls, .hash = flow->info.hash};
    memcpy(mine.record, record, CX_RECORD_BYTES);
    memcpy(meeting->mine, &mine, sizeof mine);
    memcpy(meeting->table + (size_t)flow->info.rank * sizeof mine, &mine, sizeof mine);
    meeting->status = PARLA_OK;
    if (flow->info.rank != 0) {
        meeting->phase = CX_MEETING_SPREADS;
        post(flow, true, 0, tag, meeting->mine, sizeof mine);
        post(flow, false, 0, tag + 1, meeting->table, table_bytes(flow));
        return;
    }
    meeting->phase = CX_MEETING_GATHERS;
    for (int i = 1; i < flow->info.n_ranks; i++) {
        post(flow, false, i, tag, meeting->table + (size_t)i * sizeof mine, sizeof mine);
    }
}

static void spread(cx_flow *flow)
{
    cx_meeting *meeting = &flow->meeting;
    uint64_t tag = (CX_TAG_MEETING | 2 * (meeting->n_meetings - 1)) + 1;
    meeting->phase = CX_MEETING_SPREADS;
    for (int i = 1; i < flow->info.n_ranks; i++) {
        post(flow, true, i, tag, meeting->table, table_bytes(flow));
    }
}

/* --- Waiting ---------------------------------------------------------------------------------------------------------------- */

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Sleeps until a message has moved, or for a nap. Returns how many are under way. */
static int nap(cx_meeting *meeting)
{
    int64_t end_ns = now_ns() + NAP_NS;
    struct timespec end = {.tv_sec = (time_t)(end_ns / 1000000000), .tv_nsec = (long)(end_ns % 1000000000)};
    pthread_mutex_lock(&meeting->lock);
    if (meeting->n_under_way > 0) {
        pthread_cond_timedwait(&meeting->moved, &meeting->lock, &end);
    }
    int n = meeting->n_under_way;
    pthread_mutex_unlock(&meeting->lock);
    return n;
}

static int count_under_way(cx_meeting *meeting)
{
    pthread_mutex_lock(&meeting->lock);
    int n = meeting->n_under_way;
    pthread_mutex_unlock(&meeting->lock);
    return n;
}

static int wait_until(cx_flow *flow, int64_t deadline_ns)
{
    parla_transport *t = flow->transport;
    while (count_under_way(&flow->meeting) > 0) {
        if (t->progress(t->self) == 0 && nap(&flow->meeting) > 0 && now_ns() >= deadline_ns) {
            return PARLA_E_TIMEOUT;
        }
    }
    return PARLA_OK;
}

/* --- Comparing -------------------------------------------------------------------------------------------------------------- */

static bool same(const entry *a, const entry *b) { return a->n_calls == b->n_calls && a->hash == b->hash; }

/* The first rank that most agree with, if there is one. */
static int common_rank(const entry *table, int n)
{
    int candidate = 0, votes = 0, first = 0;
    for (int i = 0; i < n; i++) {
        candidate = votes == 0 ? i : candidate;
        votes += same(&table[i], &table[candidate]) ? 1 : -1;
    }
    votes = 0;
    for (int i = n - 1; i >= 0; i--) {
        votes += same(&table[i], &table[candidate]);
        first = same(&table[i], &table[candidate]) ? i : first;
    }
    return 2 * votes > n ? first : 0;
}

/* True if all are the same; else says who is not, the first of them with numbers. */
static bool compare(const entry *table, int n)
{
    int common = common_rank(table, n), n_others = 0, first = 0;
    for (int i = 0; i < n; i++) {
        if (!same(&table[i], &table[common])) {
            first = n_others++ == 0 ? i : first;
        }
    }
    if (n_others == 0 || cx_is_broken(CX_BREAK_COMPARE)) {
        return true;
    }
    char more[48] = "";
    if (n_others > 1) {
        snprintf(more, sizeof more, " (and %d more ranks)", n_others - 1);
    }
    const char *what = table[first].n_calls == table[common].n_calls ? "as many, but others" : "another number";
    parla_error_set(
        PARLA_E_STATE,
        "rank %d%s has not made the same collective calls as rank %d: %llu spawns and assignments, where rank %d has made "
        "%llu (%s)",
        first, more, common, (unsigned long long)table[first].n_calls, common, (unsigned long long)table[common].n_calls, what);
    return false;
}

static int finish(cx_flow *flow, void *out_records, bool *out_same)
{
    cx_meeting *meeting = &flow->meeting;
    entry one;
    meeting->phase = CX_MEETING_OVER;
    if (meeting->status) {
        return parla_error_set(meeting->status == PARLA_E_STATE ? PARLA_E_STATE : PARLA_E_TRANSPORT,
                               "the ranks did not meet: a message between them did not get through");
    }
    for (int i = 0; i < flow->info.n_ranks; i++) {
        memcpy(&one, meeting->table + (size_t)i * sizeof one, sizeof one);
        memcpy((unsigned char *)out_records + (size_t)i * CX_RECORD_BYTES, one.record, CX_RECORD_BYTES);
    }
    *out_same = compare((const entry *)(const void *)meeting->table, flow->info.n_ranks);
    return PARLA_OK;
}

int cx_flow_meet(cx_flow *flow, const void *record, void *out_records, bool *out_same, int64_t timeout_ns)
{
    cx_meeting *meeting = &flow->meeting;
    int64_t deadline_ns = timeout_ns < 0 ? INT64_MAX : now_ns() + timeout_ns;
    if (meeting->phase == CX_MEETING_OVER) {
        begin(flow, record);
    }
    int err = wait_until(flow, deadline_ns);
    if (!err && meeting->phase == CX_MEETING_GATHERS && !meeting->status) {
        spread(flow);
        err = wait_until(flow, deadline_ns);
    }
    return err ? err : finish(flow, out_records, out_same);
}
