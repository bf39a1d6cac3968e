/* test_capture.c - what is recorded, what is refused, and what becomes of a capture that is not used. */
#include "replay_fixture.h"

static int check_bytes(parla_context *context, void *arg)
{
    const long *bytes = arg;
    return bytes[0] == 7 && bytes[1] == (long)parla_context_index(context) ? 0 : parla_fail(context, PARLA_E_USER, "wrong bytes");
}

T_TEST(copied_arguments_are_kept)
{
    open_runtime(1);
    T_OK(parla_capture_begin(rt));
    for (long i = 0; i < 100; i++) {
        long bytes[2] = {7, i};
        parla_task_options options = PARLA_TASK_OPTIONS_INIT;
        options.body = check_bytes;
        options.arg = bytes;
        options.arg_bytes = sizeof bytes;
        T_OK(parla_task_spawn(rt, NULL, &options));
        bytes[0] = 0;
    }
    parla_replay *replay = end_capture();
    for (int i = 0; i < 3; i++)
        T_OK(wait_for(run(replay, NULL)));
    parla_replay_destroy(replay);
    close_runtime();
}

T_TEST(what_cannot_be_captured_is_refused)
{
    _Atomic int n = 0;
    open_runtime(1);
    parla_task outside = spawn(count_body, &n, NULL, 0), name = create_name("name");
    T_EQ(parla_capture_end(rt, NULL), PARLA_E_STATE);
    T_OK(parla_capture_begin(rt));
    T_EQ(parla_capture_begin(rt), PARLA_E_STATE);
    T_EQ(parla_spawn(rt, NULL, count_body, &n, &outside, 1), PARLA_E_UNSUPPORTED);
    T_HAS_STR(parla_error_detail(), "parla_replay_run");
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    options.body = count_body;
    options.arg = &n;
    options.priority = 1;
    T_EQ(parla_task_spawn(rt, NULL, &options), PARLA_E_UNSUPPORTED);
    options.priority = 0;
    options.task = name;
    T_EQ(parla_task_spawn(rt, NULL, &options), PARLA_E_UNSUPPORTED);
    parla_task recorded = spawn(count_body, &n, NULL, 0);
    T_EQ(parla_task_query(recorded), PARLA_TASK_CREATED);
    parla_replay *replay = end_capture();
    T_EQ(parla_replay_size(replay), 1u);
    T_OK(wait_for(run(replay, NULL)));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    T_EQ(n, 2);
    parla_replay_destroy(replay);
    parla_task_unref(name);
    close_runtime();
}

T_TEST(an_empty_replay_and_captures_thrown_away)
{
    _Atomic int n = 0;
    open_runtime(1);
    T_OK(parla_capture_begin(rt));
    parla_replay *replay = end_capture();
    T_OK(wait_for(run(replay, NULL)));
    parla_replay_destroy(replay);
    parla_replay_destroy(NULL);
    T_OK(parla_capture_begin(rt));
    parla_task task = spawn(count_body, &n, NULL, 0);
    T_OK(parla_capture_end(rt, NULL));
    T_TRUE(parla_task_has_ended(task));
    T_OK(parla_capture_begin(rt));
    (void)spawn(count_body, &n, NULL, 0);
    close_runtime(); /* in the middle of a capture */
    T_EQ(n, 0);
}
