/* slots.h - numbers for things that come and go: a number names one thing, and is never used again after it.
 *
 * Not thread-safe: the owner locks. */
#ifndef PLM_SLOTS_H
#define PLM_SLOTS_H

#include <parla/common.h>

typedef struct plm_slot {
    void *thing;
    uint32_t generation;
    uint32_t next_free; /* index + 1 */
} plm_slot;

typedef struct plm_slots {
    plm_slot *slots;
    uint32_t n_slots, n_used, most;
    uint32_t first_free; /* index + 1 */
} plm_slots;

/* At most `most` things at once. */
void plm_slots_init(plm_slots *self, uint32_t most);
void plm_slots_fini(plm_slots *self);

/* Errors: PARLA_E_NOMEM. The number is not 0. */
int plm_slots_add(plm_slots *self, void *thing, uint64_t *out);

/* NULL if the number names nothing any more. */
void *plm_slots_find(const plm_slots *self, uint64_t number);

void plm_slots_remove(plm_slots *self, uint64_t number);

/* The i-th slot's thing, i < n_slots; NULL if it is free. */
static inline void *plm_slots_at(const plm_slots *self, uint32_t i) { return self->slots[i].thing; }

/* A small number from 1 on, different for all things that exist at the same time. */
static inline uint32_t plm_slots_index(uint64_t number) { return (uint32_t)number; }

#endif
