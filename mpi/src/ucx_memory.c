/* ucx_memory.c - see ucx_memory.h.
 *
 * A description is the segment's number, the box with its addresses in the owner, and the segment's packed key. The reader unpacks the key
 * once per segment; with it UCX translates addresses. Numbers are not used again, so a key of freed memory is never taken for another's;
 * it is kept until the transport is closed, since segments are meant to live as long as the arrays' heaps. */
#include "ucx_memory.h"

#include "box.h"

#include <parla/error.h>

#include <stdlib.h>
#include <string.h>

struct plm_segment {
    plm_segment *next;
    uint64_t number;
    char *base;
    size_t n_bytes;
    ucp_mem_h memory;
    void *packed_key;
    size_t n_packed_key;
};

struct plm_key {
    plm_key *next;
    int rank;
    uint64_t number;
    ucp_rkey_h key;
};

typedef struct description {
    uint64_t number;
    parla_strided box;
    unsigned char packed_key[];
} description;

void plm_ucx_memory_init(plm_ucx_memory *self, ucp_context_h context)
{
    *self = (plm_ucx_memory){.context = context};
    pthread_mutex_init(&self->lock, NULL);
}

void plm_ucx_memory_forget(plm_ucx_memory *self)
{
    for (plm_key *key = self->keys, *next; key != NULL; key = next) {
        next = key->next;
        ucp_rkey_destroy(key->key);
        free(key);
    }
    self->keys = NULL;
}

static void free_segment(plm_ucx_memory *self, plm_segment *segment)
{
    ucp_rkey_buffer_release(segment->packed_key);
    ucp_mem_unmap(self->context, segment->memory);
    free(segment);
}

void plm_ucx_memory_fini(plm_ucx_memory *self)
{
    for (plm_segment *segment = self->segments, *next; segment != NULL; segment = next) {
        next = segment->next;
        free_segment(self, segment);
    }
    pthread_mutex_destroy(&self->lock);
}

/* --- This rank's memory ------------------------------------------------------------------------------------------------------ */

static ucs_status_t open_segment(plm_ucx_memory *self, plm_segment *segment, size_t n_bytes)
{
    ucp_mem_map_params_t params = {.field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS | UCP_MEM_MAP_PARAM_FIELD_LENGTH |
                                                 UCP_MEM_MAP_PARAM_FIELD_FLAGS | UCP_MEM_MAP_PARAM_FIELD_MEMORY_TYPE,
                                   .address = NULL,
                                   .length = n_bytes,
                                   .flags = UCP_MEM_MAP_ALLOCATE,
                                   .memory_type = UCS_MEMORY_TYPE_HOST};
    ucs_status_t status = ucp_mem_map(self->context, &params, &segment->memory);
    if (status != UCS_OK) {
        return status;
    }
    ucp_mem_attr_t attr = {.field_mask = UCP_MEM_ATTR_FIELD_ADDRESS | UCP_MEM_ATTR_FIELD_LENGTH};
    status = ucp_mem_query(segment->memory, &attr);
    status =
        status != UCS_OK ? status : ucp_rkey_pack(self->context, segment->memory, &segment->packed_key, &segment->n_packed_key);
    if (status != UCS_OK) {
        ucp_mem_unmap(self->context, segment->memory);
        return status;
    }
    segment->base = attr.address;
    segment->n_bytes = attr.length;
    return UCS_OK;
}

int plm_ucx_memory_alloc(plm_ucx_memory *self, size_t n_bytes, void **out)
{
    plm_segment *segment = calloc(1, sizeof *segment);
    ucs_status_t status = segment != NULL ? open_segment(self, segment, n_bytes) : UCS_ERR_NO_MEMORY;
    if (status != UCS_OK) {
        free(segment);
        return parla_error_set(PARLA_E_NOMEM, "UCX has no shared memory of %zu bytes: %s; look at the size of /dev/shm", n_bytes,
                               ucs_status_string(status));
    }
    pthread_mutex_lock(&self->lock);
    segment->number = ++self->n_allocated;
    segment->next = self->segments;
    self->segments = segment;
    pthread_mutex_unlock(&self->lock);
    *out = segment->base;
    return 0;
}

int plm_ucx_memory_release(plm_ucx_memory *self, void *memory)
{
    pthread_mutex_lock(&self->lock);
    plm_segment **link = &self->segments;
    while (*link != NULL && (*link)->base != memory) {
        link = &(*link)->next;
    }
    plm_segment *segment = *link;
    if (segment != NULL) {
        *link = segment->next;
    }
    pthread_mutex_unlock(&self->lock);
    if (segment == NULL) {
        return parla_error_set(PARLA_E_INVALID, "%p was not allocated by this transport", memory);
    }
    free_segment(self, segment);
    return 0;
}

size_t plm_ucx_memory_describe(plm_ucx_memory *self, const parla_strided *box, void *out, size_t limit)
{
    uintptr_t low, high;
    size_t n = 0;
    plm_box_range(box, &low, &high);
    pthread_mutex_lock(&self->lock);
    plm_segment *segment = self->segments;
    while (segment != NULL && (low < (uintptr_t)segment->base || high > (uintptr_t)segment->base + segment->n_bytes)) {
        segment = segment->next;
    }
    if (segment != NULL && sizeof(description) + segment->n_packed_key <= limit) {
        description head = {.number = segment->number, .box = *box};
        memcpy(out, &head, sizeof head);
        memcpy((char *)out + sizeof head, segment->packed_key, segment->n_packed_key);
        n = sizeof head + segment->n_packed_key;
    }
    pthread_mutex_unlock(&self->lock);
    return n;
}

/* --- Other ranks' memory ------------------------------------------------------------------------------------------------------- */

static plm_key *find_key(plm_ucx_memory *self, int rank, uint64_t number)
{
    plm_key *key = self->keys;
    while (key != NULL && (key->rank != rank || key->number != number)) {
        key = key->next;
    }
    return key;
}

static plm_key *add_key(plm_ucx_memory *self, int rank, ucp_ep_h endpoint, const description *what)
{
    plm_key *key = malloc(sizeof *key);
    if (key == NULL || ucp_ep_rkey_unpack(endpoint, what->packed_key, &key->key) != UCS_OK) {
        free(key);
        return NULL;
    }
    key->rank = rank;
    key->number = what->number;
    key->next = self->keys;
    self->keys = key;
    return key;
}

/* Drops the newest key: one made before the connection was ready may not know the way. */
static void drop_first_key(plm_ucx_memory *self)
{
    plm_key *key = self->keys;
    self->keys = key->next;
    ucp_rkey_destroy(key->key);
    free(key);
}

bool plm_ucx_memory_map(plm_ucx_memory *self, int rank, ucp_ep_h endpoint, const void *bytes, size_t n, parla_strided *out)
{
    if (n < sizeof(description)) {
        return false;
    }
    const description *what = bytes;
    plm_key *key = find_key(self, rank, what->number);
    bool is_new = key == NULL;
    if (is_new && (key = add_key(self, rank, endpoint, what)) == NULL) {
        return false;
    }
    void *address;
    if (ucp_rkey_ptr(key->key, (uint64_t)(uintptr_t)what->box.base, &address) != UCS_OK) {
        if (is_new) {
            drop_first_key(self);
        }
        return false;
    }
    *out = what->box;
    out->base = address;
    return true;
}
