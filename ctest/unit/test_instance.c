/* test_instance.c - memory of arrays on a device: boxes, accounts, pins, and the order of eviction. */
#include "data/data.h"
#include "test.h"

#include <parla/error.h>

enum { N = 4, BYTES = 256 };

typedef struct fixture {
    pl_devices devices;
    pl_store store;
    parla_data *data[N];
} fixture;

static void set_up(fixture *f)
{
    T_OK(pl_devices_open(&f->devices, "sim:1,mem=1KiB"));
    f->store = (pl_store){.device = &f->devices.list[1]};
    for (int i = 0; i < N; i++) {
        parla_data_options options = PARLA_DATA_OPTIONS_INIT;
        options.host = (parla_strided){.item_bytes = 8, .ndim = 1, .extent = {BYTES / 8}};
        T_OK(parla_data_create(&f->data[i], &options));
        T_OK(pl_data_open_instances(f->data[i], 2));
    }
}

static pl_instance *copy_of(fixture *f, int i) { return pl_data_first(f->data[i], 1); }

static int make_copy(fixture *f, int i)
{
    pl_instance *made;
    return pl_instance_create(&f->store, f->data[i], NULL, &made);
}

/* All of an array is current in one instance, and perhaps in a second one. */
static void set_current(parla_data *data, pl_instance *one, pl_instance *other)
{
    pl_data_written(data, &data->tiles.root, one);
    if (!other)
        return;
    T_OK(pl_homes_reserve(&data->tiles.root.homes, 1));
    pl_data_leaving(data, &data->tiles.root, other);
    pl_data_arrived(data, &data->tiles.root, other, true);
}

static void tear_down(fixture *f)
{
    for (int i = 0; i < N; i++) {
        pl_data_lost(f->data[i], &f->data[i]->tiles.root);
        while (copy_of(f, i))
            pl_instance_free(&f->store, copy_of(f, i));
        pl_data_close_instances(f->data[i]);
        parla_data_unref(f->data[i]);
    }
    T_EQ(f->devices.list[1].used_bytes, 0);
    T_EQ(f->store.idle_bytes, 0);
    T_TRUE(!f->store.oldest && !f->store.newest);
    pl_devices_close(&f->devices);
}

T_TEST(accounts_are_exact)
{
    fixture f;
    set_up(&f);
    for (int i = 0; i < N; i++)
        T_OK(make_copy(&f, i));
    T_EQ(f.devices.list[1].used_bytes, N * BYTES);
    T_EQ(f.store.idle_bytes, N * BYTES);
    pl_instance_pin(&f.store, copy_of(&f, 1));
    pl_instance_pin(&f.store, copy_of(&f, 1));
    T_EQ(f.store.idle_bytes, (N - 1) * BYTES);
    pl_instance_unpin(&f.store, copy_of(&f, 1));
    T_EQ(f.store.idle_bytes, (N - 1) * BYTES);
    pl_instance_unpin(&f.store, copy_of(&f, 1));
    T_EQ(f.store.idle_bytes, N * BYTES);
    tear_down(&f);
}

T_TEST(a_full_device_refuses)
{
    fixture f;
    set_up(&f);
    void *memory;
    T_OK(pl_device_alloc(&f.devices.list[1], &memory, 900));
    T_EQ(make_copy(&f, 0), PARLA_E_DEVICE_MEMORY);
    T_TRUE(copy_of(&f, 0) == NULL);
    pl_device_free(&f.devices.list[1], memory, 900);
    tear_down(&f);
}

T_TEST(the_least_recently_used_goes_first)
{
    fixture f;
    set_up(&f);
    for (int i = 0; i < N; i++) {
        T_OK(make_copy(&f, i));
        set_current(f.data[i], copy_of(&f, i), &f.data[i]->host);
    }
    T_EQ_PTR(pl_store_victim(&f.store, true), copy_of(&f, 0));
    pl_instance_pin(&f.store, copy_of(&f, 0));
    T_EQ_PTR(pl_store_victim(&f.store, true), copy_of(&f, 1));
    pl_instance_unpin(&f.store, copy_of(&f, 0));  /* used last now */
    set_current(f.data[1], copy_of(&f, 1), NULL); /* only there */
    T_EQ_PTR(pl_store_victim(&f.store, true), copy_of(&f, 2));
    T_EQ_PTR(pl_store_victim(&f.store, false), copy_of(&f, 1));
    pl_instance_demote(&f.store, copy_of(&f, 3));
    T_EQ_PTR(pl_store_victim(&f.store, true), copy_of(&f, 3));
    tear_down(&f);
}

