/* demand.c - from what a spawn asks for to the record of a placed task: checked, translated to sets of devices, copied.
 *
 * A member of a choice becomes the set of devices that match it and are large enough. A choice whose members cannot be given
 * distinct devices is left out; if none is left the spawn fails, and the detail tells why the first one is impossible. */
#include "base/error.h"
#include "base/text.h"
#include "sched/assign.h"
#include "sched/placed.h"
#include "task/failure.h"

#include <stdlib.h>

static const parla_demand cpu_demand = {.arch = PARLA_ARCH_CPU, .number = PARLA_ANY_NUMBER};
static const parla_demand any_demand = {.arch = PARLA_ARCH_ANY, .number = PARLA_ANY_NUMBER};

/* --- Making room for a record: one block of memory ---------------------------------------------------------------------------- */

typedef struct sizes {
    size_t n_alternatives, n_members, n_accesses, n_devices, n_spans;
} sizes;

static size_t align_up(size_t n) { return (n + 15) & ~(size_t)15; }

static pl_placed *placed_alloc(const sizes *n)
{
    size_t head = align_up(sizeof(pl_placed) + n->n_members * sizeof(int));
    size_t members = align_up(n->n_members * sizeof(pl_member));
    size_t alternatives = align_up(n->n_alternatives * sizeof(pl_alternative));
    size_t uses = align_up(n->n_accesses * sizeof(pl_use));
    size_t judged = align_up(n->n_members * n->n_devices * sizeof(pl_judged));
    size_t parts = align_up(n->n_accesses * sizeof(pl_part));
    char *memory = calloc(1, head + members + alternatives + uses + judged + parts + n->n_spans * sizeof(pl_span));
    if (!memory)
        return NULL;
    pl_placed *placed = (pl_placed *)memory;
    memory += head;
    placed->members = (pl_member *)memory;
    memory += members;
    placed->alternatives = (pl_alternative *)memory;
    memory += alternatives;
    placed->uses = (pl_use *)memory;
    memory += uses;
    placed->judged = (pl_judged *)memory;
    memory += judged;
    placed->parts = (pl_part *)memory;
    placed->spans = (pl_span *)(memory + parts);
    return placed;
}

void pl_placed_unref(pl_placed *placed)
{
    if (pl_sub_acq_rel(&placed->refs_shared, 1) != 1)
        return;
    parla_failure_unref(placed->failure);
    free(placed->waits);
    free(placed->content);
    free(placed);
}

void pl_demand_destroy(pl_placed *placed)
{
    for (size_t i = 0; i < placed->n_uses; i++)
        if (placed->uses[i].order_mode)
            pl_data_drop(placed->uses[i].data);
    pl_placed_unref(placed);
}

/* --- Accesses ----------------------------------------------------------------------------------------------------------------- */

static int check_access(const parla_task_options *options, size_t i)
{
    bool is_whole;
    const parla_access *access = &options->accesses[i];
    if (!access->data)
        return pl_error_set(PARLA_E_INVALID, "access %zu names no array", i);
    int mode = options->flags & PL_TASK_OWN ? access->mode & ~(PL_MODE_ALONE | PL_MODE_ABSENT) : access->mode;
    if ((mode & ~(PARLA_INOUT | PARLA_ORDER)) || !(mode & PARLA_INOUT))
        return pl_error_set(PARLA_E_INVALID, "access %zu (%s): mode %d is none of PARLA_IN, PARLA_OUT and PARLA_INOUT", i,
                            pl_data_label(access->data), access->mode);
    if (access->member < 0)
        return pl_error_set(PARLA_E_INVALID, "access %zu (%s): there is no member %d", i, pl_data_label(access->data),
                            access->member);
    return pl_data_check_region(access->data, access->region, &is_whole);
}

