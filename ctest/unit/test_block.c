/* test_block.c - memory that bodies take: accounts, reservations, room, and blocks that outlive their task and their runtime. */
#include "placed_fixture.h"

#include <stdio.h>
#include <string.h>

enum { KIB = 1024 };

typedef struct taking {
    size_t n_bytes;
    bool keeps;
    int rc;
    char words[256];
    parla_block *block;
    parla_device_info inside;
} taking;

static int take_block(parla_context *context, void *arg)
{
    taking *self = arg;
    self->rc = parla_block_create(&self->block, context, 0, self->n_bytes);
    snprintf(self->words, sizeof self->words, "%s", parla_error_detail());
    if (self->rc == 0) {
        memset(parla_block_memory(self->block), 7, self->n_bytes);
        self->inside = device_info(parla_context_runtime(context), parla_context_device(context, 0));
        if (!self->keeps)
            parla_block_destroy(self->block);
    }
    return 0;
}

static void take_on_gpu(parla_runtime *rt, taking *self, size_t reserved_bytes)
{
    parla_demand demand = on_gpu(0);
    demand.memory_bytes = reserved_bytes;
    T_OK(finish(rt, spawn(rt, take_block, self, demand, NULL, 0)));
}

T_TEST(a_block_counts_as_used)
{
    parla_runtime *rt = start("sim:1,mem=64KiB");
    taking self = {.n_bytes = 10 * KIB};
    take_on_gpu(rt, &self, 0);
    T_OK(self.rc);
    T_EQ(self.inside.used_bytes, 10 * KIB);
    T_EQ(device_info(rt, 1).used_bytes, 0);
    parla_runtime_destroy(rt);
}

T_TEST(what_was_reserved_is_not_counted_twice)
{
    parla_runtime *rt = start("sim:1,mem=64KiB");
    taking self = {.n_bytes = 30 * KIB};
    take_on_gpu(rt, &self, 40 * KIB);
    T_OK(self.rc);
    T_EQ(self.inside.used_bytes, 30 * KIB);
    T_EQ(self.inside.reserved_bytes, 10 * KIB);
    self.n_bytes = 50 * KIB; /* 40 of them reserved */
    take_on_gpu(rt, &self, 40 * KIB);
    T_OK(self.rc);
    T_EQ(self.inside.used_bytes, 50 * KIB);
    T_EQ(self.inside.reserved_bytes, 0);
    T_EQ(device_info(rt, 1).used_bytes + device_info(rt, 1).reserved_bytes, 0);
    parla_runtime_destroy(rt);
}

/* A loop with a temporary draws its reservation again and again. */
static int take_often(parla_context *context, void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++) {
        parla_block *block;
        T_OK(parla_block_create(&block, context, 0, 30 * KIB));
        T_EQ(device_info(parla_context_runtime(context), 1).reserved_bytes, 2 * KIB);
        parla_block_destroy(block);
        T_EQ(device_info(parla_context_runtime(context), 1).reserved_bytes, 32 * KIB);
    }
    return 0;
}

T_TEST(a_reservation_is_drawn_again)
{
    parla_runtime *rt = start("sim:1,mem=64MiB");
    parla_demand demand = on_gpu(0);
    demand.memory_bytes = 32 * KIB;
    T_OK(finish(rt, spawn(rt, take_often, NULL, demand, NULL, 0)));
    parla_runtime_destroy(rt);
}

T_TEST(more_than_there_is_is_refused_with_words)
{
    parla_runtime *rt = start("sim:1,mem=64KiB");
    taking self = {.n_bytes = 100 * KIB};
    take_on_gpu(rt, &self, 0);
    T_EQ(self.rc, PARLA_E_DEVICE_MEMORY);
    T_HAS_STR(self.words, "102400 bytes of gpu[0] (sim)");
    T_EQ(device_info(rt, 1).used_bytes, 0);
    parla_runtime_destroy(rt);
}

/* Copies of arrays that are on the host, too, make room; those that are current on the device alone do not. */
T_TEST(spare_copies_make_room)
{
    unsigned char memory[40 * KIB] = {1}, seen = 0;
    parla_runtime *rt = start("sim:1,mem=64KiB");
    parla_data *data = make_array("x", memory, sizeof memory);
    T_OK(finish(rt, spawn(rt, load_byte, &seen, on_gpu(0), data, PARLA_IN)));
    T_EQ(device_info(rt, 1).used_bytes, 40 * KIB);
    taking self = {.n_bytes = 50 * KIB};
    take_on_gpu(rt, &self, 0);
    T_OK(self.rc);
    T_EQ(self.inside.used_bytes, 50 * KIB);
    T_OK(finish(rt, spawn(rt, increment, NULL, on_gpu(0), data, PARLA_INOUT)));
    take_on_gpu(rt, &self, 0);
    T_EQ(self.rc, PARLA_E_DEVICE_MEMORY);
    parla_runtime_destroy(rt);
    T_EQ(memory[0], 2);
    parla_data_unref(data);
}

/* A block that somebody holds is no reason to wait: nobody here will ever give it back. */
T_TEST(a_block_that_is_held_does_not_let_tasks_wait_for_ever)
{
    parla_runtime *rt = start("sim:1,mem=64KiB");
    taking self = {.n_bytes = 50 * KIB, .keeps = true};
    take_on_gpu(rt, &self, 0);
    T_OK(self.rc);
    parla_demand demand = on_gpu(0);
    demand.memory_bytes = 20 * KIB;
    T_EQ(finish(rt, spawn(rt, do_nothing, NULL, demand, NULL, 0)), PARLA_E_DEVICE_MEMORY);
    T_HAS_STR(parla_error_detail(), "blocks of bodies 51200");
    parla_block_destroy(self.block);
    T_OK(finish(rt, spawn(rt, do_nothing, NULL, demand, NULL, 0)));
    parla_runtime_destroy(rt);
}

T_TEST(a_block_outlives_its_runtime)
{
    parla_runtime *rt = start("sim:1,mem=64KiB");
    taking self = {.n_bytes = 10 * KIB, .keeps = true};
    take_on_gpu(rt, &self, 10 * KIB);
    T_OK(self.rc);
    T_EQ(device_info(rt, 1).used_bytes, 10 * KIB);
    T_EQ(device_info(rt, 1).reserved_bytes, 0);
    parla_runtime_destroy(rt);
    T_EQ(((unsigned char *)parla_block_memory(self.block))[10 * KIB - 1], 7);
    parla_block_destroy(self.block);
    parla_block_destroy(NULL);
}

T_TEST(a_cpu_task_has_blocks_too)
{
    parla_runtime *rt = start("cpu");
    taking self = {.n_bytes = 10 * KIB};
    parla_task task;
    T_OK(parla_spawn(rt, &task, take_block, &self, NULL, 0));
    T_OK(finish(rt, task));
    T_OK(self.rc);
    parla_runtime_destroy(rt);
}
