/* quantity.c - numbers with units. Pure functions; strtod is not used because it follows the program's locale. */
#include "device/quantity.h"

#include <string.h>
#include <strings.h>

const pl_unit pl_units_bytes[] = {
    {"", 1},
    {"B", 1},
    {"kB", 1e3},
    {"MB", 1e6},
    {"GB", 1e9},
    {"TB", 1e12},
    {"KiB", 1024.},
    {"MiB", 1024. * 1024},
    {"GiB", 1024. * 1024 * 1024},
    {"TiB", 1024. * 1024 * 1024 * 1024},
    {NULL, 0},
};

const pl_unit pl_units_ns[] = {
    {"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {NULL, 0},
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static const char *read_digits(const char *text, double *value, double *scale)
{
    for (; is_digit(*text); text++) {
        *value = *value * 10 + (*text - '0');
        *scale *= 10;
    }
    return text;
}

const char *pl_quantity_read(const char *text, const pl_unit *units, double *out)
{
    if (!is_digit(*text))
        return NULL;
    double value = 0, scale = 1;
    text = read_digits(text, &value, &scale);
    if (*text == '.') {
        scale = 1;
        text = read_digits(text + 1, &value, &scale);
        value /= scale;
    }

    size_t n = 0;
    while (is_letter(text[n]))
        n++;
    for (; units->name; units++) {
        if (strlen(units->name) == n && strncasecmp(units->name, text, n) == 0) {
            *out = value * units->factor;
            return text + n;
        }
    }
    return NULL;
}
