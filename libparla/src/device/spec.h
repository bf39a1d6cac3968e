/* spec.h - reads the string that names a runtime's devices; parla_devices_grammar() says what it takes. */
#ifndef PL_DEVICE_SPEC_H
#define PL_DEVICE_SPEC_H

#include "device/device.h"

typedef struct pl_spec_item {
    const parla_backend *backend;
    parla_device_spec spec;
} pl_spec_item;

/* The devices named, one by one; the first is the CPU, named or not. */
typedef struct pl_spec {
    pl_spec_item items[PL_MAX_DEVICES];
    int n;
    bool is_virtual; /* all devices but the CPU are simulated in modelled time */
} pl_spec;

/* NULL and "" name the CPU alone. Errors: PARLA_E_CONFIG, PARLA_E_NO_DEVICE, as pl_devices_open. */
PARLA_MUST_USE int pl_spec_parse(pl_spec *out, const char *text);

#endif
