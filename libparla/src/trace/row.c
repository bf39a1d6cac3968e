/* row.c - a growing list of records with one writer and readers that never stop it.
 *
 *   first_shared -> [ chunk of 1024 ] -> [ chunk of 1024 ] -> NULL        n_shared records of it are published
 *
 * The owner writes a record behind the published ones and then stores n_shared with release (label R1); a reader loads n_shared
 * with acquire and looks only at what lies before it, so it sees whole records and the links between their chunks. Chunks are
 * freed with the row only. A new session reuses them: the owner sets n_shared to 0 and then publishes the session (label R2). A
 * reader trusts the records only while the row's session is the one that it wants, and the trace's lock keeps the session from
 * changing while somebody reads. */
#include "trace/row.h"

#include <stdlib.h>
#include <string.h>

pl_row *pl_row_create(uint64_t thread_key)
{
    pl_row *row = calloc(1, sizeof *row);
    if (row != NULL) {
        row->thread_key = thread_key;
    }
    return row;
}

static void forget_names(pl_row *row)
{
    memset(row->recent, 0, sizeof row->recent);
    pl_map_fini(&row->names);
    while (row->texts != NULL) {
        pl_row_text *next = row->texts->next;
        free(row->texts);
        row->texts = next;
    }
}

void pl_row_destroy(pl_row *row)
{
    pl_row_chunk *chunk = pl_load_acquire(&row->first_shared);
    while (chunk != NULL) {
        pl_row_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    forget_names(row);
    free(row);
}

void pl_row_enter(pl_row *row, uint32_t session)
{
    if (pl_load_relaxed(&row->session_shared) == session) {
        return;
    }
    forget_names(row);
    row->n_phases = 0;
    row->last = NULL;
    pl_store_relaxed(&row->n_dropped_shared, 0);
    pl_store_relaxed(&row->n_shared, 0);
    pl_store_release(&row->session_shared, session); /* R2: pairs with is_of_session in picture.c */
}

static const char *find_or_copy(pl_row *row, const char *text)
{
    size_t length = strlen(text);
    const char *known = pl_map_find(&row->names, text, length);
    if (known != NULL) {
        return known;
    }
    pl_row_text *copy = malloc(sizeof *copy + length + 1);
    if (copy == NULL) {
        return NULL;
    }
    memcpy(copy->bytes, text, length + 1);
    if (pl_map_insert(&row->names, text, length, copy->bytes) != 0) {
        free(copy);
        return NULL;
    }
    copy->next = row->texts;
    row->texts = copy;
    return copy->bytes;
}

const char *pl_row_intern(pl_row *row, const char *text)
{
    pl_row_recent *recent = &row->recent[((uintptr_t)text >> 3) % PL_ROW_RECENT];
    if (recent->text != text || recent->copy == NULL || strcmp(recent->copy, text) != 0) {
        *recent = (pl_row_recent){.text = text, .copy = find_or_copy(row, text)};
    }
    return recent->copy;
}

/* The chunk that record number n goes to: the one in use, one left by an earlier session, or a new one. */
static pl_row_chunk *chunk_for(pl_row *row, uint32_t n)
{
    if (n % PL_ROW_CHUNK != 0) {
        return row->last;
    }
    pl_row_chunk *chunk = row->last != NULL ? row->last->next : pl_load_relaxed(&row->first_shared);
    if (chunk == NULL) {
        chunk = malloc(sizeof *chunk);
        if (chunk == NULL) {
            return NULL;
        }
        chunk->next = NULL;
        if (row->last != NULL) {
            row->last->next = chunk;
        } else {
            pl_store_relaxed(&row->first_shared, chunk);
        }
    }
    row->last = chunk;
    return chunk;
}

void pl_row_push(pl_row *row, const pl_trace_record *record)
{
    uint32_t n = pl_load_relaxed(&row->n_shared);
    pl_row_chunk *chunk = n < PL_ROW_LIMIT && record->name != NULL ? chunk_for(row, n) : NULL;
    if (chunk == NULL) {
        pl_count(&row->n_dropped_shared, 1);
        return;
    }
    chunk->records[n % PL_ROW_CHUNK] = *record;
    pl_store_release(&row->n_shared, n + 1); /* R1: pairs with pl_row_walk: the record before the count */
}

pl_row_cursor pl_row_walk(const pl_row *row)
{
    uint32_t n = pl_load_acquire(&row->n_shared); /* R1 */
    return (pl_row_cursor){.chunk = pl_load_relaxed(&row->first_shared), .i = 0, .n = n};
}

const pl_trace_record *pl_row_next(pl_row_cursor *cursor)
{
    if (cursor->i == cursor->n) {
        return NULL;
    }
    uint32_t offset = cursor->i % PL_ROW_CHUNK;
    if (offset == 0 && cursor->i > 0) {
        cursor->chunk = cursor->chunk->next;
    }
    cursor->i++;
    return &cursor->chunk->records[offset];
}
