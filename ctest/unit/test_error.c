/* test_error.c - codes, names, texts and the detail of each thread. */
#include "base/error.h"

#include <parla/log.h>

#include "test.h"

#include <pthread.h>
#include <stdlib.h>

static const struct {
    int code;
    const char *name;
} codes[] = {
#define ITEM(name, code, text) {code, "PARLA_E_" #name},
    PARLA_ERRORS(ITEM)
#undef ITEM
};

enum { N_CODES = sizeof codes / sizeof codes[0] };

T_TEST(every_code_has_a_name_and_a_text)
{
    for (int i = 0; i < N_CODES; i++) {
        T_LT(codes[i].code, 0);
        T_EQ_STR(parla_error_name(codes[i].code), codes[i].name);
        T_GT(strlen(parla_error_text(codes[i].code)), 3);
        for (int k = 0; k < i; k++) {
            T_NE(codes[k].code, codes[i].code);
            T_NE(strcmp(parla_error_text(codes[k].code), parla_error_text(codes[i].code)), 0);
        }
    }
}

T_TEST(success_and_unknown_codes)
{
    T_EQ_STR(parla_error_name(0), "PARLA_OK");
    T_EQ_STR(parla_error_name(PARLA_PENDING), "PARLA_PENDING");
    T_EQ_STR(parla_error_name(-9999), "PARLA_E_?");
    T_GT(strlen(parla_error_text(0)), 0);
    T_GT(strlen(parla_error_text(PARLA_PENDING)), 0);
    T_GT(strlen(parla_error_text(4711)), 0);
}

T_TEST(detail_is_kept_and_cleared)
{
    T_EQ_STR(parla_error_detail(), "");
    T_EQ(pl_error_set(PARLA_E_INVALID, "asked for %d, found %s", 7, "none"), PARLA_E_INVALID);
    T_EQ_STR(parla_error_detail(), "asked for 7, found none");
    T_EQ(parla_error_set(PARLA_E_STATE, "again"), PARLA_E_STATE);
    T_EQ_STR(parla_error_detail(), "again");
    pl_error_clear();
    T_EQ_STR(parla_error_detail(), "");
}

T_TEST(detail_can_be_put_into_a_new_detail)
{
    (void)pl_error_set(PARLA_E_SYSTEM, "no such file");
    (void)pl_error_set(PARLA_E_SYSTEM, "trace: %s", parla_error_detail());
    T_EQ_STR(parla_error_detail(), "trace: no such file");
}

T_TEST(long_detail_ends_in_a_mark_between_letters)
{
    char text[2 * PL_ERROR_DETAIL_BYTES + 1];
    for (size_t shift = 0; shift < 3; shift++) {
        memset(text, 'a', sizeof text);
        for (size_t i = shift; i + 2 < sizeof text; i += 2) {
            memcpy(text + i, "ä", 2);
        }
        text[sizeof text - 1] = '\0';
        (void)pl_error_set(PARLA_E_INVALID, "%s", text);
        size_t length = strlen(parla_error_detail());
        T_LT(length, PL_ERROR_DETAIL_BYTES);
        T_GT(length, PL_ERROR_DETAIL_BYTES - 8);
        T_EQ_STR(parla_error_detail() + length - 3, "…");
        T_EQ((length - 3 - shift) % 2, 0);
    }
}

static void *set_other_detail(void *arg)
{
    (void)arg;
    T_EQ_STR(parla_error_detail(), "");
    (void)pl_error_set(PARLA_E_NOMEM, "other");
    T_EQ_STR(parla_error_detail(), "other");
    return NULL;
}

T_TEST(each_thread_has_its_own_detail)
{
    pthread_t thread;
    (void)pl_error_set(PARLA_E_NOMEM, "mine");
    T_EQ(pthread_create(&thread, NULL, set_other_detail, NULL), 0);
    pthread_join(thread, NULL);
    T_EQ_STR(parla_error_detail(), "mine");
}

static void keep_line(void *ctx, parla_log_level level, const char *line)
{
    T_EQ(level, PARLA_LOG_DEBUG);
    strncpy(ctx, line, 255);
}

T_TEST(origin_writes_one_debug_line)
{
    char line[256] = "";
    parla_log_set_sink(keep_line, line);
    (void)pl_error_set(PARLA_E_TIMEOUT, "too late");
    T_EQ_STR(line, "");
    parla_log_set_level(PARLA_LOG_DEBUG);
    (void)pl_error_set(PARLA_E_TIMEOUT, "too late");
    T_EQ_STR(line, "PARLA_E_TIMEOUT: too late");
}

T_TEST(upper_layers_set_the_same_detail)
{
    (void)pl_error_set(PARLA_E_NOMEM, "before");
    T_EQ(parla_error_set(PARLA_E_INVALID, "%d blocks, not %s", 3, "four"), PARLA_E_INVALID);
    T_EQ_STR(parla_error_detail(), "3 blocks, not four");
}
