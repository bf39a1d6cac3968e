/* test_quantity.c - numbers with units. */
#include "device/quantity.h"
#include "test.h"

static void check(const char *text, const pl_unit *units, double expected, const char *rest)
{
    double value = -1;
    const char *end = pl_quantity_read(text, units, &value);
    T_TRUE(end != NULL);
    T_EQ_STR(end, rest);
    T_NEAR(value, expected, expected * 1e-12);
}

T_TEST(sizes)
{
    check("17", pl_units_bytes, 17, "");
    check("17B", pl_units_bytes, 17, "");
    check("1.5GiB,", pl_units_bytes, 1.5 * (1 << 30), ",");
    check("1GB/s", pl_units_bytes, 1e9, "/s");
    check("2kb", pl_units_bytes, 2000, "");
    check("2KIB", pl_units_bytes, 2048, "");
    check("0.25TB", pl_units_bytes, 0.25e12, "");
    check("3TiB", pl_units_bytes, 3.0 * (UINT64_C(1) << 40), "");
    check("12.MB", pl_units_bytes, 12e6, "");
}

T_TEST(times)
{
    check("5us", pl_units_ns, 5e3, "");
    check("250ns", pl_units_ns, 250, "");
    check("0.5ms", pl_units_ns, 5e5, "");
    check("2s x", pl_units_ns, 2e9, " x");
}

T_TEST(nonsense)
{
    static const char *const texts[] = {"", "GiB", "-1", ".5GB", "1Gib2", "1parsec", " 1", "+1"};
    double value = -1;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *end = pl_quantity_read(texts[i], pl_units_bytes, &value);
        T_TRUE(end == NULL || *end != '\0');
    }
    T_TRUE(pl_quantity_read("5", pl_units_ns, &value) == NULL); /* a time needs its unit */
}
