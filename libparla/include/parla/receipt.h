/* receipt.h - what a run has moved, beside what it had to, in numbers, words and JSON. All functions may be called from any thread at any
 * time; the figures are sums since the runtime was created. */
#ifndef PARLA_RECEIPT_H
#define PARLA_RECEIPT_H

#include <parla/task.h>

PARLA_BEGIN_DECLS

typedef struct parla_receipt {
    size_t size; /* sizeof(parla_receipt), set by the caller */
    uint64_t n_copies;
    uint64_t n_bytes; /* copied between different devices */
    /* Of those, what lack of memory has cost: written back to make room, or fetched again after it had been dropped for that. What is left
     * is what the places of the tasks ask for: each tile once for each device that needs it between two writes, and copies of boxes. */
    uint64_t n_bytes_for_room;
    uint64_t n_evictions;     /* copies of arrays that were freed to make room */
    uint64_t n_evicted_bytes; /* memory of those */
    uint64_t copy_ns;         /* time in which something was being copied for tasks */
    uint64_t overlap_ns;      /* of that, time in which some task with a device or an array of its own was running as well */
} parla_receipt;

/* Errors: PARLA_E_INVALID for a size that cannot be. */
PARLA_API PARLA_MUST_USE int parla_receipt_query(const parla_runtime *rt, parla_receipt *out);

typedef enum parla_receipt_format { PARLA_RECEIPT_TEXT, PARLA_RECEIPT_JSON } parla_receipt_format;

/* Writes the receipt with a line (an object) for each link that was used, always ended by 0. Returns the length of the whole, as snprintf
 * does: call it again with more room if that is not less than `capacity`. */
PARLA_API size_t parla_receipt_print(const parla_runtime *rt, parla_receipt_format format, char *out, size_t capacity);

PARLA_END_DECLS

#endif
