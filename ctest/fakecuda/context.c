/* context.c - cards, their primary contexts, which context is current on a thread, and whether a handle is what it seems. */
#include "state.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 64 };

fc_object *fc_objects;

static _Thread_local fc_context *stack[MAX_DEPTH];
static _Thread_local int depth;
static fc_context *primary[FC_MAX_CARDS];

int fc_n_cards(void)
{
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    if (!visible)
        return 2;
    int n = *visible ? 1 : 0;
    for (; *visible; visible++)
        n += *visible == ',';
    return n < FC_MAX_CARDS ? n : FC_MAX_CARDS;
}

fc_context *fc_current(void) { return depth > 0 ? stack[depth - 1] : NULL; }

void *fc_new(fc_kind kind, size_t n_bytes, fc_context *context)
{
    fc_object *object = calloc(1, n_bytes);
    object->kind = kind;
    object->is_alive = true;
    object->context = context;
    object->next = fc_objects;
    fc_objects = object;
    return object;
}

/* The streams that have no handle of their own: the legacy one (1) and that of the thread (2), which here are one. A null handle is
 * taken for a mistake: nothing in this project means the default stream. */
static fc_stream *default_stream(uintptr_t handle)
{
    fc_context *context = fc_current();
    if ((handle != 1 && handle != 2) || !context)
        return NULL;
    if (!context->default_stream)
        (void)fc_stream_open(context, &context->default_stream);
    return context->default_stream;
}

void *fc_check_object(const void *handle, fc_kind kind, const char *function)
{
    const fc_object *object = handle;
    fc_stream *by_number = kind == FC_STREAM ? default_stream((uintptr_t)handle) : NULL;
    if (by_number)
        return by_number;
    if ((uintptr_t)object <= 2 || object->kind != kind)
        fc_wrong("handles: %s gets a handle that is none", function);
    else if (!object->is_alive)
        fc_wrong("handles: %s gets the handle of something that was destroyed", function);
    else if (kind != FC_CONTEXT && kind != FC_POOL && object->context != fc_current())
        fc_wrong("contexts: %s gets a handle of a context that is not current", function);
    else
        return (void *)handle;
    return NULL;
}

pl_cu_result fc_retain(int card, fc_context **out)
{
    if (card < 0 || card >= fc_n_cards())
        return 101;
    if (!primary[card] || !primary[card]->head.is_alive) {
        primary[card] = fc_new(FC_CONTEXT, sizeof *primary[card], NULL);
        primary[card]->head.context = primary[card];
        primary[card]->card = card;
    }
    primary[card]->n_retained++;
    *out = primary[card];
    return PL_CU_SUCCESS;
}

pl_cu_result fc_release(int card)
{
    fc_context *context = card >= 0 && card < FC_MAX_CARDS ? primary[card] : NULL;
    if (!context || !context->head.is_alive) {
        fc_wrong("contexts: the primary context of card %d is released more often than it was retained", card);
        return FC_INVALID_CONTEXT;
    }
    if (--context->n_retained > 0)
        return PL_CU_SUCCESS;
    if (context->default_stream)
        fc_stream_close(context->default_stream);
    context->default_stream = NULL;
    context->head.is_alive = false;
    for (const fc_object *object = fc_objects; object; object = object->next)
        if (object->is_alive && object->context == context && object->kind < FC_MODULE)
            fc_wrong("contexts: the context of card %d goes while things made in it are there", card);
    return PL_CU_SUCCESS;
}

pl_cu_result fc_push_current(fc_context *context)
{
    if (depth == MAX_DEPTH) {
        fc_wrong("contexts: more than %d contexts are pushed", MAX_DEPTH);
        return FC_INVALID_VALUE;
    }
    stack[depth++] = context;
    return PL_CU_SUCCESS;
}

pl_cu_result fc_pop_current(fc_context **out)
{
    if (depth == 0) {
        fc_wrong("contexts: one more context is popped than was pushed");
        return FC_INVALID_CONTEXT;
    }
    *out = stack[--depth];
    return PL_CU_SUCCESS;
}
