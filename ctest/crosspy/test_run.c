/* Plans that are carried out on real arrays on the CPU and on simulated devices: directly, through the loopback transport,
 * without a runtime; each against assignment element by element. */
#include "assignment.h"

#include <parla/parla.h>

#include <stdatomic.h>
#include <stdlib.h>

static cx_place place_here(t_rng *rng)
{
    int number = (int)t_below(rng, 3);
    return number == 2 ? (cx_place){0, PARLA_ARCH_CPU, 0} : (cx_place){0, PARLA_ARCH_GPU, number};
}

/* An array in blocks, and the same in one piece. */
typedef struct pieces {
    const cx_layout *layout;
    parla_data **blocks;
    int64_t *whole;
} pieces;

static parla_data *new_block(const cx_block *block)
{
    parla_data_options options = PARLA_DATA_OPTIONS_INIT;
    int64_t extent[CX_MAX_NDIM];
    for (int k = 0; k < block->box.ndim; k++) {
        extent[k] = block->box.range[k].stop - block->box.range[k].start;
    }
    T_OK(parla_strided_contiguous(&options.host, NULL, sizeof(int64_t), block->box.ndim, extent));
    options.name = "block";
    parla_data *data = NULL;
    T_OK(parla_data_create(&data, &options));
    return data;
}

/* Copies between a block, acquired on the host, and its place in the whole array. */
static void exchange(parla_runtime *rt, const pieces *p, int64_t i_block, int mode)
{
    cx_block block;
    parla_instance here;
    int64_t extent[CX_MAX_NDIM];
    T_OK(cx_layout_block(p->layout, i_block, &block));
    if (cx_box_is_empty(&block.box)) {
        return;
    }
    for (int k = 0; k < block.box.ndim; k++) {
        extent[k] = cx_layout_extent(p->layout, k);
    }
    parla_strided whole, part;
    T_OK(parla_strided_contiguous(&whole, p->whole, sizeof(int64_t), block.box.ndim, extent));
    part = whole;
    for (int k = 0; k < block.box.ndim; k++) {
        part.base = (char *)part.base + block.box.range[k].start * whole.stride[k];
        part.extent[k] = block.box.range[k].stop - block.box.range[k].start;
    }
    T_OK(parla_data_acquire(rt, p->blocks[i_block], mode, PARLA_FOREVER, &here));
    T_OK(mode == PARLA_IN ? parla_strided_copy(&part, &here.box) : parla_strided_copy(&here.box, &part));
    parla_data_release(p->blocks[i_block], mode);
}

static pieces pieces_create(const cx_layout *layout, int64_t first)
{
    int64_t n_blocks = cx_layout_n_blocks(layout), volume = volume_of(layout);
    pieces p = {layout, calloc((size_t)n_blocks, sizeof(parla_data *)), malloc((size_t)(volume + 1) * sizeof(int64_t))};
    for (int64_t i = 0; i < volume; i++) {
        p.whole[i] = first + i;
    }
    for (int64_t i = 0; i < n_blocks; i++) {
        cx_block block;
        T_OK(cx_layout_block(layout, i, &block));
        p.blocks[i] = new_block(&block);
        exchange(NULL, &p, i, PARLA_OUT);
    }
    return p;
}

static void pieces_destroy(pieces *p)
{
    for (int64_t i = 0; i < cx_layout_n_blocks(p->layout); i++) {
        parla_data_unref(p->blocks[i]);
    }
    free(p->blocks);
    free(p->whole);
}

/* The blocks hold what assignment would have made of the whole array. */
static void check_result(parla_runtime *rt, pieces *dst, const pieces *src, const cx_view *dst_view, const cx_view *src_view)
{
    int64_t volume = volume_of(dst->layout), *want = unset(volume);
    assign_naively(dst_view, src_view, want);
    for (int64_t i = 0; i < volume; i++) {
        want[i] = want[i] < 0 ? dst->whole[i] : src->whole[want[i]];
        dst->whole[i] = -7;
    }
    for (int64_t i = 0; i < cx_layout_n_blocks(dst->layout); i++) {
        exchange(rt, dst, i, PARLA_IN);
    }
    T_EQ_MEM(dst->whole, want, (size_t)volume * sizeof *want);
    free(want);
}

