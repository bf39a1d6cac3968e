/* test_random_data.c - random programs of tasks over several arrays, on the CPU and three small simulated devices, against serial
 * execution.
 *
 * A program is a list of steps, each a task that reads, overwrites or updates some arrays, or copies a box between two. Every step
 * is spawned in order; the oracle then goes through the same list one by one. What a task writes depends on every element that it
 * reads, so one wrong element anywhere changes all that follows. The devices have room for a few arrays only, so copies are evicted
 * and written back all the time.
 *
 * With injected faults the oracle looks at how each task ended: failed and cancelled ones spoil what they were to write; a task
 * that is done must have read nothing spoilt; and what is not spoilt in the end must be right to the last bit. */
#include "test.h"

#include <parla/parla.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { N_ARRAYS = 7, MIN_ITEMS = 640, MAX_ITEMS = 1024, N_STEPS = 160, MAX_USES = 3 };

typedef struct array {
    parla_data *data;
    uint64_t *given; /* the user's memory, every second item of it; NULL: the library's */
    size_t n_items;
    uint64_t model[MAX_ITEMS];
    bool has_content; /* of the model */
    bool is_spoilt;
} array;

typedef struct use {
    int i_array, mode, member;
} use;

typedef struct step {
    struct program *program;
    uint64_t id;
    use uses[MAX_USES];
    int n_uses;
    bool is_copy;
    parla_range dst_box, src_box;
    _Atomic int n_ends;
    int status;   /* as told to on_end, or by a wait */
    bool is_kept; /* of a copy: there is a reference on its task, so the outcome is known */
    parla_task task;
} step;

typedef struct program {
    parla_runtime *rt;
    array arrays[N_ARRAYS];
    step steps[N_STEPS];
    int n_steps;
    t_rng rng;
    bool has_faults;
    _Atomic int n_wrong;
} program;

/* Over all programs of a case: a case that met no fault has tested nothing. */
static int n_faulty_steps;

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t z = a * 0x9e3779b97f4a7c15u ^ (b + 0x7f4a7c15u);
    z = (z ^ (z >> 29)) * 0xbf58476d1ce4e5b9u;
    return z ^ (z >> 32);
}

/* --- The work of a task, on any memory ---------------------------------------------------------------------------------------- */

static uint64_t *item(const parla_strided *box, size_t i) { return (uint64_t *)((char *)box->base + (int64_t)i * box->stride[0]); }

static void work(const step *s, const parla_strided *boxes)
{
    uint64_t seen = mix(s->id, 1);
    for (int u = 0; u < s->n_uses; u++)
        for (size_t i = 0; (s->uses[u].mode & PARLA_IN) && i < (size_t)boxes[u].extent[0]; i++)
            seen = mix(seen, *item(&boxes[u], i));
    for (int u = 0; u < s->n_uses; u++)
        for (size_t i = 0; (s->uses[u].mode & PARLA_OUT) && i < (size_t)boxes[u].extent[0]; i++)
            *item(&boxes[u], i) = mix(seen, i + 1000 * (uint64_t)u);
}

static int body(parla_context *context, void *arg)
{
    step *s = arg;
    parla_strided boxes[MAX_USES];
    for (int u = 0; u < s->n_uses; u++) {
        parla_instance here;
        int rc = parla_context_instance(context, (size_t)u, &here);
        if (rc < 0 || here.i_device != parla_context_device(context, (size_t)s->uses[u].member))
            atomic_fetch_add(&s->program->n_wrong, 1);
        if (rc < 0)
            return rc;
        boxes[u] = here.box;
    }
    work(s, boxes);
    return 0;
}

static void ended(void *arg, const parla_outcome *outcome)
{
    step *s = arg;
    s->status = outcome->status;
    atomic_fetch_add(&s->n_ends, 1);
}

/* --- Making programs ---------------------------------------------------------------------------------------------------------- */

static void make_array(program *p, int i)
{
    array *a = &p->arrays[i];
    a->n_items = MIN_ITEMS + t_below(&p->rng, MAX_ITEMS - MIN_ITEMS);
    parla_data_options options = PARLA_DATA_OPTIONS_INIT;
    char name[8];
    snprintf(name, sizeof name, "a%d", i);
    options.name = name;
    options.host.ndim = 1;
    options.host.item_bytes = sizeof(uint64_t);
    options.host.extent[0] = (int64_t)a->n_items;
    if (i % 2 == 0) {
        a->given = malloc(2 * a->n_items * sizeof(uint64_t));
        for (size_t k = 0; k < a->n_items; k++)
            a->given[2 * k] = a->model[k] = mix((uint64_t)i, k);
        options.host.base = a->given;
        options.host.stride[0] = 2 * sizeof(uint64_t);
        a->has_content = true;
    }
    T_OK(parla_data_create(&a->data, &options));
}

