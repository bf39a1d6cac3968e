/* test_cuda_staging.c - copies between CUDA devices and host memory that is not page-locked: in pieces, through page-locked buffers, within the
 * bound; what the driver is asked for, and what happens when it refuses. */
#include "base/atomic.h"
#include "device/copy.h"
#include "fakecuda/fakecuda.h"
#include "test.h"

#include <parla/error.h>
#include <stdlib.h>

enum { N_ROWS = 40, ROW_BYTES = 200000, PIECE_BYTES = 1 << 20, N_COPIES = 30 };

typedef struct rig {
    pl_devices devices;
    void *there;
    unsigned char *here;
    _Atomic int n_done;
    _Atomic int n_failed;
    uint64_t n_pageable, n_locked; /* at the beginning */
} rig;

static void rig_open(rig *r)
{
    *r = (rig){.here = malloc((size_t)N_ROWS * ROW_BYTES)};
    T_OK(pl_devices_open(&r->devices, "cuda:0"));
    T_OK(pl_device_alloc(&r->devices.list[1], &r->there, (size_t)N_ROWS * ROW_BYTES));
    r->n_pageable = fakecuda()->n_pageable();
    r->n_locked = fakecuda()->n_calls("cuMemHostAlloc");
}

static void rig_close(rig *r)
{
    parla_device_info info = {.size = sizeof info};
    pl_copy_drain(&r->devices);
    T_OK(pl_devices_query(&r->devices, 1, &info));
    T_EQ(info.staging_bytes, 0);
    pl_device_free(&r->devices.list[1], r->there, (size_t)N_ROWS * ROW_BYTES);
    pl_devices_close(&r->devices);
    free(r->here);
    T_EQ(fakecuda_n_wrong(), 0);
}

static void note(void *arg, int status)
{
    rig *r = arg;
    pl_add_relaxed(&r->n_failed, status < 0);
    pl_add_acq_rel(&r->n_done, 1);
}

/* Every second row of the host's memory, or all of it; on the device the rows lie together. */
static parla_instance box(int i_device, void *base, int n_rows, int64_t stride)
{
    return (parla_instance){
        .i_device = i_device,
        .box = {.base = base, .item_bytes = 1, .ndim = 2, .extent = {n_rows, ROW_BYTES}, .stride = {stride, 1}}};
}

static void copy_in(rig *r, void *here, int64_t stride)
{
    parla_instance dst = box(1, r->there, N_ROWS / 2, ROW_BYTES), src = box(0, here, N_ROWS / 2, stride);
    T_OK(pl_copy_async(&r->devices, &dst, &src, note, r));
}

static void copy_out(rig *r, void *here, int64_t stride)
{
    parla_instance src = box(1, r->there, N_ROWS / 2, ROW_BYTES), dst = box(0, here, N_ROWS / 2, stride);
    T_OK(pl_copy_async(&r->devices, &dst, &src, note, r));
}

static void wait_for(rig *r, int n) { T_EVENTUALLY(pl_load_acquire(&r->n_done) == n, 20000); }

static void check_there_and_back(rig *r)
{
    int n = pl_load_acquire(&r->n_done);
    for (int i = 0; i < N_ROWS; i++)
        for (int k = 0; k < ROW_BYTES; k++)
            r->here[i * ROW_BYTES + k] = (unsigned char)(i % 2 == 0 ? 5 * i + k % 127 : 255);
    copy_in(r, r->here, 2 * ROW_BYTES);
    wait_for(r, n + 1);
    for (int i = 0; i < N_ROWS; i += 2)
        memset(&r->here[i * ROW_BYTES], 0, ROW_BYTES);
    copy_out(r, r->here, 2 * ROW_BYTES);
    wait_for(r, n + 2);
    T_EQ(pl_load_relaxed(&r->n_failed), 0);
    for (int i = 0; i < N_ROWS; i++)
        for (int k = 0; k < ROW_BYTES; k++)
            T_EQ(r->here[i * ROW_BYTES + k], (unsigned char)(i % 2 == 0 ? 5 * i + k % 127 : 255));
}

T_TEST(there_and_back_through_page_locked_buffers)
{
    rig r;
    rig_open(&r);
    fakecuda()->delay(200);
    check_there_and_back(&r);
    T_EQ(fakecuda()->n_pageable(), r.n_pageable);
    T_EQ(fakecuda()->n_calls("cuMemHostAlloc") - r.n_locked, 4);
    parla_device_info info = {.size = sizeof info};
    T_OK(pl_devices_query(&r.devices, 1, &info));
    T_EQ(info.most_staging_bytes, 4 * PIECE_BYTES);
    parla_link_info link = {.size = sizeof link};
    T_OK(pl_devices_link(&r.devices, 0, 1, &link));
    T_EQ(link.n_copies, 1);
    T_EQ(link.n_bytes, N_ROWS / 2 * ROW_BYTES);
    rig_close(&r);
}

