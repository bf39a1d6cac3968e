/* test_cuda_device.c - logical devices on cards: limits, names, contexts, and openings that fail half way. */
#include "cuda_fixture.h"

T_TEST(what_a_device_says_of_itself)
{
    card c = card_open(0);
    T_EQ_STR(c.traits.name, "fake card 0");
    T_EQ_STR(c.traits.uuid, "fafafafa-fafa-fafa-fafa-fafafafafa00");
    T_EQ(c.traits.arch, PARLA_ARCH_GPU);
    T_GT(c.traits.n_queues, 1);
    card_close(&c);
}

T_TEST(devices_on_one_card_share_its_memory_and_context)
{
    card first = card_open(0);
    void *device[2];
    parla_device_traits traits;
    parla_device_spec spec = {.kind = "cuda", .n_sharing = 2};
    for (int i = 0; i < 2; i++)
        T_OK(first.b->open(&device[i], &spec, &traits));
    T_LE(traits.memory_bytes, first.traits.memory_bytes / 2);
    T_EQ(first.fake->n_calls("cuCtxEnablePeerAccess"), 0);
    for (int i = 0; i < 2; i++)
        first.b->close(device[i]);
    card_close(&first);
}

T_TEST(two_cards_reach_each_other)
{
    card first = card_open(0);
    void *second;
    parla_device_traits traits;
    T_OK(first.b->open(&second, &(parla_device_spec){.kind = "cuda", .ordinal = 1}, &traits));
    T_EQ(first.fake->n_calls("cuCtxEnablePeerAccess"), 2);
    T_EQ(first.fake->n_calls("cuMemPoolSetAccess"), 2);
    first.b->close(second);
    card_close(&first);
}

T_TEST(more_memory_than_the_card_has_is_refused)
{
    const parla_backend *b = parla_backend_find("cuda");
    void *device;
    parla_device_traits traits;
    T_EQ(b->open(&device, &(parla_device_spec){.kind = "cuda", .memory_bytes = (size_t)1 << 50}, &traits), PARLA_E_CONFIG);
}

/* Whatever call fails, nothing is left behind: the driver would tell at the end. */
T_TEST(an_opening_that_fails_leaves_nothing)
{
    static const char *const calls[] = {"cuDeviceGet",  "cuDeviceGetAttribute", "cuDevicePrimaryCtxRetain", "cuCtxPushCurrent",
                                        "cuMemGetInfo", "cuMemPoolCreate",      "cuMemPoolSetAttribute",    "cuStreamCreate"};
    const parla_backend *b = parla_backend_find("cuda");
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        void *device;
        parla_device_traits traits;
        fakecuda()->fail_call(calls[i], 1, 1);
        T_EQ(b->open(&device, &(parla_device_spec){.kind = "cuda"}, &traits), PARLA_E_DEVICE);
        T_HAS_STR(parla_error_detail(), calls[i]);
        T_HAS_STR(parla_error_detail(), "CUDA_ERROR_INVALID_VALUE");
    }
}
