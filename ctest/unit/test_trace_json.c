/* test_trace_json.c - the written file: valid JSON, escaped names, flows in pairs, replaced in one step. */
#include "trace/trace.h"

#include "base/error.h"

#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/parla-test-XXXXXX";
static char path[64];
static char text[1 << 16];

static pl_trace *start_in_folder(void)
{
    pl_trace *trace = NULL;
    T_TRUE(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/trace.json", folder);
    T_OK(pl_trace_create(&trace));
    T_OK(pl_trace_start(trace));
    return trace;
}

static void end_in_folder(pl_trace *trace)
{
    pl_trace_destroy(trace);
    unlink(path);
    T_EQ(rmdir(folder), 0); /* so no temporary file is left */
}

static const char *read_file(void)
{
    FILE *file = fopen(path, "r");
    T_TRUE(file != NULL);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static size_t count_of(const char *part)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, part)) != NULL; p++) {
        n++;
    }
    return n;
}

/* --- A checker of JSON syntax ------------------------------------------------------------------------------------------------ */

static const char *skip_value(const char *p);

static const char *skip_space(const char *p) { return p + strspn(p, " \n\t\r"); }

static const char *skip_string(const char *p)
{
    T_EQ(*p, '"');
    for (p++; *p != '"'; p++) {
        T_GE((unsigned char)*p, ' ');
        if (*p == '\\') {
            p++;
            T_TRUE(strchr("\"\\/bfnrtu", *p) != NULL);
            T_TRUE(*p != 'u' || strspn(p + 1, "0123456789abcdefABCDEF") >= 4);
        }
    }
    return p + 1;
}

static const char *skip_list(const char *p, char end, bool has_names)
{
    p = skip_space(p + 1);
    while (*p != end) {
        if (has_names) {
            p = skip_space(skip_string(p));
            T_EQ(*p, ':');
            p++;
        }
        p = skip_space(skip_value(p));
        T_TRUE(*p == end || (*p == ',' && *skip_space(p + 1) != end));
        p = *p == ',' ? skip_space(p + 1) : p;
    }
    return p + 1;
}

static const char *skip_value(const char *p)
{
    p = skip_space(p);
    if (*p == '{' || *p == '[') {
        return skip_list(p, *p == '{' ? '}' : ']', *p == '{');
    }
    if (*p == '"') {
        return skip_string(p);
    }
    size_t length = strspn(p, "0123456789.-");
    T_GT(length, 0);
    return p + length;
}

static void check_json(void) { T_EQ_STR(skip_space(skip_value(text)), ""); }

/* --- Cases ------------------------------------------------------------------------------------------------------------------- */

T_TEST(events)
{
    pl_trace *trace = start_in_folder();
    uint64_t t = UINT64_C(1) << 62; /* far after the start */
    pl_trace_row_name(trace, "worker 0");
    pl_trace_span(trace, PL_TRACE_TASK, "potrf", t, t + 1500, 11, 1, 0);
    pl_trace_span(trace, PL_TRACE_COPY, "move", t + 1500, t + 2001, 12, 2, 4096);
    pl_trace_span(trace, PL_TRACE_IDLE, NULL, t + 3000, t + 4000, 0, -1, 0);
    pl_trace_begin(trace, "phase");
    pl_trace_end(trace);
    pl_trace_edge(trace, 11, 12);
    T_OK(pl_trace_json(trace, path, 5));
    read_file();
    check_json();
    T_EQ(count_of("\"ph\":\"X\""), 4);
    T_EQ(count_of("\"ph\":\"s\""), 1);
    T_EQ(count_of("\"ph\":\"f\""), 1);
    T_EQ(count_of("\"pid\":5"), 1 + 2 + 4 + 2);
    T_HAS_STR(text, "\"name\":\"process_name\",\"args\":{\"name\":\"rank 5\"}}");
    T_HAS_STR(text, "\"name\":\"thread_name\",\"args\":{\"name\":\"worker 0\"}}");
    T_HAS_STR(text, "\"dur\":1.500,\"cat\":\"task\",\"args\":{\"task\":11,\"device\":1}}");
    T_HAS_STR(text, "\"dur\":0.501,\"cat\":\"copy\",\"args\":{\"task\":12,\"device\":2,\"bytes\":4096}}");
    T_HAS_STR(text, "\"name\":\"idle\",");
    T_HAS_STR(text, "\"cat\":\"idle\",\"args\":{}}");
    T_HAS_STR(text, "\"name\":\"phase\",");
    T_HAS_STR(text, "\"displayTimeUnit\":\"ns\"");
    end_in_folder(trace);
}

T_TEST(spans_from_before_the_start_are_cut)
{
    pl_trace *trace = start_in_folder();
    pl_trace_span(trace, PL_TRACE_TASK, "early", 1, 2, 1, 0, 0);
    T_OK(pl_trace_json(trace, path, 0));
    T_HAS_STR(read_file(), "\"ts\":0.000,\"dur\":0.000,");
    end_in_folder(trace);
}

