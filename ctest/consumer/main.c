/* main.c - a program outside the project: starts a runtime, runs one task, links both libraries. */
#include <crosspy/crosspy.h>
#include <parla/parla.h>
#include <stdio.h>

static int say(parla_context *context, void *arg)
{
    (void)context;
    *(int *)arg = 42;
    return 0;
}

int main(void)
{
    int answer = 0;
    parla_runtime *rt;
    if (parla_runtime_create(&rt, NULL) != 0 || parla_spawn(rt, NULL, say, &answer, NULL, 0) != 0 ||
        parla_runtime_wait(rt, PARLA_FOREVER) != 0) {
        fprintf(stderr, "%s\n", parla_error_detail());
        return 1;
    }
    parla_runtime_destroy(rt);
    printf("parla %s: %d\n", parla_version(), answer);
    return answer != 42;
}