static pl_use *find_use(pl_placed *placed, const parla_access *access)
{
    bool is_in_place = access->mode & PARLA_ORDER;
    for (size_t i = 0; i < placed->n_uses; i++) {
        pl_use *use = &placed->uses[i];
        if (use->data == access->data && use->is_in_place == is_in_place && (is_in_place || use->member == access->member))
            return use;
    }
    return NULL;
}

/* The use of this array that stands in the order for all of the task's. */
static pl_use *ordering_use(pl_placed *placed, const parla_data *data)
{
    for (size_t i = 0; i < placed->n_uses; i++)
        if (placed->uses[i].data == data && placed->uses[i].order_mode)
            return &placed->uses[i];
    return NULL;
}

static pl_use *add_use(pl_placed *placed, const parla_access *access)
{
    pl_use *use = &placed->uses[placed->n_uses++];
    *use = (pl_use){.data = access->data, .owner = placed, .member = (uint8_t)access->member};
    use->is_in_place = access->mode & PARLA_ORDER;
    use->is_untouched = use->is_in_place && (access->mode & PL_MODE_ALONE);
    use->may_be_absent = true; /* until some access needs content */
    return use;
}

/* The box around a region, out of the record's room for spans. */
static void set_box(pl_placed *placed, pl_part *part, const parla_range *region)
{
    int ndim = part->use->data->shape.ndim;
    part->box = region ? placed->spans + placed->n_spans : NULL;
    placed->n_spans += region ? (size_t)ndim : 0;
    for (int k = 0; region && k < ndim; k++) {
        pl_span span = pl_span_of_range(&region[k]);
        part->box[k] = pl_span_join(&span, &span);
    }
}

static void add_part(pl_placed *placed, const parla_access *access)
{
    pl_use *use = find_use(placed, access);
    if (!use)
        use = add_use(placed, access);
    int mode = access->mode & PARLA_INOUT;
    bool needs_content = (access->mode & PARLA_IN) && !(access->mode & (PARLA_ORDER | PL_MODE_ABSENT));
    use->may_be_absent = use->may_be_absent && !needs_content;
    use->mode = (uint8_t)(use->mode | mode);

    pl_use *first = ordering_use(placed, access->data);
    if (!first) {
        first = use;
        parla_data_ref(access->data);
    }
    first->order_mode = (uint8_t)(first->order_mode | mode);
    first->is_written = first->is_written || (mode & PARLA_OUT);

    pl_part *part = &placed->parts[placed->n_accesses++];
    *part = (pl_part){.use = use, .order = first, .next = first->parts, .may_be_absent = !needs_content};
    part->mode = (uint8_t)mode;
    part->is_alone = access->mode & PL_MODE_ALONE;
    first->parts = part;
    set_box(placed, part, access->region);
    pl_piece_add(part);
}

/* The region of an access as spans; NULL for the whole array. */
static const pl_span *spans_of(const parla_access *access, pl_span *spans)
{
    for (int k = 0; access->region && k < parla_data_shape(access->data)->ndim; k++)
        spans[k] = pl_span_of_range(&access->region[k]);
    return access->region ? spans : NULL;
}

static bool regions_meet(const parla_access *a, const parla_access *b)
{
    pl_span spans_a[PARLA_MAX_NDIM], spans_b[PARLA_MAX_NDIM];
    if (!spans_of(a, spans_a) || !spans_of(b, spans_b))
        return true;
    return pl_spans_meet(spans_a, spans_b, parla_data_shape(a->data)->ndim);
}

/* What is written is on one device only. */
static int check_one_place(const parla_access *a, const parla_access *b)
{
    if (a->data != b->data || a->member == b->member || ((a->mode | b->mode) & PARLA_ORDER) || !((a->mode | b->mode) & PARLA_OUT) ||
        !regions_meet(a, b))
        return 0;
    bool first_writes = a->mode & PARLA_OUT;
    return pl_error_set(PARLA_E_INVALID, "%s is written on member %d of the task and used on member %d: only reading can be shared",
                        pl_data_label(a->data), first_writes ? a->member : b->member, first_writes ? b->member : a->member);
}

