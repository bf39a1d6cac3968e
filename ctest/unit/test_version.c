/* test_version.c - the version as text and as numbers. */
#include <parla/common.h>

#include "test.h"

#include <stdio.h>

T_TEST(text_matches_the_numbers)
{
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", PARLA_VERSION_MAJOR, PARLA_VERSION_MINOR, PARLA_VERSION_PATCH);
    T_EQ_STR(parla_version(), text);
    T_EQ_STR(PARLA_VERSION_STRING, text);
}
