/* other_process.c - see other_process.h.
 *
 * Only a parent may wait for a process. Others learn its exit status from the zombie's entry in /proc, until its parent has seen it, and from
 * its pidfd after that, where the kernel keeps it (PIDFD_GET_INFO, Linux 6.15). */
#include "other_process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The kernel's struct pidfd_info in its first form; system headers may be older than the kernel. */
typedef struct pidfd_info_v0 {
    uint64_t mask, cgroup;
    uint32_t ids[11];
    int32_t exit_code;
} pidfd_info_v0;

_Static_assert(sizeof(pidfd_info_v0) == 64, "as the kernel lays it out");

#define GET_INFO _IOWR(0xFF, 11, pidfd_info_v0)
#define INFO_EXIT ((uint64_t)1 << 3)

enum { LAST_FIELD = 50, N_LOOKS = 20, LOOK_NS = 1000000 }; /* the exit status is the 50th field behind the name */

int plm_process_watch(pid_t process)
{
#ifdef SYS_pidfd_open
    return (int)syscall(SYS_pidfd_open, process, 0);
#else
    (void)process;
    errno = ENOSYS;
    return -1;
#endif
}

/* The text of /proc/PID/stat behind the name, which may hold anything; NULL if the process is gone. */
static const char *read_stat(pid_t process, char *buffer, size_t capacity)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)process);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    ssize_t n = read(fd, buffer, capacity - 1);
    close(fd);
    buffer[n > 0 ? n : 0] = '\0';
    const char *end = strrchr(buffer, ')');
    return end && end[1] == ' ' ? end + 2 : NULL;
}

plm_life plm_process_look(pid_t process)
{
    char buffer[1024];
    const char *stat = read_stat(process, buffer, sizeof buffer);
    if (!stat || *stat == 'Z' || *stat == 'X')
        return PLM_GONE;
    return *stat == 'T' || *stat == 't' ? PLM_STOPPED : PLM_ALIVE;
}

static bool status_of_zombie(pid_t process, int *out)
{
    char buffer[1024];
    const char *stat = read_stat(process, buffer, sizeof buffer);
    if (!stat || *stat != 'Z')
        return false;
    for (int i = 1; stat && i < LAST_FIELD; i++) {
        stat = strchr(stat, ' ');
        stat = stat ? stat + 1 : NULL;
    }
    *out = stat ? atoi(stat) : 0;
    return stat != NULL;
}

static bool status_of_pidfd(int fd, int *out)
{
    pidfd_info_v0 info = {.mask = INFO_EXIT};
    if (fd < 0 || ioctl(fd, GET_INFO, &info) || !(info.mask & INFO_EXIT))
        return false;
    *out = info.exit_code;
    return true;
}

void plm_process_end_words(pid_t process, int fd, char *out, size_t capacity)
{
    int status = 0;
    bool is_known = false;
    for (int i = 0; i < N_LOOKS && !is_known; i++) {
        is_known = status_of_pidfd(fd, &status) || status_of_zombie(process, &status);
        if (!is_known && plm_process_look(process) == PLM_GONE && i > 2)
            break; /* gone, and the kernel has forgotten how */
        if (!is_known)
            nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
    }
    if (!is_known)
        snprintf(out, capacity, "its process is gone");
    else if (WIFSIGNALED(status))
        snprintf(out, capacity, "killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(out, capacity, "it exited with status %d in the middle of the job", WEXITSTATUS(status));
}