static parla_range random_range(program *p, int64_t extent, int64_t n)
{
    parla_range range = {.step = 1 + (int64_t)t_below(&p->rng, 3)};
    while ((n - 1) * range.step + 1 > extent)
        range.step--;
    range.start = (int64_t)t_below(&p->rng, (uint64_t)(extent - (n - 1) * range.step));
    range.stop = range.start + (n - 1) * range.step + 1;
    return range;
}

static void make_copy(program *p, step *s, int dst, int src)
{
    s->is_copy = true;
    s->uses[0] = (use){dst, PARLA_INOUT, 0};
    s->uses[1] = (use){src, PARLA_IN, 0};
    s->n_uses = 2;
    int64_t n_dst = (int64_t)p->arrays[dst].n_items, n_src = (int64_t)p->arrays[src].n_items;
    int64_t n = 1 + (int64_t)t_below(&p->rng, (uint64_t)(n_dst < n_src ? n_dst : n_src));
    s->dst_box = random_range(p, n_dst, n);
    s->src_box = random_range(p, n_src, n);
    if (n == n_dst)
        s->uses[0].mode = PARLA_OUT;
}

/* Distinct arrays; one that was never written is overwritten. */
static void make_uses(program *p, step *s)
{
    int first = (int)t_below(&p->rng, N_ARRAYS);
    s->n_uses = 1 + (int)t_below(&p->rng, MAX_USES);
    for (int u = 0; u < s->n_uses; u++) {
        int i = (first + 2 * u) % N_ARRAYS;
        int mode = 1 + (int)t_below(&p->rng, 3);
        if (!p->arrays[i].has_content)
            mode = PARLA_OUT;
        s->uses[u] = (use){.i_array = i, .mode = mode};
    }
}

static void note_content(program *p, const step *s)
{
    for (int u = 0; u < s->n_uses; u++)
        if (s->uses[u].mode & PARLA_OUT)
            p->arrays[s->uses[u].i_array].has_content = true;
}

static void spawn_copy(program *p, step *s)
{
    parla_data *dst = p->arrays[s->uses[0].i_array].data, *src = p->arrays[s->uses[1].i_array].data;
    T_OK(parla_data_copy(p->rt, &s->task, dst, &s->dst_box, src, &s->src_box, (int)t_below(&p->rng, 5) - 1));
    s->is_kept = parla_task_ref(s->task) == 0;
}

