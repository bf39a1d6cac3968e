/* failure.c - records of failures. They are written before they are shared and only counted afterwards. */
#include "task/failure.h"

#include <parla/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Stands in when no record can be allocated. Its count starts high and is never brought to 0. */
static parla_failure out_of_memory = {
    .refs = UINT32_MAX / 2, .code = PARLA_E_NOMEM, .message = (char *)"a task failed, and there was no memory to record why"};

parla_failure *pl_failure_of_memory(void) { return &out_of_memory; }

PARLA_PRINTF(1, 0) static char *format_text(const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = n < 0 ? NULL : malloc((size_t)n + 1);
    if (text)
        vsnprintf(text, (size_t)n + 1, format, arguments);
    return text;
}

static parla_failure *create(int code, const char *task_name, parla_failure *cause, char *message)
{
    parla_failure *failure = calloc(1, sizeof *failure);
    char *name = task_name ? strdup(task_name) : NULL;
    if (!failure || !message || (task_name && !name)) {
        free(failure);
        free(name);
        free(message);
        parla_failure_unref(cause);
        return parla_failure_ref(&out_of_memory);
    }
    atomic_init(&failure->refs, 1);
    failure->code = code;
    failure->message = message;
    failure->task_name = name;
    failure->cause = cause;
    failure->root = cause ? pl_failure_root(cause) : NULL;
    return failure;
}

parla_failure *pl_failure_create(int code, const char *task_name, parla_failure *cause, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *message = format_text(format, arguments);
    va_end(arguments);
    return create(code, task_name, cause, message);
}

parla_failure *pl_failure_create_v(int code, const char *task_name, void *payload, void (*release)(void *), const char *format,
                                   va_list arguments)
{
    parla_failure *failure = create(code, task_name, NULL, format_text(format, arguments));
    if (failure == &out_of_memory) {
        if (release)
            release(payload);
        return failure;
    }
    failure->payload = payload;
    failure->release = release;
    return failure;
}

parla_failure *pl_failure_follow(const char *task_name, parla_failure *cause)
{
    const parla_failure *root = pl_failure_root(cause);
    return pl_failure_create(PARLA_E_CANCELLED, task_name, cause, "%s was cancelled because %s failed: %s",
                             task_name ? task_name : "a task", root->task_name ? root->task_name : "a task that it depends on",
                             root->message);
}

parla_failure *parla_failure_ref(parla_failure *failure)
{
    if (failure)
        pl_add_relaxed(&failure->refs, 1);
    return failure;
}

/* A loop, not recursion: chains of cancelled tasks are as long as chains of tasks. */
void parla_failure_unref(parla_failure *failure)
{
    while (failure && pl_sub_acq_rel(&failure->refs, 1) == 1) {
        parla_failure *cause = failure->cause;
        if (failure->release)
            failure->release(failure->payload);
        free(failure->message);
        free(failure->task_name);
        free(failure);
        failure = cause;
    }
}

int parla_failure_code(const parla_failure *failure) { return failure->code; }
const char *parla_failure_message(const parla_failure *failure) { return failure->message; }
const char *parla_failure_task_name(const parla_failure *failure) { return failure->task_name ? failure->task_name : ""; }
const parla_failure *parla_failure_cause(const parla_failure *failure) { return failure->cause; }
void *parla_failure_payload(const parla_failure *failure) { return pl_failure_root(failure)->payload; }

const parla_failure *pl_failure_root(const parla_failure *failure) { return failure->root ? failure->root : failure; }

void pl_failure_mark_seen(const parla_failure *failure)
{
    parla_failure *root = (parla_failure *)pl_failure_root(failure);
    if (root != &out_of_memory) /* shared by unrelated failures */
        pl_store_relaxed(&root->is_seen, true);
}

bool pl_failure_is_seen(const parla_failure *failure)
{
    return pl_load_relaxed(&((parla_failure *)pl_failure_root(failure))->is_seen);
}
