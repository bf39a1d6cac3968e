/* texts.c - see the header. */
#include "vlc/texts.h"

#include <stdlib.h>
#include <string.h>

static size_t count(const char *const *list)
{
    size_t n = 0;
    while (list && list[n])
        n++;
    return n;
}

void pl_texts_free(char **list)
{
    for (char **item = list; item && *item; item++)
        free(*item);
    free(list);
}

/* Appends a copy; the list has room. */
static bool add(char **list, size_t *n, const char *text)
{
    list[*n] = strdup(text);
    return list[(*n)++] != NULL;
}

char **pl_texts_copy(const char *const *list)
{
    if (!list)
        return NULL;
    char **copy = calloc(count(list) + 1, sizeof *copy);
    size_t n = 0;
    for (; copy && *list; list++) {
        if (!add(copy, &n, *list)) {
            pl_texts_free(copy);
            return NULL;
        }
    }
    return copy;
}

bool pl_texts_equal(char *const *a, char *const *b)
{
    while (a && *a && b && *b && strcmp(*a, *b) == 0) {
        a++;
        b++;
    }
    return (!a || !*a) && (!b || !*b);
}

static bool names_same(const char *a, const char *b)
{
    size_t n = strcspn(a, "=");
    return n == strcspn(b, "=") && strncmp(a, b, n) == 0;
}

static bool is_changed(const char *variable, const char *const *changes)
{
    for (; changes && *changes; changes++)
        if (names_same(variable, *changes))
            return true;
    return false;
}

char **pl_environment_with(const char *const *environment, const char *const *changes)
{
    size_t n = 0;
    char **copy = calloc(count(environment) + count(changes) + 1, sizeof *copy);
    bool is_good = copy != NULL;
    for (; is_good && environment && *environment; environment++)
        if (!is_changed(*environment, changes))
            is_good = add(copy, &n, *environment);
    for (; is_good && changes && *changes; changes++)
        if (strchr(*changes, '=') && !is_changed(*changes, changes + 1)) /* the last change of a name counts */
            is_good = add(copy, &n, *changes);
    if (is_good)
        return copy;
    pl_texts_free(copy);
    return NULL;
}
