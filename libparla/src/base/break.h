/* break.h - rules that a test can have broken, to see that the tests notice: PL_BREAK=<number> in a build with PL_TESTING.
 *
 * In the library that is installed the question is always answered "no" at compile time. ctest/CMakeLists.txt names, for each rule, the
 * program that has to fail. */
#ifndef PL_BASE_BREAK_H
#define PL_BASE_BREAK_H

#include <stdbool.h>

enum {
    PL_BREAK_POP = 1,           /* the owner of a deque takes the last item without asking whether a thief was faster */
    PL_BREAK_PARK = 2,          /* a sleeper does not look whether it was woken between its announcement and its sleep */
    PL_BREAK_RELEASE = 3,       /* an edge counts twice when it is released */
    PL_BREAK_LINK = 4,          /* a dependency that failed before the spawn counts as met */
    PL_BREAK_SUSPEND = 5,       /* a suspended task does not count its edges before it links them */
    PL_BREAK_RETIRE = 6,        /* a thread steps back with a successor in hand */
    PL_BREAK_STUCK = 7,         /* bodies that are about to wake up from a wait count as waiting in vain */
    PL_BREAK_KICK = 8,          /* a kick before the sleep is not looked for */
    PL_BREAK_PASS_ON = 9,       /* a sleeper keeps a wake-up that was another's */
    PL_BREAK_WAKE_FIRST = 10,   /* a worker counts its wake while it still counts as idle */
    PL_BREAK_AGEING = 11,       /* nothing is kept for tasks that have waited too long */
    PL_BREAK_REPLAY = 12,       /* a node of a replay starts one predecessor too early */
    PL_BREAK_RANGE = 13,        /* who leaves half of a range to others works through it all the same */
    PL_BREAK_FENCE = 14,        /* who goes to sleep has no heavy fence */
    PL_BREAK_EDGES = 15,        /* a plain task counts one edge too few */
    PL_BREAK_ALONE = 16,        /* who releases an edge takes himself for the last one without looking */
    PL_BREAK_TURN = 17,         /* a successor in hand runs though it was cancelled */
    PL_BREAK_HAND = 18,         /* a helper that stops drops a resumed task that it has in hand */
    PL_BREAK_READERS = 21,      /* a writer does not wait for the readers before it */
    PL_BREAK_STALE = 22,        /* copies stay current when another is written */
    PL_BREAK_EVICT = 23,        /* a copy that is the only current one is dropped without being written back */
    PL_BREAK_SETTLE = 24,       /* a writer does not wait for movements that began after its own */
    PL_BREAK_POISON = 25,       /* what a failed task was to write can be read */
    PL_BREAK_ARRIVE = 26,       /* a writer does not wait for copies that are on their way */
    PL_BREAK_BELOW = 27,        /* a use does not wait for those of parts of its region */
    PL_BREAK_JOIN = 28,         /* tiles are put together that are current in different places */
    PL_BREAK_BLOCK = 29,        /* a block that is given back from elsewhere does not wait for all queues of its device */
    PL_BREAK_PLACE = 30,        /* tiles are put together that are current on the same devices, but in different instances there */
    PL_BREAK_PIECE = 31,        /* regions of a task that meet get instances of their own although some of them are written */
    PL_BREAK_WITHIN = 32,       /* content that is on the device is not looked for in other instances there */
    PL_BREAK_SOURCE = 33,       /* copies come from any device that has the content, whatever its link does */
    PL_BREAK_LOOK = 45,         /* who waits begins to help without looking whether there is anything to do */
    PL_BREAK_ONCE = 55,         /* an event that is completed again ends again */
    PL_BREAK_GENERATION = 56,   /* a name of a task that is gone is taken for the one that has its memory now */
    PL_BREAK_RETURN = 57,       /* a reservation is given back twice */
    PL_BREAK_FOLLOW = 58,       /* what follows a failed task runs */
    PL_BREAK_TOLD = 59,         /* who waits for a cancelled task is told that it is done */
    PL_BREAK_SLOT = 60,         /* one task that waits for a name goes on to count as waiting for it */
    PL_BREAK_RUNNING = 61,      /* a task is cancelled, and told as ended, while its body runs */
    PL_BREAK_GUARD = 62,        /* nothing keeps a task that suspends from becoming ready before all its edges are linked */
    PL_BREAK_LIMIT = 63,        /* that the wait of a body has a time limit is forgotten */
    PL_BREAK_TRIES = 64,        /* a task is tried once more than it asked for */
    PL_BREAK_AHEAD_WAIT = 70,   /* a task that runs ahead does not wait for other queues */
    PL_BREAK_AHEAD_MOVE = 71,   /* a copy for it does not wait for what it follows */
    PL_BREAK_AHEAD_POISON = 72, /* the failure of what it followed does not reach it */
    PL_BREAK_AHEAD_HOST = 73,   /* a task that could run on a host follows, too */
    PL_BREAK_AHEAD_HELD = 74,   /* a task that holds itself is followed before its holds are released */
    PL_BREAK_STAGE = 75,        /* the pieces of a copy share a buffer */
    PL_BREAK_STAGE_LIMIT = 76,  /* buffers are had beyond the limit */
    PL_BREAK_CLOCK = 80,        /* modelled time goes on while somebody computes */
    PL_BREAK_CLOCK_DUE = 81,    /* … and to the moment at which the last one is due */
    PL_BREAK_AIM = 82,          /* what a task aimed at counts on when it has its device */
    PL_BREAK_WATCHERS = 83,     /* all idle workers look every 50 us at what is pending */
    PL_BREAK_HAND_OVER = 84,    /* who watched what is pending goes to work without a word */
    PL_BREAK_BURY = 85,         /* a thread beyond the window runs what is ready */
    PL_BREAK_SPINNER = 86,      /* an idle worker that has found a task leaves the rest to nobody */
    PL_BREAK_VLC_UNBIND = 95,   /* a thread that leaves a context keeps its CPUs */
    PL_BREAK_VLC_STAY = 96,     /* a stay does not keep its context */
    PL_BREAK_VLC_LEND = 97,     /* a context that is handed to who waits for it counts as free, too */
    PL_BREAK_VLC_KEYS = 98,     /* libraries are unloaded without giving their keys back */
    PL_BREAK_VLC_THREADS = 99,  /* libraries are unloaded while threads run their code */
    PL_BREAK_VLC_CLAIM = 160,   /* the CPUs of a context are free for others */
    PL_BREAK_VLC_QUEUE = 161,   /* a task that ends while it waits for a context keeps its place */
    PL_BREAK_OWN_SIGNAL = 180,  /* signals that the program handles are taken from it */
    PL_BREAK_LAST_WORD = 181,   /* a signal ends the process before all has been said */
    PL_BREAK_REST = 201,        /* a runner does not rest before a body that is not managed */
    PL_BREAK_ON_TOP = 202,      /* a runner keeps what it has when a body goes on that waited */
};

#ifdef PL_TESTING
#include <stdlib.h>

static int pl_broken_rule;

/* Before main, so that asking is no access that threads share. */
__attribute__((constructor)) static void pl_read_broken_rule(void)
{
    const char *text = getenv("PL_BREAK");
    pl_broken_rule = text ? atoi(text) : 0;
}

static inline bool pl_is_broken(int rule) { return pl_broken_rule == rule; }
#else
static inline bool pl_is_broken(int rule)
{
    (void)rule;
    return false;
}
#endif

#endif
