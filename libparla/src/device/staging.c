/* staging.c - see the header. Who takes a buffer counts it first and gives the count back if there is none, so whoever waits can rely on a
 * buffer in use: used_bytes > 0 means that somebody will call pl_staging_next. */
#include "device/staging.h"

#include "base/break.h"
#include "base/error.h"

#include <parla/log.h>

#include <stdlib.h>

void pl_staging_init(pl_staging *out, const parla_backend *backend, void *handle, const parla_staging *bounds)
{
    static const parla_staging usual = {(size_t)64 << 10, (size_t)1 << 20, (size_t)64 << 20};
    *out = (pl_staging){.backend = backend, .handle = handle, .bounds = bounds->limit_bytes > 0 ? *bounds : usual};
    pthread_mutex_init(&out->lock, NULL);
    out->last = &out->first;
}

void pl_staging_fini(pl_staging *staging) { pthread_mutex_destroy(&staging->lock); }

static size_t rounded(const pl_staging *staging, size_t n_bytes)
{
    size_t size = staging->bounds.least_bytes;
    while (size < n_bytes)
        size *= 2;
    return size;
}

static bool count_locked(pl_staging *staging, size_t n_bytes)
{
    bool has_room = staging->used_bytes == 0 || n_bytes + staging->used_bytes <= staging->bounds.limit_bytes;
    has_room |= pl_is_broken(PL_BREAK_STAGE_LIMIT);
    if (has_room)
        staging->used_bytes += n_bytes;
    if (staging->used_bytes > staging->peak_bytes)
        staging->peak_bytes = staging->used_bytes;
    return has_room;
}

/* Takes memory for a stage that is counted. PARLA_PENDING: the host has none; the count is given back, and somebody else has a buffer. */
static int fill(pl_staging *staging, pl_stage_buffer *stage, bool at_front)
{
    stage->is_plain = false;
    int rc = staging->backend->host_alloc(staging->handle, &stage->memory, stage->n_bytes);
    if (rc == 0)
        return 0;
    pthread_mutex_lock(&staging->lock);
    staging->used_bytes -= stage->n_bytes;
    bool is_alone = staging->used_bytes == 0, tells = rc == PARLA_E_NOMEM && is_alone && !staging->has_told;
    if (rc == PARLA_E_NOMEM && !is_alone && at_front) {
        stage->next = staging->first;
        staging->last = staging->first ? staging->last : &stage->next;
        staging->first = stage;
    }
    if (rc == PARLA_E_NOMEM && is_alone)
        staging->used_bytes += stage->n_bytes;
    staging->has_told |= tells;
    pthread_mutex_unlock(&staging->lock);
    if (rc != PARLA_E_NOMEM)
        return rc;
    if (!is_alone)
        return PARLA_PENDING;
    if (tells)
        parla_log(PARLA_LOG_WARN,
                  "the host gives no page-locked memory for copies (%s); they go through plain memory, and take longer",
                  parla_error_detail());
    stage->is_plain = true;
    stage->memory = malloc(stage->n_bytes);
    if (stage->memory)
        return 0;
    pl_staging_give(staging, stage);
    return pl_error_set(PARLA_E_NOMEM, "no host memory for %zu bytes on their way", stage->n_bytes);
}

static void wait_locked(pl_staging *staging, pl_stage_buffer *stage)
{
    stage->next = NULL;
    *staging->last = stage;
    staging->last = &stage->next;
}

int pl_staging_take(pl_staging *staging, pl_stage_buffer *stage, bool waits)
{
    stage->n_bytes = rounded(staging, stage->n_bytes);
    stage->status = 0;
    pthread_mutex_lock(&staging->lock);
    bool has_room = !staging->first && count_locked(staging, stage->n_bytes);
    if (!has_room && waits)
        wait_locked(staging, stage);
    pthread_mutex_unlock(&staging->lock);
    return has_room ? fill(staging, stage, waits) : PARLA_PENDING;
}

void pl_staging_give(pl_staging *staging, pl_stage_buffer *stage)
{
    if (stage->is_plain)
        free(stage->memory);
    else
        staging->backend->host_free(staging->handle, stage->memory, stage->n_bytes);
    pthread_mutex_lock(&staging->lock);
    staging->used_bytes -= stage->n_bytes;
    pthread_mutex_unlock(&staging->lock);
}

static pl_stage_buffer *take_first(pl_staging *staging)
{
    pthread_mutex_lock(&staging->lock);
    pl_stage_buffer *stage = staging->first;
    if (stage && !count_locked(staging, stage->n_bytes))
        stage = NULL;
    if (stage)
        staging->first = stage->next;
    if (!staging->first)
        staging->last = &staging->first;
    pthread_mutex_unlock(&staging->lock);
    return stage;
}

pl_stage_buffer *pl_staging_next(pl_staging *staging)
{
    pl_stage_buffer *list = NULL, **end = &list, *stage;
    while ((stage = take_first(staging)) != NULL) {
        stage->next = NULL;
        int rc = fill(staging, stage, true);
        if (rc == PARLA_PENDING)
            break;
        stage->status = rc;
        *end = stage;
        end = &stage->next;
    }
    return list;
}

void pl_staging_query(pl_staging *staging, size_t *out_used, size_t *out_peak)
{
    pthread_mutex_lock(&staging->lock);
    *out_used = staging->used_bytes;
    *out_peak = staging->peak_bytes;
    pthread_mutex_unlock(&staging->lock);
}
