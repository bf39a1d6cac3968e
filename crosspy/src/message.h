/* message.h - one transfer of a plan that goes through the transport. */
#ifndef CX_MESSAGE_H
#define CX_MESSAGE_H

#include <crosspy/run.h>

/* A box inside an instance or host memory: `outer` restricted to the elements that `part` names. */
parla_strided cx_strided_part(const parla_strided *outer, const cx_box *part);

/* The source as the destination sees it: extents of dst_box, stride 0 where it is repeated. */
parla_strided cx_strided_stretch(const parla_strided *src, const cx_box *dst_box, const int *axes);

/* Spawns the task that sends a transfer's box to the rank of its destination, or receives it from that of its source. */
int cx_message_send(parla_runtime *rt, parla_task *out, const cx_plan *plan, const cx_transfer *transfer, const cx_run *run,
                    uint64_t tag);
int cx_message_receive(parla_runtime *rt, parla_task *out, const cx_plan *plan, const cx_transfer *transfer, const cx_run *run,
                       uint64_t tag);

#endif
