/* slots.c - number = generation << 32 | index + 1. A slot's generation counts how often it was used. */
#include "slots.h"

#include <parla/error.h>

#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 64 };

void plm_slots_init(plm_slots *self, uint32_t most) { *self = (plm_slots){.most = most}; }

void plm_slots_fini(plm_slots *self) { free(self->slots); }

static int grow(plm_slots *self)
{
    uint32_t n = self->n_slots == 0 ? FIRST_SLOTS : self->n_slots > self->most / 2 ? self->most : 2 * self->n_slots;
    if (n > self->most) {
        n = self->most;
    }
    if (n == self->n_slots) {
        return parla_error_set(PARLA_E_NOMEM, "%u transfers are pending, and there can be no more", self->n_used);
    }
    plm_slot *larger = realloc(self->slots, n * sizeof *larger);
    if (larger == NULL) {
        return parla_error_set(PARLA_E_NOMEM, "no memory for the numbers of %u transfers", n);
    }
    memset(larger + self->n_slots, 0, (n - self->n_slots) * sizeof *larger);
    for (uint32_t i = n; i-- > self->n_slots;) {
        larger[i].next_free = self->first_free;
        self->first_free = i + 1;
    }
    self->slots = larger;
    self->n_slots = n;
    return 0;
}

int plm_slots_add(plm_slots *self, void *thing, uint64_t *out)
{
    int code = self->first_free == 0 ? grow(self) : 0;
    if (code != 0) {
        return code;
    }
    uint32_t i = self->first_free - 1;
    plm_slot *slot = &self->slots[i];
    self->first_free = slot->next_free;
    self->n_used++;
    slot->thing = thing;
    slot->generation++;
    *out = (uint64_t)slot->generation << 32 | (i + 1);
    return 0;
}

void *plm_slots_find(const plm_slots *self, uint64_t number)
{
    uint32_t i = plm_slots_index(number) - 1; /* of 0: larger than any index */
    return i < self->n_slots && self->slots[i].generation == number >> 32 ? self->slots[i].thing : NULL;
}

void plm_slots_remove(plm_slots *self, uint64_t number)
{
    uint32_t i = plm_slots_index(number) - 1;
    self->slots[i].thing = NULL;
    self->slots[i].next_free = self->first_free;
    self->first_free = i + 1;
    self->n_used--;
}
