/* stream.c - streams: a thread that does its work in order, and the clocks that say what happens before what.
 *
 * A stream's clock is what its next piece of work comes after: all its earlier work, what it was told to wait for, and what the host had
 * seen done when it queued the work. A recording keeps the clock of its place. */
#include "state.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

pthread_mutex_t fc_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t fc_changed = PTHREAD_COND_INITIALIZER;
bool fc_is_paused;
int64_t fc_delay_us;
fc_clock fc_host;

static bool has_id[FC_MAX_STREAMS];
static uint64_t n_queued_by[FC_MAX_STREAMS]; /* also by earlier streams of this number */

void fc_merge(fc_clock *into, const fc_clock *from)
{
    for (int i = 0; i < FC_MAX_STREAMS; i++)
        if (from->seen[i] > into->seen[i])
            into->seen[i] = from->seen[i];
}

void fc_unref_mark(fc_mark *mark)
{
    if (mark && --mark->n_refs == 0)
        free(mark);
}

/* --- The thread --------------------------------------------------------------------------------------------------------------- */

static uintptr_t row_of(const fc_box *box, size_t z, size_t y) { return box->base + z * box->plane + y * box->pitch; }

static void move(const fc_work *work)
{
    if (work->kind == FC_KERNEL) {
        work->kernel(work->arguments);
        return;
    }
    for (size_t z = 0; z < work->dst.depth; z++)
        for (size_t y = 0; y < work->dst.height; y++) {
            void *dst = (void *)row_of(&work->dst, z, y);
            if (work->kind == FC_FILL)
                memset(dst, work->value, work->dst.width);
            else
                memmove(dst, (void *)row_of(&work->src, z, y), work->dst.width);
        }
}

static void do_work(fc_stream *stream, const fc_work *work)
{
    fc_context *context = stream->head.context;
    int code = fc_count_work();
    if (code)
        context->lost = code;
    bool is_done = context->lost == 0;
    int64_t delay_us = fc_delay_us;
    pthread_mutex_unlock(&fc_lock);
    if (delay_us > 0)
        usleep((useconds_t)delay_us);
    if (is_done)
        move(work);
    pthread_mutex_lock(&fc_lock);
}

static void do_one(fc_stream *stream, fc_work *work)
{
    if (work->kind == FC_RECORD)
        work->mark->has_passed = true;
    else if (work->kind == FC_FREE) {
        fc_forget(work->memory);
        free(work->memory);
    } else if (work->kind != FC_WAIT)
        do_work(stream, work);
    fc_unref_mark(work->mark);
    free(work);
}

static bool can_go_on(const fc_stream *stream)
{
    const fc_work *work = stream->first;
    if (!work)
        return false;
    if (work->kind == FC_WAIT)
        return work->mark->has_passed;
    return !fc_is_paused || work->kind == FC_RECORD || work->kind == FC_FREE;
}

static void *run(void *arg)
{
    fc_stream *stream = arg;
    pthread_mutex_lock(&fc_lock);
    for (;;) {
        while (!can_go_on(stream) && !(stream->is_closing && !stream->first))
            pthread_cond_wait(stream->first ? &fc_changed : &stream->wake, &fc_lock);
        if (!stream->first)
            break;
        fc_work *work = stream->first;
        stream->first = work->next;
        if (!stream->first)
            stream->last = &stream->first;
        stream->is_busy = true;
        do_one(stream, work);
        stream->is_busy = false;
        pthread_cond_broadcast(&fc_changed);
    }
    pthread_mutex_unlock(&fc_lock);
    return NULL;
}

/* --- For the host ------------------------------------------------------------------------------------------------------------- */

int fc_stream_open(fc_context *context, fc_stream **out)
{
    int id = 0;
    while (id < FC_MAX_STREAMS && has_id[id])
        id++;
    if (id == FC_MAX_STREAMS)
        return PL_CU_OUT_OF_MEMORY;
    has_id[id] = true;
    fc_stream *stream = fc_new(FC_STREAM, sizeof *stream, context);
    stream->id = id;
    stream->n_queued = n_queued_by[id];
    stream->last = &stream->first;
    pthread_cond_init(&stream->wake, NULL);
    if (pthread_create(&stream->thread, NULL, run, stream) != 0)
        return PL_CU_OUT_OF_MEMORY;
    *out = stream;
    return 0;
}

void fc_drain(fc_stream *stream)
{
    fc_clock clock = stream->clock; /* the host then has seen this much */
    while (stream->first || stream->is_busy)
        pthread_cond_wait(&fc_changed, &fc_lock);
    fc_merge(&fc_host, &clock);
}

void fc_stream_close(fc_stream *stream)
{
    stream->head.is_alive = false;
    stream->is_closing = true;
    pthread_cond_signal(&stream->wake);
    pthread_cond_broadcast(&fc_changed);
    pthread_mutex_unlock(&fc_lock);
    pthread_join(stream->thread, NULL);
    pthread_mutex_lock(&fc_lock);
    n_queued_by[stream->id] = stream->n_queued;
    has_id[stream->id] = false;
}

/* Counts the work that fc_access has judged, and queues it. */
void fc_push(fc_stream *stream, const fc_work *work)
{
    fc_work *own = malloc(sizeof *own);
    *own = *work;
    own->next = NULL;
    fc_merge(&stream->clock, &fc_host);
    stream->clock.seen[stream->id] = ++stream->n_queued;
    *stream->last = own;
    stream->last = &own->next;
    pthread_cond_signal(&stream->wake);
}

fc_mark *fc_record(fc_stream *stream)
{
    fc_mark *mark = calloc(1, sizeof *mark);
    mark->n_refs = 2; /* the event's and the work's */
    fc_push(stream, &(fc_work){.kind = FC_RECORD, .mark = mark});
    mark->clock = stream->clock;
    return mark;
}

void fc_wait(fc_stream *stream, fc_mark *mark)
{
    mark->n_refs++;
    fc_push(stream, &(fc_work){.kind = FC_WAIT, .mark = mark});
    fc_merge(&stream->clock, &mark->clock);
}
