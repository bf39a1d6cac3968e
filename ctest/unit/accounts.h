/* accounts.h - what the invariants of data/instance.h say of a runtime, summed up from its arrays: the bytes of each device, the list of
 * what may be evicted, what is current in each instance. For any moment: it takes the placed lock. */
#ifndef PARLA_TEST_ACCOUNTS_H
#define PARLA_TEST_ACCOUNTS_H

#include "sched/placed.h"
#include "test.h"

static inline void check_content_of(parla_data *data, const pl_instance *instance)
{
    size_t current = 0, sole = 0;
    pl_span box[PARLA_MAX_NDIM];
    pl_tile *root = &data->tiles.root;
    for (pl_tile *leaf = pl_tile_first(root); leaf; leaf = pl_tile_next(leaf, root)) {
        const pl_home *home = pl_homes_find(&leaf->homes, instance);
        if (!home)
            continue;
        pl_tile_box(&data->tiles, leaf, box);
        T_TRUE(pl_instance_covers(instance, box));
        T_TRUE(instance->n_pins > 0 || !home->is_arriving);
        current += home->is_arriving ? 0 : pl_data_tile_bytes(data, leaf);
        sole += pl_homes_sole(&leaf->homes) == instance ? pl_data_tile_bytes(data, leaf) : 0;
    }
    T_EQ(instance->current_bytes, current);
    T_EQ(instance->sole_bytes, sole);
}

static inline void check_accounts(parla_runtime *rt)
{
    pl_place_lock(rt);
    for (int i = 0; i < rt->place.devices.n; i++) {
        const pl_store *store = &rt->place.sites[i].store;
        size_t used = 0, idle = 0, listed = 0;
        for (parla_data *data = rt->place.attached; data; data = data->next_attached)
            for (const pl_instance *at = pl_data_first(data, i); at; at = at->next) {
                check_content_of(data, at);
                T_EQ(at->is_listed, at->n_pins == 0 && !at->is_given);
                used += at->is_given ? 0 : at->n_bytes;
                idle += at->is_listed ? at->n_bytes : 0;
            }
        for (const pl_instance *at = store->oldest; at; at = at->newer)
            listed += at->n_bytes;
        T_EQ(store->device->used_bytes, used);
        T_EQ(store->idle_bytes, idle);
        T_EQ(listed, idle);
        T_LE(used, store->device->traits.memory_bytes);
    }
    pl_place_unlock(rt);
}

#endif
