/* map.c - open addressing with linear probing over a dense list of entries.
 *
 *   slots   [0 2 0 1 0 3 0 0]      at most half full, so that probes stay short
 *              |   |   |
 *   entries [ e0, e1, e2 ]         in order of insertion: iteration is a walk over an array
 *   keys    [ bytes of e0 | e1 | e2 ]
 *
 * Growing reserves all three arrays before anything is changed, so a failed insert leaves the map as it was. The caller locks. */
#include "base/map.h"

#include "base/compiler.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 16

/* Multiplies and shifts 8 bytes at a time into one word, and mixes at the end because slots are chosen by the low bits. */
static uint64_t hash_bytes(const void *key, size_t key_size)
{
    const unsigned char *bytes = key;
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ key_size;
    while (key_size > 0) {
        uint64_t word = 0;
        size_t n = key_size < sizeof word ? key_size : sizeof word;
        memcpy(&word, bytes, n);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
        bytes += n;
        key_size -= n;
    }
    hash *= UINT64_C(0xbf58476d1ce4e5b9);
    return hash ^ (hash >> 32);
}

void pl_map_init(pl_map *map) { memset(map, 0, sizeof *map); }

void pl_map_fini(pl_map *map)
{
    free(map->entries);
    free(map->slots);
    free(map->key_bytes);
    pl_map_init(map);
}

/* The slot that holds the key, or the free slot where it belongs. */
static size_t find_slot(const pl_map *map, const void *key, size_t key_size, uint64_t hash)
{
    size_t i = hash & (map->n_slots - 1);
    while (map->slots[i] != 0) {
        const pl_map_entry *entry = &map->entries[map->slots[i] - 1];
        if (entry->hash == hash && entry->key_size == key_size &&
            (key_size == 0 || memcmp(map->key_bytes + entry->key_offset, key, key_size) == 0)) {
            break;
        }
        i = (i + 1) & (map->n_slots - 1);
    }
    return i;
}

static pl_map_entry *find_entry(const pl_map *map, const void *key, size_t key_size)
{
    if (map->n_slots == 0) {
        return NULL;
    }
    uint32_t found = map->slots[find_slot(map, key, key_size, hash_bytes(key, key_size))];
    return found == 0 ? NULL : &map->entries[found - 1];
}

void *pl_map_find(const pl_map *map, const void *key, size_t key_size)
{
    const pl_map_entry *entry = find_entry(map, key, key_size);
    return entry != NULL ? entry->value : NULL;
}

void pl_map_replace(pl_map *map, const void *key, size_t key_size, void *value)
{
    pl_map_entry *entry = find_entry(map, key, key_size);
    PL_ASSERT(entry != NULL);
    entry->value = value;
}

/* Makes *array, of *capacity items, at least `needed` items long, doubling. */
static bool reserve_items(void **array, size_t *capacity, size_t needed, size_t item_size)
{
    if (needed <= *capacity) {
        return true;
    }
    size_t wanted = *capacity < FIRST_SLOTS ? FIRST_SLOTS : *capacity;
    while (wanted < needed) {
        wanted *= 2;
    }
    void *grown = realloc(*array, wanted * item_size);
    if (grown == NULL) {
        return false;
    }
    *array = grown;
    *capacity = wanted;
    return true;
}

/* Doubles the slots and puts every entry where it belongs among them. */
static bool grow_slots(pl_map *map)
{
    size_t n_slots = map->n_slots == 0 ? FIRST_SLOTS : map->n_slots * 2;
    uint32_t *slots = calloc(n_slots, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    for (size_t i_entry = 0; i_entry < map->n_entries; i_entry++) {
        size_t i = map->entries[i_entry].hash & (n_slots - 1);
        while (slots[i] != 0) {
            i = (i + 1) & (n_slots - 1);
        }
        slots[i] = (uint32_t)(i_entry + 1);
    }
    free(map->slots);
    map->slots = slots;
    map->n_slots = n_slots;
    return true;
}

static bool reserve_one_more(pl_map *map, size_t key_size)
{
    void *entries = map->entries;
    void *key_bytes = map->key_bytes;
    bool has_room = map->n_entries < UINT32_MAX - 1 &&
                    reserve_items(&entries, &map->entry_capacity, map->n_entries + 1, sizeof *map->entries) &&
                    reserve_items(&key_bytes, &map->key_capacity, map->n_key_bytes + key_size, 1);
    map->entries = entries;
    map->key_bytes = key_bytes;
    return has_room && ((map->n_entries + 1) * 2 <= map->n_slots || grow_slots(map));
}

int pl_map_insert(pl_map *map, const void *key, size_t key_size, void *value)
{
    if (!reserve_one_more(map, key_size)) {
        return pl_error_set(PARLA_E_NOMEM, "no memory for entry %zu of a map", map->n_entries + 1);
    }
    uint64_t hash = hash_bytes(key, key_size);
    size_t i_slot = find_slot(map, key, key_size, hash);
    if (map->slots[i_slot] != 0) {
        return pl_error_set(PARLA_E_STATE, "the key is in the map already");
    }
    if (key_size > 0) {
        memcpy(map->key_bytes + map->n_key_bytes, key, key_size);
    }
    map->entries[map->n_entries] =
        (pl_map_entry){.hash = hash, .key_offset = map->n_key_bytes, .key_size = key_size, .value = value};
    map->n_key_bytes += key_size;
    map->slots[i_slot] = (uint32_t)++map->n_entries;
    return 0;
}

size_t pl_map_count(const pl_map *map) { return map->n_entries; }

void *pl_map_value(const pl_map *map, size_t i) { return map->entries[i].value; }
