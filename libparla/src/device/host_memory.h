/* host_memory.h - memory of the host: how much this process may use, and how the built-in backends get it. */
#ifndef PL_DEVICE_HOST_MEMORY_H
#define PL_DEVICE_HOST_MEMORY_H

#include <parla/memory.h>
#include <stddef.h>

/* The machine's memory, or less where a control group (of a container or a batch job) limits this process. */
size_t pl_host_memory_bytes(void);

/* Memory aligned to 64 bytes, or NULL; `n_bytes` 0 gives a pointer, too. Free it with free(). */
void *pl_host_alloc(size_t n_bytes);

/* From a source, or plain if it is NULL or has none left; and back to where it came from. */
void *pl_host_alloc_from(const parla_memory_source *source, size_t n_bytes);
void pl_host_free_to(const parla_memory_source *source, void *memory);

#endif
