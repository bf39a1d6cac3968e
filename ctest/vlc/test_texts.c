/* test_texts.c - lists of strings and changes to environments. */
#include "vlc/texts.h"

#include "test.h"

static const char *const variables[] = {"A=1", "B=2", "PATH=x:y", NULL};

T_TEST(copies_are_equal_and_apart)
{
    char **copy = pl_texts_copy(variables);
    T_TRUE(copy && copy[0] != variables[0]);
    T_TRUE(pl_texts_equal(copy, (char *const *)variables));
    copy[1][0] = 'C';
    T_FALSE(pl_texts_equal(copy, (char *const *)variables));
    pl_texts_free(copy);
    T_TRUE(pl_texts_copy(NULL) == NULL);
    T_TRUE(pl_texts_equal(NULL, (char *const[]){NULL}));
    T_FALSE(pl_texts_equal(NULL, (char *const *)variables));
}

T_TEST(changes_set_and_remove)
{
    static const char *const changes[] = {"B=3", "A", "NEW=1", "NEW=2", "NONE", NULL};
    static const char *const wanted[] = {"PATH=x:y", "B=3", "NEW=2", NULL};
    char **changed = pl_environment_with(variables, changes);
    T_TRUE(pl_texts_equal(changed, (char *const *)wanted));
    pl_texts_free(changed);
    changed = pl_environment_with(NULL, NULL);
    T_TRUE(changed && changed[0] == NULL);
    pl_texts_free(changed);
}
