/* needs.h - which libraries must not be duplicated. */
#ifndef PL_VLC_NEEDS_H
#define PL_VLC_NEEDS_H

#include <stdbool.h>
#include <stddef.h>

/* Is the library one that must exist once in a process, or does it depend on one? Then `why` gets a sentence. Reads files only: nothing is
 * loaded. A file that is not found or is no library is not refused; the dynamic linker will have its own words. */
bool pl_vlc_is_refused(const char *library, char *why, size_t capacity);

#endif
