/* message.h - tasks that send or receive a block, or a box of one. */
#ifndef CX_MESSAGE_H
#define CX_MESSAGE_H

#include <crosspy/run.h>

/* Bits of a tag. A message that cannot be sent is replaced by one that says why, under the same tag with CX_TAG_WORDS. */
#define CX_TAG_WORDS (UINT64_C(1) << 63)
#define CX_TAG_PLAN (UINT64_C(1) << 62)
#define CX_TAG_MEETING (UINT64_C(1) << 61)

/* A box inside an instance or host memory: `outer` restricted to the elements that `part` names. */
parla_strided cx_strided_part(const parla_strided *outer, const cx_box *part);

/* The source as the destination sees it: extents of dst_box, stride 0 where it is repeated. */
parla_strided cx_strided_stretch(const parla_strided *src, const cx_box *dst_box, const int *axes);

/* Spawns the task that sends a transfer's box to the rank of its destination, or receives it from that of its source. */
int cx_message_send(parla_runtime *rt, parla_task *out, const cx_plan *plan, const cx_transfer *transfer, const cx_run *run,
                    uint64_t tag);
int cx_message_receive(parla_runtime *rt, parla_task *out, const cx_plan *plan, const cx_transfer *transfer, const cx_run *run,
                       uint64_t tag);

/* The same for a whole array. It is received into host memory, which a task that waits for other ranks may hold for long. */
int cx_message_send_block(parla_runtime *rt, parla_transport *transport, int rank, uint64_t tag, parla_data *data);
int cx_message_receive_block(parla_runtime *rt, parla_transport *transport, int rank, uint64_t tag, parla_data *data);

#endif