static int check_places(const parla_task_options *options)
{
    int rc = 0;
    bool is_gang = false;
    for (size_t i = 0; i < options->n_accesses; i++)
        is_gang = is_gang || options->accesses[i].member > 0;
    for (size_t i = 0; is_gang && i < options->n_accesses; i++)
        for (size_t k = 0; rc == 0 && k < i; k++)
            rc = check_one_place(&options->accesses[k], &options->accesses[i]);
    return rc;
}

/* An array of which the task both reads and writes some elements, or NULL. */
static const parla_data *updated_array(const parla_task_options *options)
{
    for (size_t i = 0; i < options->n_accesses; i++)
        for (size_t k = 0; k < options->n_accesses; k++) {
            const parla_access *a = &options->accesses[i], *b = &options->accesses[k];
            if (a->data == b->data && (a->mode & PARLA_IN) && (b->mode & PARLA_OUT) && regions_meet(a, b))
                return a->data;
        }
    return NULL;
}

static int take_accesses(pl_placed *placed, const parla_task_options *options)
{
    const parla_data *updated;
    for (size_t i = 0; i < options->n_accesses; i++) {
        int rc = check_access(options, i);
        if (rc < 0)
            return rc;
        add_part(placed, &options->accesses[i]);
    }
    if (options->n_retries > 0 && (updated = updated_array(options)))
        return pl_error_set(
            PARLA_E_INVALID,
            "%s is updated (read and written) by a task with %d retries, which would find there what a failed try left: "
            "write to another array, or spawn it without retries",
            pl_data_label(updated), options->n_retries);
    return check_places(options);
}

/* --- Choices ------------------------------------------------------------------------------------------------------------------ */

static bool matches(const pl_device *device, const parla_demand *demand)
{
    return (demand->arch == PARLA_ARCH_ANY || demand->arch == device->arch) &&
           (demand->number == PARLA_ANY_NUMBER || demand->number == device->number);
}

static void describe(const parla_demand *demand, char *out, size_t n_bytes)
{
    const char *arch = demand->arch == PARLA_ARCH_CPU ? "cpu" : demand->arch == PARLA_ARCH_GPU ? "gpu" : "device";
    if (demand->number == PARLA_ANY_NUMBER)
        pl_text_format(out, n_bytes, "any %s", arch);
    else
        pl_text_format(out, n_bytes, "%s[%d]", arch, demand->number);
}

static int no_such_device(parla_runtime *rt, const parla_demand *demand)
{
    char asked[48], names[512];
    describe(demand, asked, sizeof asked);
    pl_devices_list(&rt->place.devices, names, sizeof names);
    return pl_error_set(PARLA_E_NO_DEVICE, "the task asks for %s; this runtime has %s", asked, names);
}

static int too_large(parla_runtime *rt, const parla_demand *demand, size_t n_arrays, size_t largest)
{
    char asked[48], names[512];
    describe(demand, asked, sizeof asked);
    pl_devices_list(&rt->place.devices, names, sizeof names);
    return pl_error_set(
        PARLA_E_RESOURCES,
        "the task needs %zu bytes on %s (%zu of memory, %zu of arrays); the largest that matches has %zu; this runtime has %s",
        demand->memory_bytes + n_arrays, asked, demand->memory_bytes, n_arrays, largest, names);
}

/* The devices that a member could ever get. Errors: there is none. */
static int find_devices(parla_runtime *rt, const pl_placed *placed, size_t member, const parla_demand *demand, uint64_t *out)
{
    uint64_t devices = 0;
    size_t n_arrays = 0, largest = 0;
    bool any = false;
    for (int i = 0; i < rt->place.devices.n; i++) {
        const pl_device *device = &rt->place.devices.list[i];
        if (!matches(device, demand))
            continue;
        any = true;
        size_t n = pl_array_bytes(placed, member, i), total = device->traits.memory_bytes;
        if (demand->memory_bytes <= total && n <= total - demand->memory_bytes)
            devices |= UINT64_C(1) << i;
        if (total >= largest) {
            largest = total;
            n_arrays = n;
        }
    }
    if (!any)
        return no_such_device(rt, demand);
    if (!devices)
        return too_large(rt, demand, n_arrays, largest);
    *out = devices;
    return 0;
}

