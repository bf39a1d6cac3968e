/* test_random_data.c - random programs of tasks that share regions of arrays on three small simulated devices, against serial
 * execution.
 *
 * A program is a list of steps, each a task that reads, overwrites or updates some regions (evenly spaced rows and columns, overlapping
 * as they come, perhaps several of one array), or copies a box between two. Every step is spawned in order; the oracle then goes through
 * the same list one by one. What a task writes depends on every element that it reads, so one wrong element anywhere changes all that
 * follows. The devices have room for a few arrays only, so copies are evicted and written back all the time.
 *
 * With injected faults the oracle looks at how each task ended: failed and cancelled ones spoil what they were to write; a task
 * that is done must have read nothing spoilt; and what is not spoilt in the end must be right to the last bit.
 *
 * On devices of kind "silent" (sim whose queues bodies fill) a body only queues its work, so that later ones start behind it; the work
 * dawdles now and then, to be late for whoever does not wait.
 *
 * Where nothing is ever evicted the bytes that crossed links are exactly those that the placement asks for: each element once for each
 * device that needs it between two writes.
 *
 * Where a device is smaller than an array, tasks that name more of it than fits are refused at their spawn and go to the CPU instead; all
 * others use it there by regions. At each step the bytes that the runtime counts are compared with the sum over what it has. */
#include "../unit/accounts.h"
#include "../unit/silent_backend.h"
#include "base/clock.h"

#include <parla/parla.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { N_ARRAYS = 7, MIN_ROWS = 20, MIN_COLUMNS = 32, MAX_ROWS = 26, MAX_COLUMNS = 39, MAX_ITEMS = MAX_ROWS * MAX_COLUMNS };
enum { MIN_STEPS = 10, MAX_STEPS = 120, MAX_USES = 3, N_DEVICES = 4 };

typedef struct array {
    parla_data *data;
    uint64_t *given; /* the user's memory, every second item of it; NULL: the library's */
    int64_t rows, columns;
    uint64_t model[MAX_ITEMS];
    bool has_content[MAX_ITEMS]; /* of the model */
    bool is_spoilt[MAX_ITEMS];
    unsigned char valid[MAX_ITEMS]; /* bit i: on device i, as the oracle of the bytes has it */
} array;

typedef struct use {
    int i_array, mode, member;
    bool is_whole;
    parla_range region[2];
} use;

typedef struct step {
    struct program *program;
    uint64_t id;
    use uses[MAX_USES]; /* of a copy: to, from */
    int n_uses;
    bool is_copy;
    int devices[2]; /* where it ran */
    _Atomic int n_ends;
    int status;   /* as told to on_end, or by a wait */
    bool is_kept; /* of a copy: there is a reference on its task, so the outcome is known */
    parla_task task;
} step;

typedef struct program {
    parla_runtime *rt;
    array arrays[N_ARRAYS];
    step steps[MAX_STEPS];
    int n_steps;
    t_rng rng;
    bool has_faults, counts_bytes, is_tight, is_silent;
    uint64_t seed;
    _Atomic int n_wrong;
} program;

/* Over all programs of a case: a case that met no fault has tested nothing, nor one where nothing was too large or everything was. */
static int n_faulty_steps, n_refused, n_on_gpus;

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t z = a * 0x9e3779b97f4a7c15u ^ (b + 0x7f4a7c15u);
    z = (z ^ (z >> 29)) * 0xbf58476d1ce4e5b9u;
    return z ^ (z >> 32);
}

/* --- Elements of regions ------------------------------------------------------------------------------------------------------ */

typedef struct walk {
    const use *u;
    int64_t row, column;
} walk;

/* for (walk w = first(u); is_on(&w); next(&w)) goes over a region row by row. */
static walk first(const use *u) { return (walk){u, u->region[0].start, u->region[1].start}; }
static bool is_on(const walk *w) { return w->row < w->u->region[0].stop && w->u->region[1].start < w->u->region[1].stop; }

static void next(walk *w)
{
    w->column += w->u->region[1].step;
    if (w->column >= w->u->region[1].stop) {
        w->column = w->u->region[1].start;
        w->row += w->u->region[0].step;
    }
}

static uint64_t *item(const parla_strided *box, const walk *w)
{
    return (uint64_t *)((char *)box->base + w->row * box->stride[0] + w->column * box->stride[1]);
}

