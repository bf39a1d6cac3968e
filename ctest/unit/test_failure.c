/* test_failure.c - records of failures: words, chains, payloads, and who has seen them. */
#include "task/failure.h"
#include "test.h"

#include <parla/error.h>

static int n_released;

static void release(void *payload)
{
    n_released++;
    *(bool *)payload = true;
}

static parla_failure *create_with(int code, const char *name, void *payload, const char *format, ...) PARLA_PRINTF(4, 5);
static parla_failure *create_with(int code, const char *name, void *payload, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    parla_failure *failure = pl_failure_create_v(code, name, payload, release, format, arguments);
    va_end(arguments);
    return failure;
}

T_TEST(a_record_says_what_and_where)
{
    char name[] = "task 7";
    parla_failure *failure = pl_failure_create(PARLA_E_DEVICE, name, NULL, "%s has %d problems", "gpu[0]", 99);
    memset(name, 'x', sizeof name - 1); /* the name is copied: the task may be gone */
    T_EQ(parla_failure_code(failure), PARLA_E_DEVICE);
    T_EQ_STR(parla_failure_message(failure), "gpu[0] has 99 problems");
    T_EQ_STR(parla_failure_task_name(failure), "task 7");
    T_TRUE(parla_failure_cause(failure) == NULL);
    T_TRUE(parla_failure_payload(failure) == NULL);
    T_TRUE(pl_failure_root(failure) == failure);
    parla_failure_unref(failure);
}

T_TEST(no_name_reads_as_empty)
{
    parla_failure *failure = pl_failure_create(PARLA_E_USER, NULL, NULL, "x");
    T_EQ_STR(parla_failure_task_name(failure), "");
    parla_failure_unref(failure);
    parla_failure_unref(NULL);
    T_TRUE(parla_failure_ref(NULL) == NULL);
}

T_TEST(what_follows_names_the_culprit)
{
    bool is_released = false;
    parla_failure *first = create_with(PARLA_E_USER, "solve", &is_released, "singular at row %d", 3);
    parla_failure *second = pl_failure_follow("update", parla_failure_ref(first));
    parla_failure *third = pl_failure_follow("report", parla_failure_ref(second));
    T_EQ(parla_failure_code(third), PARLA_E_CANCELLED);
    T_HAS_STR(parla_failure_message(third), "report");
    T_HAS_STR(parla_failure_message(third), "solve");
    T_HAS_STR(parla_failure_message(third), "singular at row 3");
    T_TRUE(parla_failure_cause(third) == second);
    T_TRUE(pl_failure_root(third) == first);
    T_TRUE(parla_failure_payload(third) == &is_released); /* the payload of the task that failed first */
    parla_failure_unref(first);
    parla_failure_unref(second);
    T_FALSE(is_released);
    parla_failure_unref(third);
    T_TRUE(is_released);
    T_EQ(n_released, 1);
}

T_TEST(seen_is_a_property_of_the_first_cause)
{
    parla_failure *first = pl_failure_create(PARLA_E_USER, NULL, NULL, "x");
    parla_failure *a = pl_failure_follow(NULL, parla_failure_ref(first)), *b = pl_failure_follow(NULL, first);
    T_FALSE(pl_failure_is_seen(a));
    pl_failure_mark_seen(a);
    T_TRUE(pl_failure_is_seen(b));
    parla_failure_unref(a);
    parla_failure_unref(b);
}

T_TEST(long_chains_need_no_stack)
{
    bool is_released = false;
    parla_failure *failure = create_with(PARLA_E_USER, "first", &is_released, "x");
    for (uint64_t i = 0; i < t_scale(500000); i++)
        failure = pl_failure_follow(NULL, failure);
    T_TRUE(parla_failure_payload(failure) == &is_released);
    parla_failure_unref(failure);
    T_TRUE(is_released);
}

T_TEST(the_record_of_lost_memory_is_never_freed_nor_seen)
{
    parla_failure *failure = pl_failure_of_memory();
    for (int i = 0; i < 10; i++)
        parla_failure_unref(parla_failure_ref(failure));
    T_EQ(parla_failure_code(failure), PARLA_E_NOMEM);
    pl_failure_mark_seen(failure);
    T_FALSE(pl_failure_is_seen(failure)); /* it stands for many */
}
