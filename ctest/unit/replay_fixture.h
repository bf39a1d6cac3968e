/* replay_fixture.h - captures and runs for test cases. */
#ifndef PARLA_TEST_REPLAY_FIXTURE_H
#define PARLA_TEST_REPLAY_FIXTURE_H

#include "runtime_fixture.h"

#include <parla/replay.h>

static inline parla_replay *end_capture(void)
{
    parla_replay *replay;
    T_OK(parla_capture_end(rt, &replay));
    return replay;
}

static inline parla_task run(parla_replay *replay, void *arg)
{
    parla_task task;
    T_OK(parla_replay_run(replay, &task, arg, NULL, 0));
    return task;
}

#endif
