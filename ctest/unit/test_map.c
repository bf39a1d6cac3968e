/* test_map.c - the hash map against a table that is searched from end to end. */
#include "base/map.h"

#include "base/error.h"

#include "test.h"

#include <stdlib.h>

T_TEST(empty)
{
    pl_map map;
    pl_map_init(&map);
    T_EQ(pl_map_count(&map), 0);
    T_TRUE(pl_map_find(&map, "a", 1) == NULL);
    pl_map_fini(&map);
}

T_TEST(keys_are_copied_and_may_be_anything)
{
    pl_map map;
    int values[4];
    char key[3] = {'a', 0, 'b'};
    pl_map_init(&map);
    T_OK(pl_map_insert(&map, key, 3, &values[0]));
    T_OK(pl_map_insert(&map, key, 2, &values[1]));
    T_OK(pl_map_insert(&map, key, 1, &values[2]));
    T_OK(pl_map_insert(&map, NULL, 0, &values[3]));
    key[0] = 'x';
    T_TRUE(pl_map_find(&map, key, 3) == NULL);
    T_EQ_PTR(pl_map_find(&map, "a\0b", 3), &values[0]);
    T_EQ_PTR(pl_map_find(&map, "a\0", 2), &values[1]);
    T_EQ_PTR(pl_map_find(&map, "a", 1), &values[2]);
    T_EQ_PTR(pl_map_find(&map, "", 0), &values[3]);
    pl_map_fini(&map);
}

T_TEST(same_key_twice)
{
    pl_map map;
    int a, b;
    pl_map_init(&map);
    T_OK(pl_map_insert(&map, "k", 1, &a));
    T_EQ(pl_map_insert(&map, "k", 1, &b), PARLA_E_STATE);
    T_EQ(pl_map_count(&map), 1);
    T_EQ_PTR(pl_map_find(&map, "k", 1), &a);
    pl_map_fini(&map);
}

typedef struct naive_entry {
    unsigned char key[24];
    size_t key_size;
    void *value;
} naive_entry;

static void *naive_find(const naive_entry *table, size_t n, const void *key, size_t key_size)
{
    for (size_t i = 0; i < n; i++) {
        if (table[i].key_size == key_size && memcmp(table[i].key, key, key_size) == 0) {
            return table[i].value;
        }
    }
    return NULL;
}

/* Few different letters, so that many keys are equal and many are a part of another. */
static size_t random_key(t_rng *rng, unsigned char *key)
{
    size_t key_size = t_below(rng, 25);
    for (size_t i = 0; i < key_size; i++) {
        key[i] = (unsigned char)(t_below(rng, 8) == 0 ? t_below(rng, 3) : 0);
    }
    return key_size;
}

T_TEST(random_against_a_table)
{
    enum { N = 3000 };
    static naive_entry table[N];
    size_t n = 0;
    t_rng rng = {t_seed() + 1};
    pl_map map;
    pl_map_init(&map);
    for (uint64_t round = 0; round < t_scale(20000) && n < N; round++) {
        unsigned char key[24];
        size_t key_size = random_key(&rng, key);
        void *known = naive_find(table, n, key, key_size);
        T_EQ_PTR(pl_map_find(&map, key, key_size), known);
        if (known == NULL) {
            memcpy(table[n].key, key, key_size);
            table[n].key_size = key_size;
            table[n].value = &table[n];
            T_OK(pl_map_insert(&map, key, key_size, &table[n]));
            n++;
        } else {
            T_EQ(pl_map_insert(&map, key, key_size, &table[0]), PARLA_E_STATE);
        }
    }
    T_GT(n, 100);
    T_EQ(pl_map_count(&map), n);
    for (size_t i = 0; i < n; i++) {
        T_EQ_PTR(pl_map_value(&map, i), &table[i]);
        T_EQ_PTR(pl_map_find(&map, table[i].key, table[i].key_size), &table[i]);
    }
    pl_map_fini(&map);
}

/* Keys as spaces make them: neighbouring integers must not pile up. A good hash gives a mean of about 1.5. */
T_TEST(integer_tuples_spread)
{
    pl_map map;
    int64_t last_i = (int64_t)t_scale(300);
    size_t n_steps = 0;
    int value;
    pl_map_init(&map);
    for (int64_t i = 0; i < last_i; i++) {
        for (int64_t j = 0; j < last_i; j++) {
            T_OK(pl_map_insert(&map, (int64_t[]){i, j}, 2 * sizeof(int64_t), &value));
        }
    }
    for (size_t i = 0; i < map.n_slots; i++) {
        if (map.slots[i] != 0) {
            size_t home = map.entries[map.slots[i] - 1].hash & (map.n_slots - 1);
            n_steps += ((i - home) & (map.n_slots - 1)) + 1;
        }
    }
    T_LT(n_steps, 3 * pl_map_count(&map));
    pl_map_fini(&map);
}

T_TEST(replace_keeps_the_place)
{
    pl_map map;
    int a, b, c;
    pl_map_init(&map);
    T_OK(pl_map_insert(&map, "a", 1, &a));
    T_OK(pl_map_insert(&map, "b", 1, &b));
    pl_map_replace(&map, "a", 1, &c);
    T_EQ(pl_map_count(&map), 2);
    T_EQ_PTR(pl_map_find(&map, "a", 1), &c);
    T_EQ_PTR(pl_map_value(&map, 0), &c);
    T_EQ_PTR(pl_map_find(&map, "b", 1), &b);
    pl_map_fini(&map);
}
