/* receipt.c - how long copies took, how much of that beside bodies, and the receipt in words and JSON. */
#include "sched/receipt.h"

#include "base/clock.h"
#include "base/error.h"
#include "sched/placed.h"

#include <parla/receipt.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- Time --------------------------------------------------------------------------------------------------------------------- */

static uint64_t now_of(const pl_receipt *receipt) { return receipt->clock ? pl_sim_clock_now_ns(receipt->clock) : pl_now_ns(); }

/* Something is about to change: adds the time since the last change. */
static void turn(pl_receipt *receipt)
{
    if (receipt->n_copying == 0)
        return;
    uint64_t now_ns = now_of(receipt);
    receipt->copy_ns += now_ns - receipt->since_ns;
    if (receipt->n_running > 0)
        receipt->overlap_ns += now_ns - receipt->since_ns;
    receipt->since_ns = now_ns;
}

void pl_receipt_copy_begin(pl_receipt *receipt)
{
    turn(receipt);
    if (receipt->n_copying++ == 0)
        receipt->since_ns = now_of(receipt);
}

void pl_receipt_copy_end(pl_receipt *receipt)
{
    turn(receipt);
    receipt->n_copying--;
}

void pl_receipt_body_begin(pl_receipt *receipt)
{
    turn(receipt);
    receipt->n_running++;
}

void pl_receipt_body_end(pl_receipt *receipt)
{
    turn(receipt);
    receipt->n_running--;
}

/* --- Numbers ------------------------------------------------------------------------------------------------------------------ */

static void add_links(const parla_runtime *rt, parla_receipt *out)
{
    const pl_devices *devices = &rt->place.devices;
    for (int i = 0; i < devices->n; i++)
        for (int k = 0; k < devices->n; k++) {
            if (i == k)
                continue;
            out->n_copies += pl_load_relaxed(&devices->links[i * devices->n + k].n_copies);
            out->n_bytes += pl_load_relaxed(&devices->links[i * devices->n + k].n_bytes);
        }
}

static parla_receipt snapshot(const parla_runtime *rt)
{
    parla_receipt answer = {.size = sizeof answer};
    pl_place *place = &((parla_runtime *)rt)->place;
    pthread_mutex_lock(&place->lock);
    turn(&place->receipt);
    answer.n_bytes_for_room = place->receipt.n_bytes_for_room;
    answer.n_evictions = place->receipt.n_evictions;
    answer.n_evicted_bytes = place->receipt.n_evicted_bytes;
    answer.copy_ns = place->receipt.copy_ns;
    answer.overlap_ns = place->receipt.overlap_ns;
    add_links(rt, &answer);
    pthread_mutex_unlock(&place->lock);
    return answer;
}

int parla_receipt_query(const parla_runtime *rt, parla_receipt *out)
{
    int rc = pl_runtime_check(rt);
    if (rc < 0)
        return rc;
    size_t size = out->size;
    if (size < sizeof size)
        return pl_error_set(PARLA_E_INVALID, "parla_receipt.size is %zu; set it to the structure's sizeof", size);
    parla_receipt answer = snapshot(rt);
    answer.size = size;
    memcpy(out, &answer, size < sizeof answer ? size : sizeof answer);
    return 0;
}

/* --- Words -------------------------------------------------------------------------------------------------------------------- */

/* A text that may be longer than its room: length counts all of it. */
typedef struct text {
    char *out;
    size_t capacity, length;
} text;

PARLA_PRINTF(2, 3) static void add(text *t, const char *format, ...)
{
    va_list arguments;
    size_t left = t->length < t->capacity ? t->capacity - t->length : 0;
    va_start(arguments, format);
    int n = vsnprintf(left > 0 ? t->out + t->length : NULL, left, format, arguments);
    va_end(arguments);
    t->length += n > 0 ? (size_t)n : 0;
}

typedef unsigned long long ull;

static void add_link(text *t, const parla_runtime *rt, int i_from, int i_to, bool is_json, bool is_first)
{
    const pl_devices *devices = &rt->place.devices;
    const pl_link *link = &devices->links[i_from * devices->n + i_to];
    const char *from = devices->list[i_from].name, *to = devices->list[i_to].name;
    ull n_copies = pl_load_relaxed(&link->n_copies), n_bytes = pl_load_relaxed(&link->n_bytes),
        ns = pl_load_relaxed(&link->busy_ns);
    if (is_json)
        add(t, "%s{\"from\": \"%s\", \"to\": \"%s\", \"copies\": %llu, \"bytes\": %llu, \"busy_ns\": %llu}", is_first ? "" : ", ",
            from, to, n_copies, n_bytes, ns);
    else
        add(t, "  %s -> %s: %llu bytes in %llu copies, %.2f GB/s\n", from, to, n_bytes, n_copies,
            ns > 0 ? (double)n_bytes / (double)ns : 0);
}

static void add_all_links(text *t, const parla_runtime *rt, bool is_json)
{
    const pl_devices *devices = &rt->place.devices;
    bool is_first = true;
    for (int i = 0; i < devices->n; i++)
        for (int k = 0; k < devices->n; k++)
            if (i != k && pl_load_relaxed(&devices->links[i * devices->n + k].n_copies) > 0) {
                add_link(t, rt, i, k, is_json, is_first);
                is_first = false;
            }
}

static void print_text(text *t, const parla_runtime *rt, const parla_receipt *r)
{
    add(t, "moved: %llu bytes in %llu copies; at least %llu for where the tasks ran, %llu for lack of memory\n", (ull)r->n_bytes,
        (ull)r->n_copies, (ull)(r->n_bytes - r->n_bytes_for_room), (ull)r->n_bytes_for_room);
    add_all_links(t, rt, false);
    add(t, "evicted: %llu copies of %llu bytes\n", (ull)r->n_evictions, (ull)r->n_evicted_bytes);
    add(t, "copying: %.3f ms, %.0f %% of it beside running tasks\n", (double)r->copy_ns / 1e6,
        r->copy_ns > 0 ? 100 * (double)r->overlap_ns / (double)r->copy_ns : 0);
}

static void print_json(text *t, const parla_runtime *rt, const parla_receipt *r)
{
    add(t, "{\"copies\": %llu, \"bytes\": %llu, \"least_bytes\": %llu, \"bytes_for_room\": %llu, ", (ull)r->n_copies,
        (ull)r->n_bytes, (ull)(r->n_bytes - r->n_bytes_for_room), (ull)r->n_bytes_for_room);
    add(t, "\"evictions\": %llu, \"evicted_bytes\": %llu, \"copy_ns\": %llu, \"overlap_ns\": %llu, \"links\": [",
        (ull)r->n_evictions, (ull)r->n_evicted_bytes, (ull)r->copy_ns, (ull)r->overlap_ns);
    add_all_links(t, rt, true);
    add(t, "]}");
}

size_t parla_receipt_print(const parla_runtime *rt, parla_receipt_format format, char *out, size_t capacity)
{
    text t = {.out = out, .capacity = capacity};
    parla_receipt receipt = {.size = sizeof receipt};
    if (capacity > 0)
        out[0] = 0;
    if (parla_receipt_query(rt, &receipt) < 0)
        return 0;
    if (format == PARLA_RECEIPT_JSON)
        print_json(&t, rt, &receipt);
    else
        print_text(&t, rt, &receipt);
    return t.length;
}