static int64_t number(const array *a, const walk *w) { return w->row * a->columns + w->column; }

static bool any_of(const program *p, const use *u, bool spoilt)
{
    const array *a = &p->arrays[u->i_array];
    for (walk w = first(u); is_on(&w); next(&w))
        if (spoilt ? a->is_spoilt[number(a, &w)] : !a->has_content[number(a, &w)])
            return true;
    return false;
}

/* --- The work of a task, on any memory ---------------------------------------------------------------------------------------- */

/* Each region sees what was written to those before it, where they meet. */
static void work(const step *s, const parla_strided *boxes)
{
    uint64_t seen = mix(s->id, 1);
    for (int u = 0; u < s->n_uses; u++) {
        uint64_t i = 1000 * (uint64_t)u;
        for (walk w = first(&s->uses[u]); (s->uses[u].mode & PARLA_IN) && is_on(&w); next(&w))
            seen = mix(seen, *item(&boxes[u], &w));
        for (walk w = first(&s->uses[u]); (s->uses[u].mode & PARLA_OUT) && is_on(&w); next(&w))
            *item(&boxes[u], &w) = mix(seen, i++);
    }
}

typedef struct job {
    const step *s;
    parla_strided boxes[MAX_USES];
    unsigned char from, to;
} job;

static void work_in_queue(void *arg)
{
    job *j = arg;
    if (mix(j->s->id, j->s->program->seed) % 4 == 0)
        pl_sleep_until(pl_now_ns() + 1000 * (mix(j->s->id, j->s->program->seed) / 4 % 200));
    work(j->s, j->boxes);
    free(j);
}

static void put_behind(void *earlier, void *later)
{
    void *event;
    T_OK(pl_backend_sim.event_record(earlier, &event));
    T_OK(pl_backend_sim.queue_wait(later, event));
    pl_backend_sim.event_free(event);
}

/* In the queue of the first device, behind and in front of what is in those of the others; a copy of nothing much may have the fault. */
static int queue_work(parla_context *context, const step *s, const parla_strided *boxes)
{
    void *queue = parla_context_queue(context, 0);
    job *j = malloc(sizeof *j);
    *j = (job){.s = s};
    memcpy(j->boxes, boxes, sizeof j->boxes);
    for (size_t k = 1; k < parla_context_n_devices(context); k++)
        if (parla_context_queue(context, k))
            put_behind(parla_context_queue(context, k), queue);
    if (s->program->has_faults) {
        const parla_strided dst = {.base = &j->to, .item_bytes = 1}, src = {.base = &j->from, .item_bytes = 1};
        T_OK(pl_backend_sim.copy(queue, NULL, &dst, NULL, &src));
    }
    T_OK(pl_backend_sim.queue_call(queue, work_in_queue, j));
    for (size_t k = 1; k < parla_context_n_devices(context); k++)
        if (parla_context_queue(context, k))
            put_behind(queue, parla_context_queue(context, k));
    return 0;
}

static int body(parla_context *context, void *arg)
{
    step *s = arg;
    parla_strided boxes[MAX_USES];
    for (size_t k = 0; k < parla_context_n_devices(context); k++)
        s->devices[k] = parla_context_device(context, k);
    for (int u = 0; u < s->n_uses; u++) {
        parla_instance here;
        int rc = parla_context_instance(context, (size_t)u, &here);
        if (rc < 0 || here.i_device != parla_context_device(context, (size_t)s->uses[u].member))
            atomic_fetch_add(&s->program->n_wrong, 1);
        if (rc < 0)
            return rc;
        boxes[u] = here.box;
    }
    if (s->program->is_silent && parla_context_queue(context, 0))
        return queue_work(context, s, boxes);
    work(s, boxes);
    check_accounts(s->program->rt);
    return 0;
}

static void ended(void *arg, const parla_outcome *outcome)
{
    step *s = arg;
    s->status = outcome->status;
    atomic_fetch_add(&s->n_ends, 1);
}

/* --- Making programs ---------------------------------------------------------------------------------------------------------- */

