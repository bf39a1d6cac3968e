/* copy.h - what closing devices needs of copies; pl_copy_async itself is in device.h. */
#ifndef PL_DEVICE_COPY_H
#define PL_DEVICE_COPY_H

#include "device/device.h"

/* Blocks until no copy is in flight. */
void pl_copy_drain(pl_devices *devices);

#endif
