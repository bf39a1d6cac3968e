/* host_memory.h - memory of the host: how much this process may use, and how the built-in backends get it. */
#ifndef PL_DEVICE_HOST_MEMORY_H
#define PL_DEVICE_HOST_MEMORY_H

#include <stddef.h>

/* The machine's memory, or less where a control group (of a container or a batch job) limits this process. */
size_t pl_host_memory_bytes(void);

/* Memory aligned to 64 bytes, or NULL; `n_bytes` 0 gives a pointer, too. Free it with free(). */
void *pl_host_alloc(size_t n_bytes);

#endif