static void give_content(array *a, int i, parla_strided *host)
{
    int64_t n_items = a->rows * a->columns;
    a->given = malloc(2 * (size_t)n_items * sizeof(uint64_t));
    for (int64_t k = 0; k < n_items; k++) {
        a->given[2 * k] = a->model[k] = mix((uint64_t)i, (uint64_t)k);
        a->has_content[k] = true;
        a->valid[k] = 1;
    }
    host->base = a->given;
    host->stride[0] = 2 * (int64_t)sizeof(uint64_t) * a->columns;
    host->stride[1] = 2 * sizeof(uint64_t);
}

static void make_array(program *p, int i)
{
    array *a = &p->arrays[i];
    a->rows = MIN_ROWS + (int64_t)t_below(&p->rng, MAX_ROWS - MIN_ROWS);
    a->columns = MIN_COLUMNS + (int64_t)t_below(&p->rng, MAX_COLUMNS - MIN_COLUMNS);
    parla_data_options options = PARLA_DATA_OPTIONS_INIT;
    char name[16];
    snprintf(name, sizeof name, "a%d", i);
    options.name = name;
    options.host.ndim = 2;
    options.host.item_bytes = sizeof(uint64_t);
    options.host.extent[0] = a->rows;
    options.host.extent[1] = a->columns;
    if (i % 2 == 0)
        give_content(a, i, &options.host);
    T_OK(parla_data_create(&a->data, &options));
}

/* n indices below extent. */
static parla_range random_range(program *p, int64_t extent, int64_t n)
{
    parla_range range = {.step = 1 + (int64_t)t_below(&p->rng, 3)};
    while ((n - 1) * range.step + 1 > extent)
        range.step--;
    range.start = (int64_t)t_below(&p->rng, (uint64_t)(extent - (n - 1) * range.step));
    range.stop = range.start + (n - 1) * range.step + 1;
    return range;
}

static void whole_region(program *p, use *u)
{
    u->is_whole = true;
    u->region[0] = (parla_range){0, p->arrays[u->i_array].rows, 1};
    u->region[1] = (parla_range){0, p->arrays[u->i_array].columns, 1};
}

static void random_region(program *p, use *u)
{
    const array *a = &p->arrays[u->i_array];
    whole_region(p, u);
    u->is_whole = t_below(&p->rng, 4) == 0;
    if (!u->is_whole && t_below(&p->rng, 3) > 0)
        u->region[0] = random_range(p, a->rows, 1 + (int64_t)t_below(&p->rng, (uint64_t)a->rows));
    if (!u->is_whole && t_below(&p->rng, 3) > 0)
        u->region[1] = random_range(p, a->columns, 1 + (int64_t)t_below(&p->rng, (uint64_t)a->columns));
}

/* False if the source has elements without content. */
static bool make_copy(program *p, step *s)
{
    int dst = (int)t_below(&p->rng, N_ARRAYS), src = (dst + 1 + (int)t_below(&p->rng, N_ARRAYS - 1)) % N_ARRAYS;
    const array *to = &p->arrays[dst], *from = &p->arrays[src];
    s->is_copy = true;
    s->uses[0] = (use){.i_array = dst, .mode = PARLA_OUT};
    s->uses[1] = (use){.i_array = src, .mode = PARLA_IN};
    s->n_uses = 2;
    for (int k = 0; k < 2; k++) {
        int64_t n_to = k ? to->columns : to->rows, n_from = k ? from->columns : from->rows;
        int64_t n = 1 + (int64_t)t_below(&p->rng, (uint64_t)(n_to < n_from ? n_to : n_from));
        s->uses[0].region[k] = random_range(p, n_to, n);
        s->uses[1].region[k] = random_range(p, n_from, n);
    }
    return !any_of(p, &s->uses[1], false);
}

/* What has no content is overwritten. */
static void make_uses(program *p, step *s)
{
    int first_array = (int)t_below(&p->rng, N_ARRAYS), stride = (int)t_below(&p->rng, 3);
    s->is_copy = false;
    s->n_uses = 1 + (int)t_below(&p->rng, MAX_USES);
    for (int i = 0; i < s->n_uses; i++) {
        use *u = &s->uses[i];
        *u = (use){.i_array = (first_array + stride * i) % N_ARRAYS, .mode = 1 + (int)t_below(&p->rng, 3)};
        random_region(p, u);
        if (any_of(p, u, false))
            u->mode = PARLA_OUT;
    }
}

