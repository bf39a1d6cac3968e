/* test_exit_receipt.c - what is written at the end of a run, and before a signal ends it. */
#include "runtime_fixture.h"

#include <parla/log.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64] = "/tmp/parla-receipt-XXXXXX", path[128], line[1024];

static void make_path(void)
{
    T_TRUE(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/receipt.json", folder);
}

/* The file's content; removes it. */
static const char *content(void)
{
    static char text[4096];
    FILE *file = fopen(path, "r");
    T_TRUE(file);
    size_t n = fread(text, 1, sizeof text - 1, file);
    text[n] = 0;
    fclose(file);
    T_EQ(remove(path), 0);
    T_EQ(rmdir(folder), 0); /* nothing else is there */
    return text;
}

static void keep(void *ctx, parla_log_level level, const char *text)
{
    (void)ctx;
    (void)level;
    snprintf(line, sizeof line, "%s", text);
}

static int fine = 0, failing_one = 1;

static int work(parla_context *context, void *arg)
{
    (void)context;
    for (volatile int i = 0; i < 1000000; i++)
        ;
    return *(int *)arg ? parla_fail(context, PARLA_E_USER, "on purpose") : 0;
}

static void open_with_receipt(const char *devices)
{
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = 2, options.devices = devices, options.receipt = path;
    T_OK(parla_runtime_create(&rt, &options));
}

static double number_behind(const char *text, const char *words)
{
    const char *at = strstr(text, words);
    T_TRUE(at);
    return atof(at + strlen(words));
}

T_TEST(one_line_and_one_json)
{
    make_path();
    open_with_receipt("sim:2");
    parla_log_set_sink(keep, NULL);
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    const parla_choice on_gpu = {&(parla_demand){.arch = PARLA_ARCH_GPU, .number = 1}, 1};
    options.body = work, options.arg = &fine, options.choices = &on_gpu, options.n_choices = 1;
    T_OK(parla_task_spawn(rt, NULL, &options));
    for (int i = 0; i < 8; i++)
        T_OK(parla_spawn(rt, NULL, work, &fine, NULL, 0));
    T_OK(parla_runtime_wait(rt, PARLA_FOREVER));
    parla_task failing = spawn(work, &failing_one, NULL, 0);
    T_EQ(parla_task_wait(rt, &failing, 1, PARLA_FOREVER), PARLA_E_USER);
    close_runtime();
    parla_log_set_sink(NULL, NULL);
    T_HAS_STR(line, "receipt: ");
    T_HAS_STR(line, "10 tasks, 1 failed; cores ");
    T_HAS_STR(line, "gpu[1] (sim) ");
    T_HAS_STR(line, "0 bytes in 0 copies; ended by the end");
    const char *json = content();
    T_HAS_STR(json, "{\"rank\": 0, \"n_ranks\": 1, \"ended_by\": \"the end\", ");
    T_HAS_STR(json, "\"tasks\": {\"spawned\": 10, \"ended\": 10, \"failed\": 1, \"cancelled\": 0}, ");
    T_HAS_STR(json, "{\"worker\": 1, \"core\": ");
    T_HAS_STR(json, "{\"name\": \"gpu[1] (sim)\", \"tasks\": 1, ");
    T_HAS_STR(json, "\"moved\": {\"copies\": 0, ");
    T_EQ(json[strlen(json) - 1], '\n');
    T_EQ(number_behind(json, "{\"name\": \"gpu[0] (sim)\", \"tasks\": 0, \"utilisation\": "), 0.0);
    double busy = number_behind(json, "{\"name\": \"gpu[1] (sim)\", \"tasks\": 1, \"utilisation\": ");
    T_TRUE(busy > 0 && busy <= 1);
    T_TRUE(number_behind(json, "\"cpu_s\": ") > 0);
}

T_TEST(without_a_request_nothing_is_written)
{
    parla_log_set_sink(keep, NULL);
    open_runtime(1);
    close_runtime();
    parla_log_set_sink(NULL, NULL);
    T_EQ_STR(line, "");
}

T_TEST(a_file_that_cannot_be_written_is_told)
{
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = 1, options.receipt = "/no/such/folder/receipt.json";
    parla_log_set_sink(keep, NULL);
    T_OK(parla_runtime_create(&rt, &options));
    close_runtime();
    parla_log_set_sink(NULL, NULL);
    T_HAS_STR(line, "the exit receipt '/no/such/folder/receipt.json' was not written: No such file or directory");
}

/* In the midst of tasks, with one that runs. */
static void be_ended(void)
{
    stopper self = {false, false};
    open_with_receipt("cpu");
    spawn(stop_body, &self, NULL, 0);
    T_OK(parla_spawn(rt, NULL, work, &fine, NULL, 0));
    T_EVENTUALLY(pl_load_acquire(&self.is_inside), 20000);
    kill(getpid(), SIGTERM);
    for (;;)
        pause();
}

T_TEST(a_signal_of_a_batch_system_ends_a_run_with_its_receipt)
{
    int status;
    make_path();
    pid_t child = fork();
    if (child == 0)
        be_ended();
    T_EQ(waitpid(child, &status, 0), child);
    T_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    const char *json = content();
    T_HAS_STR(json, "\"ended_by\": \"SIGTERM\", ");
    T_HAS_STR(json, "\"tasks\": {\"spawned\": 2, ");
}
