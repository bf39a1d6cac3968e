/* Layouts as text: what was written is read back as an equal layout, and damaged text never does harm. */
#include "random_layout.h"

#include <stdlib.h>

static char *text_of(const cx_layout *layout)
{
    size_t length = cx_layout_format(layout, NULL, 0);
    char *text = malloc(length + 1);
    T_EQ(cx_layout_format(layout, text, length + 1), length);
    T_EQ(strlen(text), length);
    return text;
}

T_TEST(the_documented_example)
{
    int64_t shape[2] = {6, 8}, n_parts[2] = {3, 2}, columns[2] = {3, 5}, period[2] = {2, 1};
    const int64_t *sizes[2] = {NULL, columns};
    cx_place places[2] = {{0, PARLA_ARCH_CPU, 0}, {0, PARLA_ARCH_GPU, 1}};
    cx_layout *layout = NULL;
    T_OK(cx_layout_grid(&layout, 2, shape, n_parts, sizes, period, places));
    char *text = text_of(layout);
    T_EQ_STR(text, "layout(6x8; *2|3+5; 2x1; 0:cpu0 0:gpu1)");
    char part[8];
    T_EQ(cx_layout_format(layout, part, sizeof part), strlen(text)); /* cut off, with a final 0 */
    T_EQ_STR(part, "layout(");
    free(text);
    cx_layout_unref(layout);
}

T_TEST(text_is_read_back)
{
    t_rng rng = {t_seed()};
    for (uint64_t i = 0; i < t_scale(3000); i++) {
        int64_t shape[CX_MAX_NDIM];
        int ndim = (int)t_below(&rng, 5);
        random_shape(&rng, ndim, 7, shape);
        cx_layout *layout = random_layout(&rng, ndim, shape), *again = NULL;
        char *text = text_of(layout);
        T_OK(cx_layout_parse(&again, text));
        T_TRUE(cx_layout_equal(layout, again));
        T_EQ(cx_layout_hash(layout), cx_layout_hash(again));
        free(text);
        cx_layout_unref(layout);
        cx_layout_unref(again);
    }
}

T_TEST(damaged_text_is_refused_or_means_something_else)
{
    static const char letters[] = "layout(;x*|+- :cpgu)0123456789";
    t_rng rng = {t_seed() + 1};
    int64_t n_refused = 0;
    for (uint64_t i = 0; i < t_scale(20000); i++) {
        int64_t shape[CX_MAX_NDIM];
        int ndim = (int)t_below(&rng, 4);
        random_shape(&rng, ndim, 7, shape);
        cx_layout *layout = random_layout(&rng, ndim, shape), *again = NULL;
        char *text = text_of(layout);
        size_t length = strlen(text);
        for (uint64_t n = 1 + t_below(&rng, 3); n > 0; n--) {
            text[t_below(&rng, length)] = t_below(&rng, 8) ? letters[t_below(&rng, sizeof letters - 1)] : '\0';
        }
        if (cx_layout_parse(&again, text) == PARLA_OK) {
            char *other = text_of(again);
            cx_layout *third = NULL;
            T_OK(cx_layout_parse(&third, other));
            T_TRUE(cx_layout_equal(again, third));
            cx_layout_unref(third);
            free(other);
        } else {
            T_NE(strlen(parla_error_detail()), 0);
            T_EQ_PTR(again, NULL);
            n_refused++;
        }
        free(text);
        cx_layout_unref(layout);
        cx_layout_unref(again);
    }
    T_GT(n_refused, 0);
}

static void refused(const char *text, const char *why)
{
    cx_layout *layout = NULL;
    T_EQ(cx_layout_parse(&layout, text), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), why);
}

T_TEST(errors_say_where)
{
    refused("", "layout( expected at position 0");
    refused("layout(6y8; 6|8; 1x1; 0:cpu0)", "; expected at position 8");
    refused("layout(6; 3+4; 2; 0:cpu0 0:cpu0)", "add up to 7");
    refused("layout(6; *3; 2; 0:cpu0)", "asks for 2 places, found 1");
    refused("layout(6; *3; 2; 0:cpu0 0:tpu0)", "cpu or gpu expected");
    refused("layout(6; *3; 1x1; 0:cpu0)", "a period of 2 dimensions");
    refused("layout(6; *0; 1; 0:cpu0)", "has at least 1");
    refused("layout(6; *3; 1; 0:cpu0) and more", "nothing more expected");
    refused("layout(99999999999999999999; *3; 1; 0:cpu0)", "below 2^63");
    refused("layout(1x1x1x1x1x1x1x1x1; *1; 1; 0:cpu0)", "at most 8 dimensions");
    refused("layout(6; *3; 1; 3000000000:cpu0)", "below 2^31");
}