static int spawn_step(program *p, step *s)
{
    static const parla_demand cpu = {PARLA_ARCH_CPU, PARLA_ANY_NUMBER, 0, 0}, any = {PARLA_ARCH_ANY, PARLA_ANY_NUMBER, 0, 0};
    parla_demand gpu = {PARLA_ARCH_GPU, PARLA_ANY_NUMBER, 0.5 * (double)t_below(&p->rng, 3), 4096 * t_below(&p->rng, 3)};
    parla_demand one = {PARLA_ARCH_GPU, (int)t_below(&p->rng, 3), 0, 0};
    const parla_demand both[2] = {gpu, any};
    const parla_choice choices[] = {{&gpu, 1}, {&one, 1}, {&cpu, 1}, {&any, 1}, {both, 2}};
    parla_access accesses[MAX_USES];
    parla_task_options options = PARLA_TASK_OPTIONS_INIT;
    size_t i_choice = t_below(&p->rng, 5);
    for (int u = 0; u < s->n_uses; u++) {
        s->uses[u].member = i_choice == 4 ? (int)t_below(&p->rng, 2) : 0;
        accesses[u] =
            (parla_access){.data = p->arrays[s->uses[u].i_array].data, .mode = s->uses[u].mode, .member = s->uses[u].member};
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
    return parla_task_spawn(p->rt, &s->task, &options);
}

static void inject_something(program *p)
{
    if (p->has_faults && t_below(&p->rng, 8) == 0)
        T_OK(parla_sim_inject(p->rt, 1 + (int)t_below(&p->rng, 3), (int64_t)t_below(&p->rng, 6), (int64_t)t_below(&p->rng, 10)));
}

/* --- The oracle --------------------------------------------------------------------------------------------------------------- */

static parla_strided model_box(array *a)
{
    parla_strided box;
    int64_t extent = (int64_t)a->n_items;
    T_OK(parla_strided_contiguous(&box, a->model, sizeof(uint64_t), 1, &extent));
    return box;
}

static void replay_copy(program *p, const step *s)
{
    array *dst = &p->arrays[s->uses[0].i_array], *src = &p->arrays[s->uses[1].i_array];
    int64_t to = s->dst_box.start, from = s->src_box.start;
    for (; to < s->dst_box.stop; to += s->dst_box.step, from += s->src_box.step)
        dst->model[to] = src->model[from];
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
        if ((s->uses[u].mode & PARLA_IN) && p->arrays[s->uses[u].i_array].is_spoilt)
            return true;
    return false;
}

static void replay(program *p, const step *s)
{
    bool is_spoilt = reads_spoilt(p, s), is_done = s->status == 0;
    T_FALSE(is_spoilt && is_done);
    T_TRUE(is_done || p->has_faults);
    T_TRUE(is_done || is_spoilt || s->status == PARLA_E_DEVICE || s->status == PARLA_E_DEVICE_MEMORY);
    if (is_spoilt)
        T_EQ(s->status, PARLA_E_CANCELLED);
    if (is_done)
        replay_step(p, s);
    else
        n_faulty_steps++;
    for (int u = 0; u < s->n_uses; u++)
        if (s->uses[u].mode & PARLA_OUT)
            p->arrays[s->uses[u].i_array].is_spoilt = !is_done;
}

/* A copy that ended before the test could keep it: it was well, or cancelled because of another. */
static void infer_status(program *p, step *s)
{
    if (s->is_copy && !s->is_kept)
        s->status = reads_spoilt(p, s) ? PARLA_E_CANCELLED : 0;
}

static void check_items(const array *a, const parla_instance *here)
{
    for (size_t i = 0; i < a->n_items; i++)
        T_EQ(*item(&here->box, i), a->model[i]);
}

/* With the runtime, or with NULL after its end. */
static void check_array(array *a, parla_runtime *rt)
{
    parla_instance here;
    if (!a->has_content)
        return;
    if (a->is_spoilt) {
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
    for (int i = 0; i < N_STEPS; i++) {
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
        T_OK(parla_sim_inject(rt, i, 0, 0));
}

static void touch_from_host(program *p)
{
    parla_instance here;
    array *a = &p->arrays[t_below(&p->rng, N_ARRAYS)];
    if (a->has_content && t_below(&p->rng, 2) == 0) {
        int rc = parla_data_acquire(p->rt, a->data, PARLA_IN, PARLA_FOREVER, &here);
        T_TRUE(rc == 0 || p->has_faults);
        if (rc == 0)
            parla_data_release(a->data, PARLA_IN);
    } else if (a->has_content) {
        int rc = parla_data_evict(p->rt, a->data, (int)t_below(&p->rng, 5) - 1, PARLA_FOREVER);
        T_TRUE(rc == 0 || p->has_faults);
    }
}

static void spawn_all(program *p)
{
    for (int i = 0; i < N_STEPS; i++) {
        step *s = &p->steps[i];
        s->program = p;
        s->id = (uint64_t)i + 1;
        int dst = (int)t_below(&p->rng, N_ARRAYS), src = (dst + 1 + (int)t_below(&p->rng, N_ARRAYS - 1)) % N_ARRAYS;
        bool may_copy = p->arrays[src].has_content && p->arrays[dst].has_content;
        inject_something(p);
        if (may_copy && t_below(&p->rng, 4) == 0) {
            make_copy(p, s, dst, src);
            spawn_copy(p, s);
        } else {
            make_uses(p, s);
            T_OK(spawn_step(p, s));
        }
        note_content(p, s);
        if (t_below(&p->rng, 24) == 0)
            touch_from_host(p);
    }
}

static void check_all(program *p)
{
    T_EQ(atomic_load(&p->n_wrong), 0);
    collect_outcomes(p);
    for (int i = 0; i < N_STEPS; i++) {
        infer_status(p, &p->steps[i]);
        replay(p, &p->steps[i]);
    }
    for (int i = 0; i < N_ARRAYS; i++)
        check_array(&p->arrays[i], p->rt);
    T_EVENTUALLY(is_at_rest(p->rt), 5000);
}

static void run_program(uint64_t seed, const char *devices, const char *policy, int n_workers, bool has_faults)
{
    program *p = calloc(1, sizeof *p);
    p->rng.state = seed;
    p->has_faults = has_faults;
    parla_options options = PARLA_OPTIONS_INIT;
    options.devices = devices;
    options.policy = policy;
    options.n_workers = n_workers;
    T_OK(parla_runtime_create(&p->rt, &options));
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

static void run_programs(const char *devices, const char *policy, int n_workers, bool has_faults)
{
    char phase[96];
    uint64_t n = t_scale(60);
    for (uint64_t i = 0; i < n; i++) {
        snprintf(phase, sizeof phase, "program %llu of seed %llu", (unsigned long long)i, (unsigned long long)t_seed());
        t_phase(phase);
        run_program(t_seed() * 1000 + i, devices, policy, n_workers, has_faults);
    }
    T_EQ(n_faulty_steps > 0, has_faults);
}

T_TEST(roomy_devices) { run_programs("sim:3", NULL, 2, false); }
T_TEST(small_devices) { run_programs("sim:3,mem=34KB", NULL, 2, false); }
T_TEST(small_devices_slow_links) { run_programs("sim:3,mem=34KB,lat=50us,link=2GB/s", NULL, 2, false); }
T_TEST(eager) { run_programs("sim:3,mem=36KB", "eager", 2, false); }
T_TEST(round_robin_one_worker) { run_programs("sim:3,mem=36KB", "round_robin", 1, false); }
T_TEST(faults_in_roomy_devices) { run_programs("sim:3", NULL, 2, true); }
T_TEST(faults_in_small_devices) { run_programs("sim:3,mem=34KB", "round_robin", 2, true); }