T_TEST(what_could_not_be_written_back_is_kept)
{
    fixture f;
    set_up(&f);
    T_OK(make_copy(&f, 0));
    set_current(f.data[0], copy_of(&f, 0), NULL);
    copy_of(&f, 0)->is_kept = true;
    T_TRUE(pl_store_victim(&f.store, false) == NULL);
    pl_instance_pin(&f.store, copy_of(&f, 0));
    pl_instance_unpin(&f.store, copy_of(&f, 0));
    T_EQ_PTR(pl_store_victim(&f.store, false), copy_of(&f, 0));
    tear_down(&f);
}

T_TEST(given_memory_is_never_a_victim)
{
    fixture f;
    set_up(&f);
    double memory[8] = {0};
    pl_store host = {.device = &f.devices.list[0]};
    parla_data *data;
    parla_data_options options = PARLA_DATA_OPTIONS_INIT;
    options.host = (parla_strided){.base = memory, .item_bytes = 8, .ndim = 1, .extent = {8}, .stride = {8}};
    T_OK(parla_data_create(&data, &options));
    pl_instance_adopt(&host, &data->host);
    pl_instance_pin(&host, &data->host);
    pl_instance_unpin(&host, &data->host);
    T_EQ(host.idle_bytes, 0);
    T_TRUE(pl_store_victim(&host, true) == NULL && pl_store_victim(&host, false) == NULL);
    pl_instance_free(&host, &data->host);
    T_EQ_PTR(data->host.memory, memory);
    pl_instance_disown(&host, &data->host);
    parla_data_unref(data);
    tear_down(&f);
}

/* Where element (i, k) of an array of 8 x 4 lies. */
static char *at(const pl_instance *instance, int64_t i, int64_t k)
{
    return (char *)instance->box.base + i * instance->box.stride[0] + k * instance->box.stride[1];
}

T_TEST(boxes_of_one_array_may_overlap)
{
    fixture f;
    set_up(&f);
    parla_data *data;
    parla_data_options options = PARLA_DATA_OPTIONS_INIT;
    options.host = (parla_strided){.item_bytes = 8, .ndim = 2, .extent = {8, 4}};
    T_OK(parla_data_create(&data, &options));
    T_OK(pl_data_open_instances(data, 2));
    const pl_span upper[] = {{0, 5, 1}, {0, 4, 1}}, lower[] = {{4, 4, 1}, {1, 3, 1}}, inside[] = {{4, 1, 1}, {1, 2, 2}};
    const pl_span across[] = {{3, 3, 1}, {1, 1, 1}}, nothing[] = {{7, 0, 1}, {0, 4, 1}};
    pl_instance *first, *second;
    T_OK(pl_instance_create(&f.store, data, upper, &first));
    T_OK(pl_instance_create(&f.store, data, lower, &second));
    T_EQ(f.devices.list[1].used_bytes, 8 * (20 + 12));
    T_EQ_PTR(at(first, 0, 0), first->memory);
    T_EQ_PTR(at(first, 4, 3), (char *)first->memory + 8 * 19);
    T_EQ_PTR(at(second, 4, 1), second->memory);
    T_EQ_PTR(at(second, 7, 3), (char *)second->memory + 8 * 11);
    T_TRUE(pl_instance_covers(first, inside) && pl_instance_covers(second, inside));
    T_FALSE(pl_instance_covers(first, across) || pl_instance_covers(second, across) || pl_instance_covers(first, NULL));
    T_TRUE(pl_instance_covers(first, nothing));
    T_TRUE(pl_data_find(data, 1, across, NULL) == NULL);
    T_EQ_PTR(pl_data_find(data, 1, lower, NULL), second);
    set_current(data, first, NULL);
    T_EQ_PTR(pl_data_find(data, 1, inside, &data->tiles.root), first);
    set_current(data, second, NULL);
    T_EQ_PTR(pl_data_find(data, 1, inside, &data->tiles.root), second);
    T_EQ(first->current_bytes, 0);
    pl_data_lost(data, &data->tiles.root);
    pl_instance_free(&f.store, first);
    T_EQ_PTR(pl_data_first(data, 1), second);
    pl_instance_free(&f.store, second);
    pl_data_close_instances(data);
    parla_data_unref(data);
    tear_down(&f);
}
