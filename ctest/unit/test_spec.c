/* test_spec.c - device strings, good and malformed. */
#include "device/backends.h"
#include "device/spec.h"
#include "test.h"

#include <parla/error.h>

#include <stdlib.h>

/* These tests are about a machine without GPUs; on one that has some, they are hidden. */
__attribute__((constructor)) static void hide_cards(void) { setenv("CUDA_VISIBLE_DEVICES", "", 1); }

static pl_spec good(const char *text)
{
    pl_spec spec;
    T_OK(pl_spec_parse(&spec, text));
    T_GE(spec.n, 1);
    T_EQ_PTR(spec.items[0].backend, &pl_backend_cpu);
    return spec;
}

T_TEST(the_cpu_is_always_there)
{
    static const char *const texts[] = {NULL, "", " ", "cpu", "cpu:0", " cpu ", "auto", "auto "};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        T_EQ(good(texts[i]).n, 1);
    T_EQ(good("sim:2,cpu").n, 3);
}

T_TEST(simulated_devices_are_counted)
{
    pl_spec spec = good("sim:2,sim , sim:1");
    T_EQ(spec.n, 5);
    for (int i = 1; i < 5; i++) {
        T_EQ_PTR(spec.items[i].backend, &pl_backend_sim);
        T_EQ(spec.items[i].spec.ordinal, i - 1);
        T_EQ_STR(spec.items[i].spec.kind, "sim");
        T_EQ(spec.items[i].spec.memory_bytes, 0);
    }
    T_EQ(good("sim:63").n, PL_MAX_DEVICES);
}

T_TEST(options_belong_to_the_devices_before_them)
{
    pl_spec spec = good("cpu,mem=2GiB,sim:2,mem=1GiB,link=20GB/s,lat=5us,sim, mem=1.5MB ,link=1GB");
    T_EQ(spec.n, 4);
    T_EQ(spec.items[0].spec.memory_bytes, INT64_C(2) << 30);
    for (int i = 1; i <= 2; i++) {
        T_EQ(spec.items[i].spec.memory_bytes, 1 << 30);
        T_NEAR(spec.items[i].spec.link_bytes_per_s, 20e9, 1);
        T_EQ(spec.items[i].spec.link_latency_ns, 5000);
    }
    T_EQ(spec.items[3].spec.memory_bytes, 1500000);
    T_NEAR(spec.items[3].spec.link_bytes_per_s, 1e9, 1);
    T_EQ(spec.items[3].spec.link_latency_ns, 0);
}

T_TEST(faults_of_simulated_devices)
{
    pl_spec spec = good("sim:2,failalloc=3,late=12/5ms,sim,failcopy=1,lost=70000");
    for (int i = 1; i <= 2; i++) {
        const parla_device_spec *device = &spec.items[i].spec;
        T_TRUE(device->fail_alloc_n == 3 && device->fail_copy_n == 0 && device->lost_n == 0);
        T_TRUE(device->late_copy_n == 12 && device->late_ns == 5000000);
    }
    const parla_device_spec *last = &spec.items[3].spec;
    T_TRUE(last->fail_alloc_n == 0 && last->fail_copy_n == 1 && last->lost_n == 70000 && last->late_copy_n == 0);
}

