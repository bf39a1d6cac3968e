/* state.h - the fake driver's objects. One lock, `fc_lock`, guards everything here but the bytes that work moves. */
#ifndef FAKECUDA_STATE_H
#define FAKECUDA_STATE_H

#include "driver.h"

#include <pthread.h>

enum { FC_MAX_STREAMS = 256, FC_MAX_CARDS = 16 };
enum { FC_INVALID_VALUE = 1, FC_INVALID_CONTEXT = 201, FC_INVALID_HANDLE = 400, FC_NOT_FOUND = 500 };

typedef enum fc_kind { FC_CONTEXT = 0x77c0de01, FC_STREAM, FC_EVENT, FC_POOL, FC_MODULE, FC_FUNCTION } fc_kind;

/* The head of every object that callers have a handle of. Objects are never freed, so a stale handle is recognised. */
typedef struct fc_object {
    fc_kind kind;
    bool is_alive;
    struct fc_context *context;
    struct fc_object *next;
} fc_object;

typedef struct fc_context {
    fc_object head;
    int card;
    int n_retained;
    struct fc_stream *default_stream; /* opened when it is first named */
    int lost;                         /* the code that everything returns since some work failed; 0: nothing has */
} fc_context;

/* What has happened before: of each stream, how many pieces of work. */
typedef struct fc_clock {
    uint64_t seen[FC_MAX_STREAMS];
} fc_clock;

/* One recording of an event. */
typedef struct fc_mark {
    int n_refs;
    bool has_passed;
    fc_clock clock;
} fc_mark;

typedef struct fc_event {
    fc_object head;
    fc_mark *mark; /* of the last recording */
} fc_event;

/* `depth` planes of `height` rows of `width` bytes. */
typedef struct fc_box {
    uintptr_t base;
    size_t width, height, depth, pitch, plane;
} fc_box;

typedef struct fc_work {
    enum { FC_COPY, FC_FILL, FC_KERNEL, FC_RECORD, FC_WAIT, FC_FREE } kind;
    fc_box dst, src;
    unsigned char value;
    fc_mark *mark;
    void *memory; /* free */
    void (*kernel)(const void *arguments);
    unsigned char arguments[64];
    struct fc_work *next;
} fc_work;

typedef struct fc_stream {
    fc_object head;
    int id;
    pthread_t thread;
    pthread_cond_t wake;
    fc_work *first, **last;
    bool is_busy, is_closing;
    uint64_t n_queued;
    fc_clock clock; /* before the next piece of work */
} fc_stream;

typedef struct fc_pool {
    fc_object head;
    int card;
    int n_allocated;
    bool is_reachable[FC_MAX_CARDS];
} fc_pool;

extern pthread_mutex_t fc_lock;
extern pthread_cond_t fc_changed; /* some work is done, some event has passed, or a pause is over */
extern bool fc_is_paused;
extern int64_t fc_delay_us;
extern fc_object *fc_objects;
extern fc_clock fc_host; /* what the host has seen done */

/* check.c: notes what is wrong. */
void fc_wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Counts a call; returns the code that it shall fail with, or 0. */
int fc_count_call(const char *function);
/* Counts a piece of work; returns the code that it shall fail with, or 0. */
int fc_count_work(void);
void fc_count_pageable(void);

/* context.c */
fc_context *fc_current(void);
int fc_n_cards(void);
void *fc_new(fc_kind kind, size_t n_bytes, fc_context *context);
/* The object behind a handle; NULL, with a note, if it is none of this kind, or dead, or not of the current context. */
void *fc_check_object(const void *handle, fc_kind kind, const char *function);

pl_cu_result fc_retain(int card, fc_context **out);
pl_cu_result fc_release(int card);
pl_cu_result fc_push_current(fc_context *context);
pl_cu_result fc_pop_current(fc_context **out);

/* stream.c */
int fc_stream_open(fc_context *context, fc_stream **out);
void fc_stream_close(fc_stream *stream); /* needs the lock, and leaves it meanwhile */
void fc_push(fc_stream *stream, const fc_work *work);
void fc_drain(fc_stream *stream);
void fc_merge(fc_clock *into, const fc_clock *from);
fc_mark *fc_record(fc_stream *stream);
void fc_wait(fc_stream *stream, fc_mark *mark);
void fc_unref_mark(fc_mark *mark);

/* memory.c */
void *fc_alloc(fc_stream *stream, fc_pool *pool, size_t n_bytes);
bool fc_free(fc_stream *stream, uintptr_t memory); /* false: no allocation */
/* A stream has come to where this was given back. */
void fc_forget(const void *memory);
void *fc_host_alloc(size_t n_bytes);
bool fc_host_free(void *memory);
int fc_n_allocations(void);
int fc_card_of(uintptr_t memory); /* -1: of none */
bool fc_is_page_locked(uintptr_t memory);
/* Judges an access of the stream's next piece of work, which is better not done if this returns false. `on_device`: in memory of a card, of
 * `card` or reachable from there; -1: any. */
bool fc_access(fc_stream *stream, const fc_box *box, bool on_device, bool is_write, int card, const char *function);

/* kernels.c */
typedef struct fc_kernel {
    const char *name;
    /* Reads the arguments into `out`, and the boxes that it reads and writes. */
    void (*prepare)(void **arguments, unsigned char *out, fc_box *reads, fc_box *writes);
    void (*run)(const void *arguments);
} fc_kernel;
const fc_kernel *fc_kernel_find(const char *name);

#endif
