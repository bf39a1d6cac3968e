/* quantity.h - numbers with units, as written in device strings: 1.5GiB, 20GB/s, 5us. */
#ifndef PL_DEVICE_QUANTITY_H
#define PL_DEVICE_QUANTITY_H

#include <parla/common.h>

/* A unit and what it is worth. */
typedef struct pl_unit {
    const char *name;
    double factor;
} pl_unit;

/* Bytes: "" and B, kB to TB in powers of 1000, KiB to TiB in powers of 1024. Seconds in nanoseconds: ns, us, ms, s.
 * Both lists end with a NULL name. */
extern const pl_unit pl_units_bytes[];
extern const pl_unit pl_units_ns[];

/* Reads a decimal number and a unit, spelt in any case, from the start of `text`; the locale does not matter. Returns the first
 * character after them and sets *out, or returns NULL if there is no number or the letters behind it are no unit of the list. */
const char *pl_quantity_read(const char *text, const pl_unit *units, double *out);

#endif