static int check_demand(const parla_demand *demand)
{
    if (!(demand->vcus >= 0))
        return pl_error_set(PARLA_E_INVALID, "the task asks for a share of %g of a device; a share is from 0 to 1", demand->vcus);
    if (demand->vcus > 1)
        return pl_error_set(PARLA_E_RESOURCES, "the task asks for a share of %g of a device; no device has more than 1",
                            demand->vcus);
    if (demand->arch != PARLA_ARCH_CPU && demand->arch != PARLA_ARCH_GPU && demand->arch != PARLA_ARCH_ANY)
        return pl_error_set(PARLA_E_INVALID, "%d is no architecture: PARLA_ARCH_CPU, PARLA_ARCH_GPU or PARLA_ARCH_ANY",
                            (int)demand->arch);
    if (demand->number < PARLA_ANY_NUMBER)
        return pl_error_set(PARLA_E_INVALID, "%d is no device's number", demand->number);
    return 0;
}

static bool are_distinct(const pl_member *members, size_t n)
{
    uint64_t candidates[PL_ASSIGN_MAX];
    int devices[PL_ASSIGN_MAX];
    if (n == 1)
        return true; /* find_devices has found one */
    for (size_t k = 0; k < n; k++)
        candidates[k] = members[k].devices;
    return pl_assign(candidates, NULL, n, devices);
}

/* Adds a choice as an alternative. Errors: it can never be met. */
static int add_choice(parla_runtime *rt, pl_placed *placed, const parla_choice *choice, size_t first, size_t i_choice)
{
    pl_member *members = placed->members + first;
    for (size_t k = 0; k < choice->n_members; k++) {
        const parla_demand *demand = &choice->members[k];
        int rc = check_demand(demand);
        if (rc < 0)
            return rc;
        members[k] = (pl_member){.vcus = demand->vcus, .memory_bytes = demand->memory_bytes};
        rc = find_devices(rt, placed, k, demand, &members[k].devices);
        if (rc < 0)
            return rc;
    }
    for (size_t i = 0; i < placed->n_uses; i++)
        if (placed->uses[i].member >= choice->n_members)
            return pl_error_set(PARLA_E_INVALID, "%s is to be on member %d of the task, which has %zu",
                                pl_data_label(placed->uses[i].data), placed->uses[i].member, choice->n_members);
    if (choice->n_members > (size_t)rt->place.devices.n || !are_distinct(members, choice->n_members)) {
        char names[512];
        pl_devices_list(&rt->place.devices, names, sizeof names);
        return pl_error_set(PARLA_E_NO_DEVICE,
                            "the task asks for %zu distinct devices at once, more than match it; this runtime has %s",
                            choice->n_members, names);
    }
    placed->alternatives[placed->n_alternatives++] = (pl_alternative){.first = first, .n = choice->n_members, .i_choice = i_choice};
    return 0;
}

static int take_choices(parla_runtime *rt, pl_placed *placed, const parla_choice *choices, size_t n_choices)
{
    int first_error = 0;
    char detail[PL_ERROR_DETAIL_BYTES] = "";
    size_t first = 0;
    for (size_t i = 0; i < n_choices; i++) {
        int rc = add_choice(rt, placed, &choices[i], first, i);
        first += choices[i].n_members;
        if (rc == PARLA_E_INVALID)
            return rc;
        if (rc < 0 && !first_error) {
            first_error = rc;
            pl_text_format(detail, sizeof detail, "%s", parla_error_detail());
        }
    }
    return placed->n_alternatives > 0 ? 0 : pl_error_set(first_error, "%s", detail);
}