static int poll_transport(void *ctx)
{
    parla_transport *transport = ctx;
    return transport->progress(transport->self);
}

static void run_and_wait(parla_runtime *rt, const cx_plan *plan, const cx_run *run)
{
    size_t n_tasks, capacity = (size_t)cx_plan_n_transfers(plan) * 2;
    parla_task *tasks = malloc((capacity + 1) * sizeof *tasks);
    T_OK(cx_plan_run(plan, rt, run, tasks, &n_tasks));
    T_EQ(n_tasks, run->flags ? capacity : capacity / 2);
    T_OK(parla_task_wait(rt, tasks, n_tasks, PARLA_FOREVER));
    free(tasks);
}

/* One random assignment; rt NULL: without a runtime. */
static void one_case(t_rng *rng, parla_runtime *rt, parla_transport *transport)
{
    int64_t shape[CX_MAX_NDIM];
    int ndim = (int)t_below(rng, 4);
    random_shape(rng, ndim, 9, shape);
    cx_layout *layout = random_layout_at(rng, ndim, shape, place_here);
    cx_view dst_view = random_view(rng, layout), src_view = matching_source(rng, &dst_view, place_here);
    pieces dst = pieces_create(layout, 1000000), src = pieces_create(src_view.layout, 0);
    cx_plan *plan = NULL;
    T_OK(cx_plan_create(&plan, &dst_view, &src_view, sizeof(int64_t)));
    cx_run run = CX_RUN_INIT;
    run.dst = dst.blocks;
    run.src = src.blocks;
    run.transport = transport;
    run.flags = transport ? CX_RUN_ALL_BY_TRANSPORT : 0;
    run.tag = 1 + t_next(rng) / 2;
    if (rt) {
        run_and_wait(rt, plan, &run);
    } else {
        T_OK(cx_plan_run_now(plan, &run));
    }
    check_result(rt, &dst, &src, &dst_view, &src_view);
    cx_plan_unref(plan);
    pieces_destroy(&dst);
    pieces_destroy(&src);
    cx_layout_unref(layout);
    cx_layout_unref((cx_layout *)src_view.layout);
}

static int new_runtime_on(parla_runtime **out, const char *devices)
{
    parla_options options = PARLA_OPTIONS_INIT;
    options.n_workers = 2;
    options.devices = devices;
    return parla_runtime_create(out, &options);
}

static parla_runtime *new_runtime(void)
{
    parla_runtime *rt = NULL;
    T_OK(new_runtime_on(&rt, "cpu,sim:2"));
    return rt;
}

/* A transport that looks at the memory which it is given. */
typedef struct watched {
    parla_transport table, *inner;
    parla_runtime *rt;
    atomic_int n_sent, n_received;
} watched;

static int watched_send(void *self, parla_transfer *out, int rank, uint64_t tag, const parla_transfer_memory *memory,
                        parla_transfer_done done, void *ctx)
{
    watched *w = self;
    T_TRUE(parla_device_is_host_memory(w->rt, memory->i_device));
    atomic_fetch_add(&w->n_sent, 1);
    return w->inner->send(w->inner->self, out, rank, tag, memory, done, ctx);
}

static int watched_receive(void *self, parla_transfer *out, int rank, uint64_t tag, const parla_transfer_memory *memory,
                           parla_transfer_done done, void *ctx)
{
    watched *w = self;
    T_TRUE(parla_device_is_host_memory(w->rt, memory->i_device));
    atomic_fetch_add(&w->n_received, 1);
    return w->inner->receive(w->inner->self, out, rank, tag, memory, done, ctx);
}

static void watch(watched *w, parla_transport *inner, parla_runtime *rt)
{
    *w = (watched){.table = *inner, .inner = inner, .rt = rt};
    w->table.self = w;
    w->table.send = watched_send;
    w->table.receive = watched_receive;
}

T_TEST(plans_run_without_a_runtime)
{
    t_rng rng = {t_seed()};
    for (uint64_t i = 0; i < t_scale(500); i++) {
        one_case(&rng, NULL, NULL);
    }
}

T_TEST(plans_run_as_tasks)
{
    t_rng rng = {t_seed() + 1};
    parla_runtime *rt = new_runtime();
    for (uint64_t i = 0; i < t_scale(500); i++) {
        one_case(&rng, rt, NULL);
    }
    parla_runtime_destroy(rt);
}