T_TEST(names_are_escaped)
{
    pl_trace *trace = start_in_folder();
    pl_trace_row_name(trace, "a \"row\"");
    pl_trace_span(trace, PL_TRACE_TASK, "quote\" back\\ line\n tab\t bell\a äß€😀", 1, 2, 1, 0, 0);
    pl_trace_span(trace, PL_TRACE_TASK, "bad \xff \xc3( \xc0\x80 \xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x82", 3, 4, 2, 0, 0);
    T_OK(pl_trace_json(trace, path, 0));
    read_file();
    check_json();
    T_HAS_STR(text, "\"a \\\"row\\\"\"");
    T_HAS_STR(text, "\"quote\\\" back\\\\ line\\u000a tab\\u0009 bell\\u0007 äß€😀\"");
    T_HAS_STR(text, "\"bad \\ufffd \\ufffd( \\ufffd\\ufffd \\ufffd\\ufffd\\ufffd \\ufffd\\ufffd\\ufffd\\ufffd \\ufffd\\ufffd\"");
    end_in_folder(trace);
}

T_TEST(crossing_spans_make_a_second_line)
{
    pl_trace *trace = start_in_folder();
    pl_trace_row_name(trace, "gpu[0] queue");
    pl_trace_span(trace, PL_TRACE_TASK, "a", 1, 20, 1, 0, 0);
    pl_trace_span(trace, PL_TRACE_TASK, "b", 10, 30, 2, 0, 0);
    T_OK(pl_trace_json(trace, path, 0));
    read_file();
    check_json();
    T_HAS_STR(text, "\"tid\":1,\"name\":\"thread_name\",\"args\":{\"name\":\"gpu[0] queue\"}}");
    T_HAS_STR(text, "\"tid\":2,\"name\":\"thread_name\",\"args\":{\"name\":\"gpu[0] queue (2)\"}}");
    T_HAS_STR(text, "\"tid\":2,\"name\":\"b\"");
    end_in_folder(trace);
}

T_TEST(nothing_recorded)
{
    pl_trace *trace = start_in_folder();
    T_EQ(pl_trace_json(trace, path, 0), PARLA_E_STATE);
    T_EQ(access(path, F_OK), -1);
    end_in_folder(trace);
}

T_TEST(path_that_cannot_be_written)
{
    pl_trace *trace = start_in_folder();
    pl_trace_span(trace, PL_TRACE_TASK, "a", 1, 20, 1, 0, 0);
    T_EQ(pl_trace_json(trace, "/no/such/folder/trace.json", 0), PARLA_E_SYSTEM);
    T_EQ_STR(parla_error_detail(), "cannot write the trace to /no/such/folder/trace.json: No such file or directory");
    T_EQ(mkdir(path, 0700), 0); /* a folder cannot be replaced by a file */
    T_EQ(pl_trace_json(trace, path, 0), PARLA_E_SYSTEM);
    T_EQ(rmdir(path), 0);
    end_in_folder(trace);
}

T_TEST(second_file_replaces_the_first)
{
    pl_trace *trace = start_in_folder();
    pl_trace_span(trace, PL_TRACE_TASK, "a", 1, 20, 1, 0, 0);
    T_OK(pl_trace_json(trace, path, 0));
    pl_trace_span(trace, PL_TRACE_TASK, "b", 20, 30, 2, 0, 0);
    T_OK(pl_trace_json(trace, path, 0));
    read_file();
    check_json();
    T_EQ(count_of("\"ph\":\"X\""), 2);
    end_in_folder(trace);
}

T_TEST(special_files_are_written_in_place)
{
    pl_trace *trace = start_in_folder();
    pl_trace_span(trace, PL_TRACE_PHASE, "work", 1, 2, 0, -1, 0);
    struct stat status;
    T_EQ(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    T_TRUE(reader >= 0);
    T_OK(pl_trace_json(trace, path, 0));
    ssize_t n = read(reader, text, sizeof text - 1);
    close(reader);
    T_TRUE(n > 0);
    text[n] = '\0';
    T_HAS_STR(text, "\"name\":\"work\"");
    T_EQ(stat(path, &status), 0);
    T_TRUE(S_ISFIFO(status.st_mode));
    end_in_folder(trace);
}

T_TEST(write_that_fails_keeps_the_old_file)
{
    pl_trace *trace = start_in_folder();
    pl_trace_span(trace, PL_TRACE_TASK, "a", 1, 20, 1, 0, 0);
    T_OK(pl_trace_json(trace, path, 0));
    size_t length = strlen(read_file());
    struct rlimit limit = {64, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    T_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    T_EQ(pl_trace_json(trace, path, 0), PARLA_E_SYSTEM);
    T_HAS_STR(parla_error_detail(), "File too large");
    T_EQ(strlen(read_file()), length);
    end_in_folder(trace);
}
