/* feed.h - the streams of tasks, compiled into each runner. For C and C++. Before it is included the runner defines
 *
 *   static void spawn(long i, long slot, const long *deps, int n_deps)   task i; slot -1: nobody depends on it; deps are slots
 *   static void wait_all(void)                                           until every task has run
 *   static void gate(bool is_open)                                       while it is closed no task runs */
#include "tasks/work.h"

static void feed_independent(bool in_windows)
{
    for (long i = 0; i < tk.n; i++) {
        spawn(i, -1, NULL, 0);
        if (in_windows && i % TK_WINDOW == TK_WINDOW - 1) {
            wait_all();
        }
    }
}

static void feed_chain(bool in_windows)
{
    const long before = 0;
    for (long i = 0; i < tk.n; i++) {
        spawn(i, 0, &before, in_windows ? i % TK_WINDOW > 0 : i > 0);
        if (in_windows && i % TK_WINDOW == TK_WINDOW - 1) {
            wait_all();
        }
    }
}

/* Slots of two rows in turn; at the edges two dependencies. `window`: rows between two waits, 0: none. */
static void feed_stencil(long window)
{
    for (long row = 0; row < tk.n / TK_WIDTH; row++) {
        long before = ((row + 1) & 1) * TK_WIDTH;
        bool is_first = window > 0 ? row % window == 0 : row == 0;
        for (long i = 0; i < TK_WIDTH; i++) {
            long deps[3];
            int n = 0;
            for (long k = i > 0 ? i - 1 : 0; !is_first && k <= i + 1 && k < TK_WIDTH; k++) {
                deps[n++] = before + k;
            }
            spawn(row * TK_WIDTH + i, (row & 1) * TK_WIDTH + i, deps, n);
        }
        if (window > 0 && row % window == window - 1) {
            wait_all();
        }
    }
}

static void feed_dag(void)
{
    for (long i = 0; i < tk.n; i++) {
        long deps[4];
        int n = 0;
        for (int k = 0; k < 4; k++) {
            long at = tk.preds[4 * i + k];
            bool is_new = at >= 0;
            for (int j = 0; j < n; j++) {
                is_new = is_new && deps[j] != at % TK_SLOTS;
            }
            if (is_new) {
                deps[n++] = at % TK_SLOTS;
            }
        }
        spawn(i, i % TK_SLOTS, deps, n);
    }
}

static void feed_fan(void)
{
    static long all[TK_SLOTS];
    const long first = 0;
    spawn(0, 0, NULL, 0);
    for (long i = 1; i < tk.n - 1; i++) {
        all[i - 1] = i;
        spawn(i, i, &first, 1);
    }
    spawn(tk.n - 1, -1, all, (int)(tk.n - 2));
}

/* Streams that every runner can take; false for the others. */
static bool feed(tk_shape shape)
{
    switch (shape) {
    case TK_INDEPENDENT_WINDOW:
    case TK_INDEPENDENT_PENDING:
        feed_independent(shape == TK_INDEPENDENT_WINDOW);
        return true;
    case TK_CHAIN_WINDOW:
    case TK_CHAIN_PENDING:
        feed_chain(shape == TK_CHAIN_WINDOW);
        return true;
    case TK_STENCIL_WINDOW:
    case TK_STENCIL_PENDING:
    case TK_STENCIL_STREAM:
        feed_stencil(shape == TK_STENCIL_WINDOW ? TK_WINDOW / TK_WIDTH : 0);
        return true;
    case TK_DAG4_PENDING:
        feed_dag();
        return true;
    case TK_FAN:
        feed_fan();
        return true;
    default:
        return false;
    }
}

static bool is_pending(tk_shape shape)
{
    return shape == TK_INDEPENDENT_PENDING || shape == TK_CHAIN_PENDING || shape == TK_STENCIL_PENDING || shape == TK_DAG4_PENDING;
}

/* A stream, timed from the first spawn to the end of the last task. */
static double time_feed(tk_shape shape)
{
    if (is_pending(shape)) {
        gate(false);
    }
    double before = tk.wants_bytes ? tk_resident() : 0, begin_ns = bench_now_ns();
    if (!feed(shape)) {
        return 0;
    }
    if (tk.wants_bytes) {
        tk.bytes = (tk_resident() - before) / (double)tk.n;
    }
    if (is_pending(shape)) {
        gate(true);
    }
    wait_all();
    return bench_now_ns() - begin_ns;
}