/* --- The whole ---------------------------------------------------------------------------------------------------------------- */

static int check_lists(parla_runtime *rt, const parla_task_options *options, sizes *out)
{
    *out = (sizes){.n_alternatives = options->n_choices > 0 ? options->n_choices : 1,
                   .n_accesses = options->n_accesses,
                   .n_devices = (size_t)rt->place.devices.n};
    if (options->n_choices > UINT16_MAX)
        return pl_error_set(PARLA_E_INVALID, "a task has at most %d choices, not %zu", UINT16_MAX, options->n_choices);
    if (options->n_retries < 0)
        return pl_error_set(PARLA_E_INVALID, "a task cannot have %d retries", options->n_retries);
    if (options->n_accesses > UINT16_MAX)
        return pl_error_set(PARLA_E_INVALID, "a task names at most %d arrays, not %zu", UINT16_MAX, options->n_accesses);
    for (size_t i = 0; i < options->n_choices; i++) {
        size_t n = options->choices[i].n_members;
        if (n == 0)
            return pl_error_set(PARLA_E_INVALID, "choice %zu has no members: a task runs on at least one device", i);
        if (n > PL_MAX_DEVICES)
            return pl_error_set(PARLA_E_NO_DEVICE, "choice %zu asks for %zu devices at once; there are at most %d", i, n,
                                PL_MAX_DEVICES);
        out->n_members += n;
    }
    if (options->n_choices == 0)
        out->n_members = 1;
    for (size_t i = 0; i < options->n_accesses; i++) {
        const parla_access *access = &options->accesses[i];
        if (access->member >= PL_MAX_DEVICES)
            return pl_error_set(PARLA_E_INVALID, "access %zu: there is no member %d", i, access->member);
        out->n_spans += access->data && access->region ? (size_t)access->data->shape.ndim : 0;
    }
    return 0;
}

/* What runs, and what is known of it. */
static void take_kernels(pl_placed *placed, const parla_task_options *options)
{
    for (size_t i = 0; i < placed->n_alternatives; i++) {
        parla_body variant = options->variants ? options->variants[placed->alternatives[i].i_choice] : NULL;
        placed->alternatives[i].body = variant ? variant : options->body;
    }
    for (size_t i = 0; i < placed->n_uses; i++)
        if (placed->uses[i].order_mode) /* one for each array */
            placed->n_bytes += placed->uses[i].data->n_bytes;
    parla_body body = options->body ? options->body : options->variants[0];
    placed->kernel = options->kernel ? options->kernel : (const void *)(uintptr_t)body;
    placed->prefer = options->prefer;
    placed->n_tries_left = options->n_retries;
}

int pl_demand_create(parla_runtime *rt, pl_task *task, const parla_task_options *options, pl_placed **out)
{
    sizes n;
    int rc = check_lists(rt, options, &n);
    if (rc < 0)
        return rc;
    pl_placed *placed = placed_alloc(&n);
    if (!placed)
        return pl_error_set(PARLA_E_NOMEM, "no memory for the record of a placed task");
    placed->rt = rt;
    placed->task = task;
    atomic_init(&placed->refs_shared, 1);
    placed->i_queue = -1;
    if (options->flags & PL_TASK_OWN) {
        placed->is_transfer = options->flags & PL_TASK_TRANSFER;
        placed->follows = options->flags & PL_TASK_FOLLOWS;
    }
    const parla_choice plain = {placed->follows ? &any_demand : &cpu_demand, 1};
    rc = take_accesses(placed, options);
    if (rc == 0)
        rc = take_choices(rt, placed, options->n_choices > 0 ? options->choices : &plain,
                          options->n_choices > 0 ? options->n_choices : 1);
    take_kernels(placed, options);
    if (rc == 0)
        rc = pl_attach(rt, placed); /* last: a spawn that is refused leaves its arrays to other runtimes */
    if (rc < 0) {
        pl_demand_destroy(placed);
        return rc;
    }
    *out = placed;
    return 0;
}