static void note_content(program *p, const step *s)
{
    for (int u = 0; u < s->n_uses; u++) {
        array *a = &p->arrays[s->uses[u].i_array];
        for (walk w = first(&s->uses[u]); (s->uses[u].mode & PARLA_OUT) && is_on(&w); next(&w))
            a->has_content[number(a, &w)] = true;
    }
}

static void spawn_copy(program *p, step *s)
{
    parla_data *dst = p->arrays[s->uses[0].i_array].data, *src = p->arrays[s->uses[1].i_array].data;
    int i_device = (int)t_below(&p->rng, N_DEVICES + 1) - 1;
    int rc = parla_data_copy(p->rt, &s->task, dst, s->uses[0].region, src, s->uses[1].region, i_device);
    if (rc == PARLA_E_RESOURCES && p->is_tight)
        rc = parla_data_copy(p->rt, &s->task, dst, s->uses[0].region, src, s->uses[1].region, 0);
    T_OK(rc);
    s->is_kept = parla_task_ref(s->task) == 0;
}

static void spawn_step(program *p, step *s)
{
    static const parla_demand cpu = {PARLA_ARCH_CPU, PARLA_ANY_NUMBER, 0, 0}, any = {PARLA_ARCH_ANY, PARLA_ANY_NUMBER, 0, 0};
    parla_demand gpu = {PARLA_ARCH_GPU, PARLA_ANY_NUMBER, 0.5 * (double)t_below(&p->rng, 3), 0};
    parla_demand one = {PARLA_ARCH_GPU, (int)t_below(&p->rng, 3), 0, 0};
    gpu.memory_bytes = (p->is_tight ? 256 : 4096) * t_below(&p->rng, 3);
    const parla_demand both[2] = {gpu, any};
    const parla_choice choices[] = {{&gpu, 1}, {&one, 1}, {&cpu, 1}, {&any, 1}, {both, 2}};
    const parla_choice on_cpu = {&cpu, 1};
    parla_access accesses[MAX_USES];
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    size_t i_choice = t_below(&p->rng, 5);
    bool is_one_array = s->n_uses > 1 && s->uses[0].i_array == s->uses[1].i_array;
    for (int u = 0; u < s->n_uses; u++) {
        use *now = &s->uses[u];
        now->member = i_choice == 4 && !is_one_array ? (int)t_below(&p->rng, 2) : 0;
        accesses[u] = (parla_access){.data = p->arrays[now->i_array].data, .mode = now->mode, .member = now->member};
        accesses[u].region = now->is_whole ? NULL : now->region;
    }
    options.body = body;
    options.on_end = ended;
    options.arg = s;
    options.name = "step";
    options.choices = &choices[i_choice];
    options.n_choices = i_choice == 0 ? 3 : 1;
    options.accesses = accesses;
    options.n_accesses = (size_t)s->n_uses;
    options.priority = (int)t_below(&p->rng, 3);
    int rc = parla_task_spawn(p->rt, &s->task, &options);
    if (rc == PARLA_E_RESOURCES && p->is_tight) {
        n_refused++;
        options.choices = &on_cpu;
        options.n_choices = 1;
        for (int u = 0; u < s->n_uses; u++)
            s->uses[u].member = accesses[u].member = 0;
        rc = parla_task_spawn(p->rt, &s->task, &options);
    }
    T_OK(rc);
}

static void inject(parla_runtime *rt, int i_device, int64_t fail_alloc_n, int64_t fail_copy_n)
{
    pl_sim_inject(rt->place.devices.list[i_device].handle, fail_alloc_n, fail_copy_n);
}

static void inject_something(program *p)
{
    if (p->has_faults && t_below(&p->rng, 8) == 0)
        inject(p->rt, 1 + (int)t_below(&p->rng, 3), (int64_t)t_below(&p->rng, 6), (int64_t)t_below(&p->rng, 10));
}

/* --- The oracle --------------------------------------------------------------------------------------------------------------- */

static parla_strided model_box(array *a)
{
    parla_strided box;
    const int64_t extent[2] = {a->rows, a->columns};
    T_OK(parla_strided_contiguous(&box, a->model, sizeof(uint64_t), 2, extent));
    return box;
}

static void replay_copy(program *p, const step *s)
{
    array *dst = &p->arrays[s->uses[0].i_array], *src = &p->arrays[s->uses[1].i_array];
    walk from = first(&s->uses[1]);
    for (walk to = first(&s->uses[0]); is_on(&to); next(&to), next(&from))
        dst->model[number(dst, &to)] = src->model[number(src, &from)];
}

