/* native.h - what a body shares with libraries that know the vendor's streams and memory: memory in the order of its queue, order between its
 * queue and streams of others, copies. All of it is called inside a body, on its thread, but where a comment says otherwise.
 *
 * On devices without queues of the vendor's (the CPU, simulated ones) a body runs when its queue has come to it, so copies are done when the
 * call returns, and there is no stream to be ordered with. */
#ifndef PARLA_NATIVE_H
#define PARLA_NATIVE_H

#include <parla/strided.h>
#include <parla/task.h>

PARLA_BEGIN_DECLS

/* Memory of a device that belongs to whoever holds the block, not to an array. */
typedef struct parla_block parla_block;

/* Takes memory of the member's device, in the order of the body's queue there: it is for work that is queued there afterwards. It may outlive
 * the body and the runtime. It is taken out of the memory that the task has reserved, and beyond that out of what is free there; copies of
 * arrays that are valid elsewhere, too, are dropped to make room.
 * Owns:   the caller holds the block, until parla_block_destroy.
 * Errors: PARLA_E_DEVICE_MEMORY (what is free, what would help); PARLA_E_NOMEM; PARLA_E_INVALID for a member that does not exist. */
PARLA_API PARLA_MUST_USE int parla_block_create(parla_block **out, parla_context *context, size_t member, size_t n_bytes);
PARLA_API void *parla_block_memory(const parla_block *block);

/* Gives the memory back. It is used again when the work is done that is queued now: that of the body's queue, if a body destroys a block
 * that was made in the same queue; that of all queues of the runtime on the device, if not. NULL is allowed. From: any thread. */
PARLA_API void parla_block_destroy(parla_block *block);

/* Which device of a kind ("cuda") memory is on, by its ordinal, whoever has taken it. From: anywhere; it opens the backend.
 * Errors: PARLA_E_INVALID if it is on none; PARLA_E_UNSUPPORTED for a kind that cannot tell; PARLA_E_NO_DEVICE. */
PARLA_API PARLA_MUST_USE int parla_native_locate(const char *kind, const void *memory, int *out_ordinal);

/* Order with a stream of somebody else's, by the vendor's handle, on device `i_device` of the runtime (negative: the member's). follow: work
 * that is queued later in the body's queue waits for what is in the stream now. lead: work that is queued later in the stream waits for what
 * is in the body's queue now. The host does not wait.
 * Errors: PARLA_E_UNSUPPORTED where there are no streams; PARLA_E_INVALID for a device of another kind; PARLA_E_DEVICE. */
PARLA_API PARLA_MUST_USE int parla_context_follow(parla_context *context, size_t member, int i_device, void *native);
PARLA_API PARLA_MUST_USE int parla_context_lead(parla_context *context, size_t member, int i_device, void *native);

/* Queues a copy between boxes of equal shape in the body's queue on the member's device. A box lies on a device of the runtime; 0 is the host,
 * whose memory must stay until the copy is done. Errors: PARLA_E_INVALID, PARLA_E_UNSUPPORTED, PARLA_E_DEVICE. */
PARLA_API PARLA_MUST_USE int parla_context_copy(parla_context *context, size_t member, const parla_strided *dst, int i_dst,
                                                const parla_strided *src, int i_src);

/* Blocks until the work that is in the body's queue is done. Errors: that of the work. */
PARLA_API PARLA_MUST_USE int parla_context_drain(parla_context *context, size_t member);

PARLA_END_DECLS

#endif