T_TEST(modelled_time_is_for_all_or_none)
{
    pl_spec spec;
    T_FALSE(good("sim:2").is_virtual);
    T_FALSE(good("sim:2,time=real").is_virtual);
    T_FALSE(good("cpu").is_virtual);
    T_TRUE(good("sim:2,mem=1GiB,time=virtual").is_virtual);
    T_TRUE(good("cpu,sim:2, time=virtual ,link=1GB/s,sim,time=virtual").is_virtual);
    static const char *const mixed[] = {"sim:2,time=virtual,sim", "sim,sim:2,time=virtual", "sim,time=real,sim,time=virtual"};
    for (size_t i = 0; i < sizeof mixed / sizeof mixed[0]; i++) {
        T_EQ(pl_spec_parse(&spec, mixed[i]), PARLA_E_CONFIG);
        T_HAS_STR(parla_error_detail(), "one time for all");
    }
    static const char *const wrong[] = {"sim,time=",        "sim,time=virtuall", "sim,time=1ns", "sim,time=real,time=real",
                                        "cpu,time=virtual", "time=virtual"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        T_EQ(pl_spec_parse(&spec, wrong[i]), PARLA_E_CONFIG);
}

/* A kind with devices of its own, three of them. */
static int three(void) { return 3; }
static parla_backend fake;

static void register_fake(void)
{
    fake = pl_backend_sim;
    fake.kind = "fake";
    fake.probe = three;
    T_OK(parla_backend_register(&fake));
}

T_TEST(real_devices_are_named_by_index)
{
    register_fake();
    pl_spec spec = good("fake:2,fake:0,mem=1MB,fake:0");
    T_EQ(spec.n, 4);
    T_EQ(spec.items[1].spec.ordinal, 2);
    T_EQ(spec.items[2].spec.ordinal, 0);
    T_EQ(spec.items[2].spec.memory_bytes, 1000000);
    T_EQ(spec.items[3].spec.ordinal, 0);
    T_EQ(good("fake").n, 4);
    T_EQ(good("auto").n, 4);
    T_EQ(good("auto").items[3].spec.ordinal, 2);
    pl_spec untouched = {.n = 99};
    T_EQ(pl_spec_parse(&untouched, "fake:3"), PARLA_E_NO_DEVICE);
    T_HAS_STR(parla_error_detail(), "fake:0 to fake:2");
    T_EQ(pl_spec_parse(&untouched, "fake:1,lat=5us"), PARLA_E_CONFIG);
    T_HAS_STR(parla_error_detail(), "simulated devices only");
    T_EQ(untouched.n, 99);
}

T_TEST(kinds_that_do_not_exist_are_told_with_those_that_do)
{
    pl_spec spec;
    T_EQ(pl_spec_parse(&spec, "sim:2,cuda:0"), PARLA_E_NO_DEVICE);
    T_HAS_STR(parla_error_detail(), "\"cuda\" at character 7");
    T_HAS_STR(parla_error_detail(), "cpu, sim");
    T_EQ(pl_spec_parse(&spec, "cpu:1"), PARLA_E_NO_DEVICE);
    T_EQ(pl_spec_parse(&spec, "a_kind_with_a_name_longer_than_any"), PARLA_E_NO_DEVICE);
}

T_TEST(malformed_strings_say_what_and_where)
{
    static const struct {
        const char *text, *what;
    } cases[] = {
        {",", "a device or an option is missing at character 1, found \",\""},
        {"sim,", "a device or an option is missing at the end"},
        {"sim,,cpu", "a device or an option is missing at character 5"},
        {"sim:", "a whole number is missing at the end"},
        {"sim:x", "a whole number is missing at character 5, found \"x\""},
        {"sim:2x", "a whole number is missing at character 5, found \"2x\""},
        {"sim:-1", "a whole number is missing at character 5, found \"-1\""},
        {"sim:0", "a count must be at least 1"},
        {"sim 2", "a comma is missing at character 5, found \"2\""},
        {"sim;cpu", "a colon or a comma is missing at character 4, found \";cpu\""},
        {"cpu,cpu", "the CPU is named twice at character 5"},
        {"auto,sim", "\"auto\" does not go with other devices"},
        {"sim,auto", "\"auto\" does not go with other devices at character 5"},
        {"mem=1GiB", "an option without a device before it"},
        {"sim,mem=", "a size is missing at the end"},
        {"sim,mem=1parsec", "a size is missing at character 9, found \"1parsec\""},
        {"sim,mem=1GiB,mem=2GiB", "an option is given twice at character 14"},
        {"sim,mem=0", "a quantity is out of range at character 9"},
        {"sim,mem=9999999TiB", "a quantity is out of range"},
        {"sim,lat=5", "a time is missing"},
        {"sim,lat=5GB", "a time is missing"},
        {"sim,link=20GB/h", "a size is missing"},
        {"sim,speed=3", "an option that does not exist at character 5"},
        {"cpu,link=1GB/s", "an option of simulated devices only"},
        {"cpu,lost=3", "an option of simulated devices only"},
        {"sim,lost=3,lost=4", "an option is given twice"},
        {"sim,failcopy=0", "a number from 1 is missing"},
        {"sim,failalloc=x", "a number from 1 is missing"},
        {"sim,failcopy=2x", "a comma is missing"},
        {"sim,late=2", "a slash and a time are missing"},
        {"sim,late=2/5GB", "a slash and a time are missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pl_spec spec;
        t_phase(cases[i].text);
        T_EQ(pl_spec_parse(&spec, cases[i].text), PARLA_E_CONFIG);
        T_HAS_STR(parla_error_detail(), cases[i].what);
        T_HAS_STR(parla_error_detail(), "sim:4,mem=1GiB,link=20GB/s,lat=5us"); /* the grammar */
    }
}

T_TEST(too_many_devices_are_refused)
{
    pl_spec spec;
    static const char *const texts[] = {"sim:64", "sim:40,sim:40", "sim:99999999999999"};
    for (int i = 0; i < 3; i++) {
        T_EQ(pl_spec_parse(&spec, texts[i]), PARLA_E_CONFIG);
        T_HAS_STR(parla_error_detail(), "more than 64 devices");
    }
}

/* Whatever the string, the answer is an error with words, or a list that begins with the CPU. */
T_TEST(random_strings)
{
    static const char *const pieces[] = {"cpu",   "sim", "cuda",  "auto", ":", ",",        "=", " ",   "mem=", "link=",
                                         "late=", "/",   "lost=", "lat=", "1", "02",       "7", ".",   "GiB",  "MB",
                                         "/s",    "us",  "-",     "\t",   "x", "\xc3\xa9", ";", "fake"};
    register_fake();
    t_rng rng = {t_seed()};
    for (uint64_t i = t_scale(20000); i > 0; i--) {
        char text[128] = "";
        for (uint64_t n = t_below(&rng, 12); n > 0; n--)
            strcat(text, pieces[t_below(&rng, sizeof pieces / sizeof pieces[0])]);
        pl_spec spec = {.n = -1};
        int rc = pl_spec_parse(&spec, text);
        if (rc == 0) {
            T_TRUE(spec.n >= 1 && spec.n <= PL_MAX_DEVICES);
            T_EQ_PTR(spec.items[0].backend, &pl_backend_cpu);
        } else {
            T_TRUE(rc == PARLA_E_CONFIG || rc == PARLA_E_NO_DEVICE);
            T_EQ(spec.n, -1);
            T_TRUE(parla_error_detail()[0] != '\0');
        }
    }
}
