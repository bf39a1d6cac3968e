/* test_env.c - the PARLA_* variables: values, malformed values, unknown names. */
#include "base/env.h"

#include "base/error.h"

#include <parla/log.h>
#include <parla/runtime.h>

#include "test.h"

#include <stdio.h>
#include <stdlib.h>

T_TEST(missing_and_empty_give_the_default)
{
    int64_t value = 0;
    T_OK(pl_env_int("PARLA_WORKERS", 1, 1024, 7, &value));
    T_EQ(value, 7);
    T_TRUE(pl_env_string("PARLA_DEVICES") == NULL);
    setenv("PARLA_WORKERS", "", 1);
    T_OK(pl_env_int("PARLA_WORKERS", 1, 1024, 8, &value));
    T_EQ(value, 8);
    setenv("PARLA_DEVICES", "", 1);
    T_TRUE(pl_env_string("PARLA_DEVICES") == NULL);
}

T_TEST(values)
{
    int64_t value = 0;
    setenv("PARLA_WORKERS", "1024", 1);
    T_OK(pl_env_int("PARLA_WORKERS", 1, 1024, 7, &value));
    T_EQ(value, 1024);
    setenv("PARLA_SPIN_US", "0", 1);
    T_OK(pl_env_int("PARLA_SPIN_US", 0, 1000, 7, &value));
    T_EQ(value, 0);
    setenv("PARLA_DEVICES", "sim:2,mem=1G", 1);
    T_EQ_STR(pl_env_string("PARLA_DEVICES"), "sim:2,mem=1G");
}

T_TEST(malformed_values_name_what_they_take)
{
    static const char *const wrong[] = {"x", "0", "1025", "4 ", "4x", "-1", "1e2", "99999999999999999999", "0x4", "--"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char wanted[128];
        int64_t value = 42;
        setenv("PARLA_WORKERS", wrong[i], 1);
        T_EQ(pl_env_int("PARLA_WORKERS", 1, 1024, 7, &value), PARLA_E_CONFIG);
        T_EQ(value, 42);
        snprintf(wanted, sizeof wanted, "PARLA_WORKERS='%s': expected an integer from 1 to 1024", wrong[i]);
        T_EQ_STR(parla_error_detail(), wanted);
    }
}

T_TEST(table_has_one_line_for_each_variable)
{
    const char *line = parla_environment();
    int n_lines = 0;
    const char *last = "";
    for (const char *end; (end = strchr(line, '\n')) != NULL; line = end + 1, n_lines++) {
        const char *first_tab = memchr(line, '\t', (size_t)(end - line));
        T_TRUE(first_tab != NULL);
        const char *second_tab = memchr(first_tab + 1, '\t', (size_t)(end - first_tab - 1));
        T_TRUE(second_tab != NULL);
        T_GT(end - second_tab, 10);
        T_EQ(strncmp(line, "PARLA_", 6), 0);
        T_LE(first_tab - line, 64);
        T_LT(strcmp(last, line), 0); /* sorted */
        last = line;
    }
    T_EQ_STR(line, "");
    T_GE(n_lines, 6);
    T_LT(n_lines, 25);
}

static void keep_line(void *ctx, parla_log_level level, const char *line)
{
    T_EQ(level, PARLA_LOG_WARN);
    strcat(strcat(ctx, line), "\n");
}

T_TEST(unknown_names_warn_once_with_the_nearest)
{
    static char lines[4096];
    parla_log_set_sink(keep_line, lines);
    setenv("PARLA_WORKRES", "4", 1);
    setenv("PARLA_LOG", "warn", 1);
    setenv("PARLA_LOGS", "x", 1);
    setenv("PARLA_TEST_ANYTHING", "x", 1);
    setenv("PARLABLE", "x", 1);
    setenv("PARLA_DEVICE", "", 1);
    pl_env_check_unknown();
    T_HAS_STR(lines, "PARLA_WORKRES is not a variable of this library; the nearest is PARLA_WORKERS\n");
    T_HAS_STR(lines, "PARLA_LOGS is not a variable of this library; the nearest is PARLA_LOG\n");
    T_HAS_STR(lines, "PARLA_DEVICE is not a variable of this library; the nearest is PARLA_DEVICES\n");
    int n_lines = 0;
    for (const char *p = lines; (p = strchr(p, '\n')) != NULL; p++) {
        n_lines++;
    }
    T_EQ(n_lines, 3);
    lines[0] = '\0';
    pl_env_check_unknown();
    T_EQ_STR(lines, "");
}