static void replay_step(program *p, const step *s)
{
    parla_strided boxes[MAX_USES];
    for (int u = 0; u < s->n_uses; u++)
        boxes[u] = model_box(&p->arrays[s->uses[u].i_array]);
    if (s->is_copy)
        replay_copy(p, s);
    else
        work(s, boxes);
}

static bool reads_spoilt(program *p, const step *s)
{
    for (int u = 0; u < s->n_uses; u++)
        if ((s->uses[u].mode & PARLA_IN) && any_of(p, &s->uses[u], true))
            return true;
    return false;
}

static void note_spoilt(program *p, const step *s, bool is_done)
{
    for (int u = 0; u < s->n_uses; u++) {
        array *a = &p->arrays[s->uses[u].i_array];
        for (walk w = first(&s->uses[u]); (s->uses[u].mode & PARLA_OUT) && is_on(&w); next(&w))
            a->is_spoilt[number(a, &w)] = !is_done;
    }
}

static void replay(program *p, const step *s)
{
    bool is_spoilt = reads_spoilt(p, s), is_done = s->status == 0;
    T_FALSE(is_spoilt && is_done);
    T_TRUE(is_done || p->has_faults);
    if (!is_done && !is_spoilt && s->status != PARLA_E_DEVICE)
        T_EQ(s->status, PARLA_E_DEVICE_MEMORY);
    if (is_spoilt)
        T_EQ(s->status, PARLA_E_CANCELLED);
    n_on_gpus += is_done && !s->is_copy && s->devices[0] > 0;
    if (is_done)
        replay_step(p, s);
    else
        n_faulty_steps++;
    note_spoilt(p, s, is_done);
}

/* A copy that ended before the test could keep it: it was well, or cancelled because of another. */
static void infer_status(program *p, step *s)
{
    if (s->is_copy && !s->is_kept)
        s->status = reads_spoilt(p, s) ? PARLA_E_CANCELLED : 0;
}

/* The bytes that must cross a link for one step, after all before it. */
static uint64_t least_bytes(program *p, const step *s)
{
    uint64_t n = 0;
    for (int u = 0; u < s->n_uses; u++) {
        array *a = &p->arrays[s->uses[u].i_array];
        unsigned char here = (unsigned char)(1 << s->devices[s->uses[u].member]);
        for (walk w = first(&s->uses[u]); (s->uses[u].mode & PARLA_IN) && is_on(&w); next(&w)) {
            n += a->valid[number(a, &w)] & here ? 0 : sizeof(uint64_t);
            a->valid[number(a, &w)] |= here;
        }
    }
    for (int u = 0; u < s->n_uses; u++) {
        array *a = &p->arrays[s->uses[u].i_array];
        for (walk w = first(&s->uses[u]); (s->uses[u].mode & PARLA_OUT) && is_on(&w); next(&w))
            a->valid[number(a, &w)] = (unsigned char)(1 << s->devices[s->uses[u].member]);
    }
    return n;
}

static void check_bytes(program *p)
{
    uint64_t n_least = 0, n_moved = 0;
    for (int i = 0; i < p->n_steps; i++)
        n_least += least_bytes(p, &p->steps[i]);
    for (int i = 0; i < N_DEVICES; i++)
        for (int k = 0; k < N_DEVICES; k++) {
            if (i == k)
                continue; /* between regions on a device */
            parla_link_info info = {.size = sizeof info};
            T_OK(parla_link_query(p->rt, i, k, &info));
            n_moved += info.n_bytes;
        }
    T_EQ(n_moved, n_least);
}

/* The host reads the whole array: what has content must be right. */
static void check_items(const array *a, const parla_instance *here)
{
    use all = {.region = {{0, a->rows, 1}, {0, a->columns, 1}}};
    for (walk w = first(&all); is_on(&w); next(&w))
        if (a->has_content[number(a, &w)])
            T_EQ(*item(&here->box, &w), a->model[number(a, &w)]);
}

static bool any_element(const bool *of, const array *a)
{
    for (int64_t k = 0; k < a->rows * a->columns; k++)
        if (of[k])
            return true;
    return false;
}

