/* map.h - a hash map from byte strings to pointers that remembers the order of insertion. Entries are never removed one by one. */
#ifndef PL_BASE_MAP_H
#define PL_BASE_MAP_H

#include <parla/common.h>

typedef struct pl_map_entry {
    uint64_t hash;
    size_t key_offset; /* into key_bytes */
    size_t key_size;
    void *value;
} pl_map_entry;

/* Invariant: n_slots is 0 or a power of two, and n_entries <= n_slots / 2; each entry is found from its hash's slot by going
 * forward over used slots. Not thread-safe. All zero is an empty map. */
typedef struct pl_map {
    pl_map_entry *entries; /* in order of insertion */
    size_t n_entries;
    size_t entry_capacity;
    uint32_t *slots; /* 1 + index of an entry, or 0 */
    size_t n_slots;
    unsigned char *key_bytes; /* the keys, one after the other */
    size_t n_key_bytes;
    size_t key_capacity;
} pl_map;

void pl_map_init(pl_map *map);

/* Frees the map's memory, not what the values point to. */
void pl_map_fini(pl_map *map);

/* Adds a key, which is copied. Errors: PARLA_E_STATE if it is there already; PARLA_E_NOMEM. */
PARLA_MUST_USE int pl_map_insert(pl_map *map, const void *key, size_t key_size, void *value);

/* Gives a key that is in the map another value. */
void pl_map_replace(pl_map *map, const void *key, size_t key_size, void *value);

/* The value of a key, or NULL. */
void *pl_map_find(const pl_map *map, const void *key, size_t key_size);

size_t pl_map_count(const pl_map *map);

/* The value inserted as number `i`, counted from 0; i < pl_map_count(map). */
void *pl_map_value(const pl_map *map, size_t i);

#endif
