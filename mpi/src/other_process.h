/* other_process.h - what the kernel tells about a process that is not our child: whether it lives, is stopped, and how it ended. */
#ifndef PLM_OTHER_PROCESS_H
#define PLM_OTHER_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef enum plm_life { PLM_ALIVE, PLM_STOPPED, PLM_GONE } plm_life;

/* A descriptor that becomes readable when the process ends, or -1: the kernel, or a filter on system calls, does not have it. */
int plm_process_watch(pid_t process);

/* Looks in /proc. A zombie has ended. */
plm_life plm_process_look(pid_t process);

/* Says how a process ended, such as "killed by signal 9 (Killed)"; `fd` is from plm_process_watch or -1. Waits some milliseconds for the
 * kernel to know. */
void plm_process_end_words(pid_t process, int fd, char *out, size_t capacity);

#endif