/* With the runtime, or with NULL after its end. */
static void check_array(array *a, parla_runtime *rt)
{
    parla_instance here;
    if (!any_element(a->has_content, a))
        return;
    if (any_element(a->is_spoilt, a)) {
        T_TRUE(parla_data_acquire(rt, a->data, PARLA_IN, PARLA_FOREVER, &here) < 0);
        return;
    }
    T_OK(parla_data_acquire(rt, a->data, PARLA_IN, PARLA_FOREVER, &here));
    check_items(a, &here);
    parla_data_release(a->data, PARLA_IN);
}

/* --- The run ------------------------------------------------------------------------------------------------------------------ */

static void collect_outcomes(program *p)
{
    for (int i = 0; i < p->n_steps; i++) {
        step *s = &p->steps[i];
        if (!s->is_copy)
            T_EQ(atomic_load(&s->n_ends), 1);
        if (!s->is_kept)
            continue;
        T_TRUE(parla_task_has_ended(s->task));
        s->status = parla_task_wait(p->rt, &s->task, 1, 0);
        parla_task_unref(s->task);
    }
}

static bool is_at_rest(parla_runtime *rt)
{
    bool answer = true;
    for (int i = 0; i < parla_device_count(rt); i++) {
        parla_device_info info = {.size = sizeof info};
        T_OK(parla_device_query(rt, i, &info));
        T_LE(info.used_bytes, info.memory_bytes);
        answer = answer && info.reserved_bytes == 0 && info.free_vcus == 1;
    }
    return answer;
}

static void clear_faults(parla_runtime *rt)
{
    for (int i = 1; i < parla_device_count(rt); i++)
        inject(rt, i, 0, 0);
}

static void touch_from_host(program *p)
{
    parla_instance here;
    array *a = &p->arrays[t_below(&p->rng, N_ARRAYS)];
    if (!any_element(a->has_content, a))
        return;
    if (t_below(&p->rng, 2) == 0) {
        int rc = parla_data_acquire(p->rt, a->data, PARLA_IN, PARLA_FOREVER, &here);
        T_TRUE(rc == 0 || p->has_faults);
        if (rc == 0)
            parla_data_release(a->data, PARLA_IN);
    } else {
        int rc = parla_data_evict(p->rt, a->data, (int)t_below(&p->rng, 5) - 1, PARLA_FOREVER);
        T_TRUE(rc == 0 || p->has_faults);
    }
}

static void spawn_all(program *p)
{
    p->n_steps = MIN_STEPS + (int)t_below(&p->rng, t_below(&p->rng, 8) == 0 ? MAX_STEPS - MIN_STEPS : MIN_STEPS);
    for (int i = 0; i < p->n_steps; i++) {
        step *s = &p->steps[i];
        s->program = p;
        s->id = (uint64_t)i + 1;
        inject_something(p);
        if (!p->counts_bytes && t_below(&p->rng, 4) == 0 && make_copy(p, s)) {
            spawn_copy(p, s);
        } else {
            make_uses(p, s);
            spawn_step(p, s);
        }
        note_content(p, s);
        if (!p->counts_bytes && t_below(&p->rng, 24) == 0)
            touch_from_host(p);
    }
}

static void check_all(program *p)
{
    T_EQ(atomic_load(&p->n_wrong), 0);
    check_accounts(p->rt);
    collect_outcomes(p);
    if (p->counts_bytes)
        check_bytes(p);
    for (int i = 0; i < p->n_steps; i++) {
        infer_status(p, &p->steps[i]);
        replay(p, &p->steps[i]);
    }
    for (int i = 0; i < N_ARRAYS; i++)
        check_array(&p->arrays[i], p->rt);
    T_EVENTUALLY(is_at_rest(p->rt), 5000);
}

enum { PLAIN, FAULTS, BYTES, BYTES_BY_REGION, TIGHT, TIGHT_FAULTS };

