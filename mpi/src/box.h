/* box.h - strided boxes as streams of bytes in C order: what a message is, whatever the shapes on its two sides.
 *
 * A simplified box describes the same bytes in the same order with as few dimensions and as large items as possible. */
#ifndef PLM_BOX_H
#define PLM_BOX_H

#include <parla/strided.h>

/* Errors: PARLA_E_INVALID for a box that cannot be sent or (is_written) cannot be received into. */
int plm_box_check(const parla_strided *box, bool is_written);

void plm_box_simplify(parla_strided *out, const parla_strided *box);

/* Of a simplified box: its bytes lie in one piece from base on. */
static inline bool plm_box_is_contiguous(const parla_strided *simple) { return simple->ndim == 0; }

/* Copy n bytes of the stream of a simplified box, from byte `offset` on, to or from flat memory. They must lie within the stream. */
void plm_box_pack(const parla_strided *simple, size_t offset, void *to, size_t n);
void plm_box_unpack(const parla_strided *simple, size_t offset, const void *from, size_t n);

/* The lowest address that the bytes of a simplified box take, and the one behind the highest. */
void plm_box_range(const parla_strided *simple, uintptr_t *out_low, uintptr_t *out_high);

/* Copies a stream from one simplified box to another of as many bytes; the memory may overlap. Errors: PARLA_E_NOMEM. */
int plm_box_copy(const parla_strided *dst, const parla_strided *src);

#endif
