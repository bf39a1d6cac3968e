/* texts.h - lists of strings that end with NULL, as environments are. Pure functions on the caller's memory. */
#ifndef PL_VLC_TEXTS_H
#define PL_VLC_TEXTS_H

#include <stdbool.h>

/* A copy, freed with pl_texts_free; NULL for NULL, or without memory. */
char **pl_texts_copy(const char *const *list);
void pl_texts_free(char **list);

/* The same strings in the same order; NULL is like an empty list. */
bool pl_texts_equal(char *const *a, char *const *b);

/* A copy of an environment after changes: "NAME=value" sets, "NAME" removes. NULL without memory. */
char **pl_environment_with(const char *const *environment, const char *const *changes);

#endif