static void run_program(uint64_t seed, const char *devices, const char *policy, int n_workers, int kind)
{
    program *p = calloc(1, sizeof *p);
    p->rng.state = seed;
    p->has_faults = kind == FAULTS || kind == TIGHT_FAULTS;
    p->counts_bytes = kind == BYTES || kind == BYTES_BY_REGION;
    p->is_tight = kind == TIGHT || kind == TIGHT_FAULTS;
    p->is_silent = strncmp(devices, "silent", 6) == 0;
    p->seed = seed;
    parla_options options = PARLA_OPTIONS_INIT;
    options.devices = devices;
    options.policy = policy;
    options.n_workers = n_workers;
    T_OK(parla_runtime_create(&p->rt, &options));
    for (int i = 1; kind == BYTES_BY_REGION && i < N_DEVICES; i++)
        p->rt->place.sites[i].whole_bytes = 0; /* as if the arrays were large beside the device */
    for (int i = 0; i < N_ARRAYS; i++)
        make_array(p, i);
    spawn_all(p);
    T_OK(parla_runtime_wait(p->rt, PARLA_FOREVER));
    clear_faults(p->rt);
    check_all(p);
    parla_runtime_destroy(p->rt);
    for (int i = 0; i < N_ARRAYS; i++) {
        check_array(&p->arrays[i], NULL);
        parla_data_unref(p->arrays[i].data);
        free(p->arrays[i].given);
    }
    free(p);
}

static void run_programs(uint64_t n_programs, const char *devices, const char *policy, int n_workers, int kind)
{
    char phase[96];
    uint64_t n = t_scale(n_programs);
    for (uint64_t i = 0; i < n; i++) {
        snprintf(phase, sizeof phase, "program %llu of seed %llu", (unsigned long long)i, (unsigned long long)t_seed());
        t_phase(phase);
        run_program(t_seed() * 100000 + i, devices, policy, n_workers, kind);
    }
    T_EQ(n_faulty_steps > 0, kind == FAULTS || kind == TIGHT_FAULTS);
    T_EQ(n_refused > 0, kind == TIGHT || kind == TIGHT_FAULTS);
    T_GT(n_on_gpus, n);
    t_count(n, "random programs of arrays");
}

T_TEST(roomy_devices) { run_programs(1000, "sim:3", NULL, 2, PLAIN); }
T_TEST(small_devices) { run_programs(1300, "sim:3,mem=34KB", NULL, 2, PLAIN); }
T_TEST(small_devices_slow_links) { run_programs(200, "sim:3,mem=34KB,lat=50us,link=2GB/s", NULL, 2, PLAIN); }
T_TEST(eager) { run_programs(1000, "sim:3,mem=36KB", "eager", 2, PLAIN); }
T_TEST(round_robin_one_worker) { run_programs(1000, "sim:3,mem=36KB", "round_robin", 1, PLAIN); }
T_TEST(bytes_are_the_least_possible) { run_programs(900, "sim:3", "round_robin", 2, BYTES); }
T_TEST(faults_in_roomy_devices) { run_programs(900, "sim:3", NULL, 2, FAULTS); }
T_TEST(faults_in_small_devices) { run_programs(900, "sim:3,mem=34KB", "round_robin", 2, FAULTS); }
T_TEST(bytes_are_the_least_possible_by_region) { run_programs(900, "sim:3", "round_robin", 2, BYTES_BY_REGION); }
T_TEST(arrays_larger_than_a_device) { run_programs(1300, "sim:3,mem=4KB", NULL, 2, TIGHT); }
T_TEST(arrays_larger_than_a_device_with_faults) { run_programs(900, "sim:3,mem=4KB", "round_robin", 2, TIGHT_FAULTS); }
T_TEST(ahead_roomy_devices) { run_programs(600, "silent:3", NULL, 2, PLAIN); }
T_TEST(ahead_small_devices) { run_programs(600, "silent:3,mem=34KB", "round_robin", 2, PLAIN); }
T_TEST(ahead_slow_links) { run_programs(200, "silent:3,mem=36KB,lat=50us,link=2GB/s", NULL, 2, PLAIN); }
T_TEST(ahead_bytes_are_the_least_possible) { run_programs(300, "silent:3", "round_robin", 2, BYTES); }
T_TEST(ahead_faults) { run_programs(600, "silent:3", "round_robin", 2, FAULTS); }
T_TEST(ahead_faults_in_small_devices) { run_programs(600, "silent:3,mem=34KB", NULL, 2, FAULTS); }
T_TEST(ahead_arrays_larger_than_a_device) { run_programs(400, "silent:3,mem=4KB", NULL, 2, TIGHT); }
T_TEST(ahead_arrays_larger_than_a_device_with_faults) { run_programs(300, "silent:3,mem=4KB", "round_robin", 2, TIGHT_FAULTS); }
