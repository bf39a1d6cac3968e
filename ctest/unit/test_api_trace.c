/* test_api_trace.c - a trace of a runtime: tasks, arrows and phases in the file. */
#include <parla/parla.h>

#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/parla-test-XXXXXX";
static char path[64];
static char text[1 << 16];

static parla_runtime *start(bool is_traced)
{
    parla_options options = PARLA_OPTIONS_INIT;
    parla_runtime *rt = NULL;
    T_TRUE(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/trace.json", folder);
    options.n_workers = 2;
    options.trace = is_traced ? path : NULL;
    T_OK(parla_runtime_create(&rt, &options));
    return rt;
}

static void remove_folder(void)
{
    unlink(path);
    T_EQ(rmdir(folder), 0);
}

static void read_file(void)
{
    FILE *file = fopen(path, "r");
    T_TRUE(file != NULL);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
}

static size_t count_of(const char *part)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, part)) != NULL; p++) {
        n++;
    }
    return n;
}

static int nothing(parla_context *context, void *arg)
{
    (void)context, (void)arg;
    return 0;
}

/* A task and two that depend on it. */
static void run_three(parla_runtime *rt)
{
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    parla_task first;
    T_OK(parla_task_create(rt, &first, "first"));
    options.body = nothing;
    options.name = "second";
    options.deps = &first;
    options.n_deps = 1;
    T_OK(parla_task_spawn(rt, NULL, &options));
    T_OK(parla_task_spawn(rt, NULL, &options));
    options = PARLA_TASK_OPTIONS_INIT;
    options.body = nothing;
    options.task = first;
    T_OK(parla_task_spawn(rt, NULL, &options));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    parla_task_unref(first);
}

T_TEST(file_of_the_options)
{
    parla_runtime *rt = start(true);
    parla_trace_begin(rt, "all of it");
    run_three(rt);
    parla_trace_end(rt);
    parla_runtime_destroy(rt);
    read_file();
    T_EQ(count_of("\"name\":\"first\""), 1);
    T_EQ(count_of("\"name\":\"second\""), 2);
    T_EQ(count_of("\"cat\":\"task\""), 3);
    T_EQ(count_of("\"ph\":\"s\""), 2);
    T_EQ(count_of("\"ph\":\"f\""), 2);
    T_EQ(count_of("\"name\":\"all of it\""), 1);
    T_HAS_STR(text, "\"args\":{\"name\":\"worker ");
    remove_folder();
}

T_TEST(start_stop_write)
{
    parla_runtime *rt = start(false);
    T_EQ(parla_trace_write(rt, path), PARLA_E_STATE);
    run_three(rt);
    T_OK(parla_trace_start(rt));
    T_EQ(parla_trace_start(rt), PARLA_E_STATE);
    run_three(rt);
    parla_trace_stop(rt);
    run_three(rt);
    T_EQ(parla_trace_write(rt, NULL), PARLA_E_INVALID);
    T_EQ(parla_trace_write(rt, ""), PARLA_E_INVALID);
    T_OK(parla_trace_write(rt, path));
    parla_runtime_destroy(rt);
    read_file();
    T_EQ(count_of("\"cat\":\"task\""), 3);
    remove_folder();
}

T_TEST(no_runtime)
{
    T_EQ(parla_trace_start(NULL), PARLA_E_INVALID);
    T_EQ(parla_trace_write(NULL, "x"), PARLA_E_INVALID);
    parla_trace_stop(NULL);
}

T_TEST(a_message_is_a_span_of_its_task)
{
    char file_name[] = "/tmp/parla-trace-XXXXXX";
    parla_runtime *rt;
    parla_task task;
    int descriptor = mkstemp(file_name);
    T_TRUE(descriptor >= 0);
    T_OK(parla_runtime_create(&rt, NULL));
    T_EQ(parla_trace_now(rt), 0);
    T_OK(parla_trace_start(rt));
    uint64_t begin_ns = parla_trace_now(rt);
    T_TRUE(begin_ns > 0);
    T_OK(parla_spawn(rt, &task, nothing, NULL, NULL, 0));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    parla_trace_message(rt, task, true, 3, 17, begin_ns, 4096);
    parla_trace_message(rt, task, false, 1, 18446744073709551615u, begin_ns, 1);
    parla_trace_message(rt, task, false, 1, 5, 0, 1); /* posted when nothing was recorded */
    parla_trace_message(rt, PARLA_TASK_NONE, false, 1, 6, begin_ns, 1);
    parla_trace_set_clock(rt, -42, 7);
    T_OK(parla_trace_write(rt, file_name));
    FILE *file = fopen(file_name, "r");
    T_TRUE(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    close(descriptor);
    remove(file_name);
    parla_runtime_destroy(rt);
    T_HAS_STR(text, "\"name\":\"send 17 to 3\"");
    T_HAS_STR(text, "\"name\":\"receive 18446744073709551615 from 1\"");
    T_HAS_STR(text, "\"cat\":\"message\",\"args\":{\"task\":");
    T_HAS_STR(text, "\"bytes\":4096}}");
    T_HAS_STR(text, "\"clock_ahead_ns\":-42,\"clock_error_ns\":7,");
    T_TRUE(strstr(text, "receive 5 from") == NULL && strstr(text, "receive 6 from") == NULL);
}
