/* test_cuda_driver.c - finding the driver's functions, and its words for what fails. */
#include "cuda_fixture.h"
#include "device/module.h"

#include <parla/parla.h>

T_TEST(a_driver_that_fails_to_start_is_no_driver)
{
    fakecuda()->fail_call("cuInit", 1, 100);
    T_EQ_PTR(parla_backend_find("cuda"), NULL);
    T_HAS_STR(pl_module_reason("cuda"), "cuInit: CUDA_ERROR_NO_DEVICE (100): no CUDA-capable device is detected");
}

T_TEST(no_device_string_finds_it_then)
{
    parla_runtime *rt;
    setenv("CUDA_VISIBLE_DEVICES", "", 1);
    parla_options options = PARLA_OPTIONS_INIT;
    options.devices = "cuda";
    T_EQ(parla_runtime_create(&rt, &options), PARLA_E_NO_DEVICE);
    T_HAS_STR(parla_error_detail(), "CUDA_ERROR_NO_DEVICE");
    options.devices = "auto";
    T_OK(parla_runtime_create(&rt, &options));
    T_EQ(parla_device_count(rt), 1);
    parla_runtime_destroy(rt);
}

T_TEST(cards_are_found_by_auto_and_by_index)
{
    static const struct {
        const char *devices;
        int n;
    } cases[] = {{"auto", 3}, {"cuda", 3}, {"cuda:1", 2}, {"cuda:0,cuda:0,cuda:0,cuda:0", 5}, {"cuda:1,mem=1MiB,sim:2", 4}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        parla_runtime *rt;
        parla_options options = PARLA_OPTIONS_INIT;
        options.devices = cases[i].devices;
        T_OK(parla_runtime_create(&rt, &options));
        T_EQ(parla_device_count(rt), cases[i].n);
        parla_runtime_destroy(rt);
    }
}

T_TEST(a_code_that_the_driver_does_not_know_is_told_by_number)
{
    card c = card_open(0);
    void *memory = NULL;
    c.fake->fail_call("cuMemAllocFromPoolAsync", 1, 4711);
    T_EQ(c.b->alloc(c.device, &memory, 100), PARLA_E_DEVICE);
    T_HAS_STR(parla_error_detail(), "(4711)");
    card_close(&c);
}
