/* test_text.c - formatting into a bounded buffer. */
#include "base/text.h"

#include "test.h"

T_TEST(fits)
{
    char out[16];
    T_EQ(pl_text_format(out, sizeof out, "%s-%d", "ab", 12), 5);
    T_EQ_STR(out, "ab-12");
    T_EQ(pl_text_format(out, sizeof out, "%s", "123456789012345"), 15);
    T_EQ_STR(out, "123456789012345");
}

T_TEST(cut_at_the_end)
{
    char out[16];
    T_EQ(pl_text_format(out, sizeof out, "%s", "1234567890123456"), 15);
    T_EQ_STR(out, "123456789012…");
}

T_TEST(cut_between_letters)
{
    char out[8]; /* room for 4 bytes and the mark */
    T_EQ(pl_text_format(out, sizeof out, "%s", "ab€€€€"), 5);
    T_EQ_STR(out, "ab…");
    T_EQ(pl_text_format(out, sizeof out, "%s", "a€€€€"), 7);
    T_EQ_STR(out, "a€…");
}