T_TEST(page_locked_memory_needs_no_buffer)
{
    rig r;
    rig_open(&r);
    void *locked;
    pl_device *device = &r.devices.list[1];
    T_OK(device->backend->host_alloc(device->handle, &locked, (size_t)N_ROWS * ROW_BYTES));
    memset(locked, 1, (size_t)N_ROWS * ROW_BYTES);
    copy_in(&r, locked, 2 * ROW_BYTES);
    copy_out(&r, (char *)locked + ROW_BYTES, 2 * ROW_BYTES);
    wait_for(&r, 2);
    T_EQ(fakecuda()->n_pageable(), r.n_pageable);
    T_EQ(fakecuda()->n_calls("cuMemHostAlloc") - r.n_locked, 1);
    parla_device_info info = {.size = sizeof info};
    T_OK(pl_devices_query(&r.devices, 1, &info));
    T_EQ(info.most_staging_bytes, 0);
    device->backend->host_free(device->handle, locked, (size_t)N_ROWS * ROW_BYTES);
    rig_close(&r);
}

/* More copies than there are buffers, held up by the driver: nobody's thread waits, and the bound is kept. */
T_TEST(the_bound_is_kept)
{
    rig r;
    rig_open(&r);
    memset(r.here, 9, (size_t)N_ROWS * ROW_BYTES);
    fakecuda()->pause(true);
    for (int i = 0; i < N_COPIES; i++)
        copy_in(&r, r.here, 2 * ROW_BYTES);
    parla_device_info info = {.size = sizeof info};
    T_OK(pl_devices_query(&r.devices, 1, &info));
    T_EQ(info.staging_bytes, r.devices.list[1].traits.staging.limit_bytes);
    T_EQ(pl_load_acquire(&r.n_done), 0);
    fakecuda()->pause(false);
    wait_for(&r, N_COPIES);
    T_OK(pl_devices_query(&r.devices, 1, &info));
    T_EQ(info.most_staging_bytes, r.devices.list[1].traits.staging.limit_bytes);
    T_EQ(pl_load_relaxed(&r.n_failed), 0);
    T_EQ(fakecuda()->n_pageable(), r.n_pageable);
    rig_close(&r);
}

/* A host that gives no page-locked memory makes copies slow, not wrong. */
T_TEST(without_page_locked_memory_copies_go_on)
{
    rig r;
    rig_open(&r);
    unsigned char *back = r.here + 2 * ROW_BYTES;
    parla_instance dst = box(1, r.there, 2, ROW_BYTES), from = box(0, r.here, 2, ROW_BYTES), to = box(0, back, 2, ROW_BYTES);
    memset(r.here, 33, 2 * ROW_BYTES);
    memset(back, 0, 2 * ROW_BYTES);
    fakecuda()->fail_call("cuMemHostAlloc", 1, 2);
    T_OK(pl_copy_async(&r.devices, &dst, &from, note, &r));
    wait_for(&r, 1);
    T_EQ(fakecuda()->n_pageable() - r.n_pageable, 1);
    T_OK(pl_copy_async(&r.devices, &to, &dst, note, &r)); /* it has some again */
    wait_for(&r, 2);
    T_EQ(fakecuda()->n_pageable() - r.n_pageable, 1);
    T_EQ(pl_load_relaxed(&r.n_failed), 0);
    T_EQ_MEM(back, r.here, 2 * ROW_BYTES);
    rig_close(&r);
}

/* A piece that fails ends its copy with that, and those that wait behind it; all buffers come back. */
T_TEST(a_failure_under_way_ends_all_copies)
{
    rig r;
    rig_open(&r);
    memset(r.here, 9, (size_t)N_ROWS * ROW_BYTES);
    fakecuda()->pause(true);
    fakecuda()->fail_work(3, 700);
    for (int i = 0; i < N_COPIES; i++)
        copy_in(&r, r.here, 2 * ROW_BYTES);
    fakecuda()->pause(false);
    wait_for(&r, N_COPIES);
    T_EQ(pl_load_relaxed(&r.n_failed), N_COPIES);
    rig_close(&r);
}

T_TEST(a_call_that_fails_ends_its_copy_alone)
{
    rig r;
    rig_open(&r);
    memset(r.here, 9, (size_t)N_ROWS * ROW_BYTES);
    fakecuda()->fail_call("cuMemcpyHtoDAsync", 2, 1);
    copy_in(&r, r.here, 2 * ROW_BYTES);
    wait_for(&r, 1);
    T_EQ(pl_load_relaxed(&r.n_failed), 1);
    copy_in(&r, r.here, 2 * ROW_BYTES);
    wait_for(&r, 2);
    T_EQ(pl_load_relaxed(&r.n_failed), 1);
    rig_close(&r);
}