T_TEST(plans_run_through_a_transport)
{
    t_rng rng = {t_seed() + 2};
    parla_runtime *rt = new_runtime();
    parla_transport *transport = NULL;
    parla_poll *poll = NULL;
    T_OK(parla_transport_loopback(&transport));
    T_OK(parla_poll_add(rt, &poll, poll_transport, transport));
    for (uint64_t i = 0; i < t_scale(300); i++) {
        one_case(&rng, rt, transport);
    }
    parla_poll_remove(poll);
    parla_runtime_destroy(rt);
    transport->close(transport->self);
}

/* A GPU's memory is not for the host, whatever the driver in host memory would let pass. */
T_TEST(cuda_messages_go_through_the_host)
{
    t_rng rng = {t_seed() + 4};
    parla_runtime *rt = NULL;
    int err = new_runtime_on(&rt, "cpu,cuda:0,cuda:0");
    if (err == PARLA_E_NO_DEVICE) {
        T_SKIP("there is no CUDA device");
    }
    T_OK(err);
    T_TRUE(!parla_device_is_host_memory(rt, 1) && !parla_device_is_host_memory(rt, -1) && parla_device_is_host_memory(rt, 0));
    parla_transport *transport = NULL;
    parla_poll *poll = NULL;
    T_OK(parla_transport_loopback(&transport));
    T_OK(parla_poll_add(rt, &poll, poll_transport, transport));
    watched w;
    watch(&w, transport, rt);
    for (uint64_t i = 0; i < t_scale(100); i++) {
        one_case(&rng, rt, &w.table);
    }
    T_TRUE(w.n_sent > 0 && w.n_received == w.n_sent);
    parla_poll_remove(poll);
    parla_runtime_destroy(rt);
    transport->close(transport->self);
}

T_TEST(what_cannot_run_is_refused)
{
    t_rng rng = {t_seed() + 3};
    int64_t shape[1] = {4}, parts[1] = {2};
    cx_place both[2] = {{0, PARLA_ARCH_CPU, 0}, {1, PARLA_ARCH_CPU, 0}},
             far_device[2] = {{0, PARLA_ARCH_GPU, 7}, {0, PARLA_ARCH_GPU, 7}};
    cx_layout *two_ranks = NULL, *far_away = NULL, *here = random_layout_at(&rng, 1, shape, place_here);
    T_OK(cx_layout_grid(&two_ranks, 1, shape, parts, NULL, NULL, both));
    T_OK(cx_layout_grid(&far_away, 1, shape, parts, NULL, NULL, far_device));
    pieces a = pieces_create(two_ranks, 0), b = pieces_create(far_away, 0), c = pieces_create(here, 0);
    cx_view views[3] = {{.layout = two_ranks, .box = cx_layout_box(two_ranks)},
                        {.layout = far_away, .box = cx_layout_box(far_away)},
                        {.layout = here, .box = cx_layout_box(here)}};
    parla_runtime *rt = new_runtime();
    cx_plan *plan = NULL;
    cx_run run = CX_RUN_INIT;
    T_OK(cx_plan_create(&plan, &views[0], &views[2], 8));
    run.dst = a.blocks;
    run.src = c.blocks;
    T_EQ(cx_plan_run(plan, rt, &run, NULL, NULL), PARLA_E_INVALID);
    T_HAS_STR(parla_error_detail(), "takes a transport");
    cx_plan_unref(plan);
    T_OK(cx_plan_create(&plan, &views[1], &views[2], 8));
    run.dst = b.blocks;
    T_EQ(cx_plan_run(plan, rt, &run, NULL, NULL), PARLA_E_NO_DEVICE);
    run.flags = CX_RUN_ALL_BY_TRANSPORT;
    T_EQ(cx_plan_run(plan, rt, &run, NULL, NULL), PARLA_E_INVALID);
    run.size = 1;
    T_EQ(cx_plan_run(plan, rt, &run, NULL, NULL), PARLA_E_INVALID);
    cx_plan_unref(plan);
    parla_runtime_destroy(rt);
    pieces_destroy(&a);
    pieces_destroy(&b);
    pieces_destroy(&c);
    cx_layout_unref(two_ranks);
    cx_layout_unref(far_away);
    cx_layout_unref(here);
}
