/* test_instance.c - copies on a device: accounts, pins, and the order of eviction. */
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

static pl_instance *copy_of(fixture *f, int i) { return pl_data_instance(f->data[i], 1); }

static void set_valid(parla_data *data, uint64_t valid)
{
    pl_data_set_coherence(data, &data->tiles.root, (pl_coherence){.valid = valid});
}

static void tear_down(fixture *f)
{
    for (int i = 0; i < N; i++) {
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
        T_OK(pl_instance_alloc(&f.store, copy_of(&f, i)));
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
    T_EQ(pl_instance_alloc(&f.store, copy_of(&f, 0)), PARLA_E_DEVICE_MEMORY);
    T_TRUE(copy_of(&f, 0)->memory == NULL);
    pl_device_free(&f.devices.list[1], memory, 900);
    tear_down(&f);
}

T_TEST(the_least_recently_used_goes_first)
{
    fixture f;
    set_up(&f);
    for (int i = 0; i < N; i++) {
        T_OK(pl_instance_alloc(&f.store, copy_of(&f, i)));
        set_valid(f.data[i], 3);
    }
    T_EQ_PTR(pl_store_victim(&f.store, true), copy_of(&f, 0));
    pl_instance_pin(&f.store, copy_of(&f, 0));
    T_EQ_PTR(pl_store_victim(&f.store, true), copy_of(&f, 1));
    pl_instance_unpin(&f.store, copy_of(&f, 0)); /* used last now */
    set_valid(f.data[1], 2);                     /* only there */
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
    T_OK(pl_instance_alloc(&f.store, copy_of(&f, 0)));
    set_valid(f.data[0], 2);
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
