/* module.h - kinds of device whose backend lies in a module of its own, opened when it is first asked for. */
#ifndef PL_DEVICE_MODULE_H
#define PL_DEVICE_MODULE_H

#include <parla/common.h>

/* Opens the module of a kind and registers its backend, unless that was tried before. Without a driver it stays away and says so in one
 * line of the log. From: any thread, without locks. */
void pl_module_open(const char *kind);

/* The same for every kind that has a module. */
void pl_modules_open(void);

/* Why the module of a kind was not opened; "" if it was, was not tried, or does not exist. */
const char *pl_module_reason(const char *kind);

#endif
