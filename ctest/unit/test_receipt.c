/* test_receipt.c - what a run's receipt says: bytes by cause, evictions, overlap, in numbers, words and JSON. */
#include "placed_fixture.h"

enum { KIB = 1024 };

static parla_receipt receipt_of(parla_runtime *rt)
{
    parla_receipt receipt = {.size = sizeof receipt};
    T_OK(parla_receipt_query(rt, &receipt));
    return receipt;
}

T_TEST(nothing_was_moved)
{
    char text[1024];
    parla_runtime *rt = start("sim:1");
    parla_receipt receipt = receipt_of(rt);
    T_EQ(receipt.n_copies + receipt.n_bytes + receipt.n_evictions + receipt.copy_ns, 0);
    T_EQ(parla_receipt_print(rt, PARLA_RECEIPT_JSON, text, sizeof text), strlen(text));
    T_EQ_STR(text,
             "{\"copies\": 0, \"bytes\": 0, \"least_bytes\": 0, \"bytes_for_room\": 0, \"evictions\": 0, \"evicted_bytes\": 0, "
             "\"copy_ns\": 0, \"overlap_ns\": 0, \"links\": []}");
    receipt.size = 3;
    T_EQ(parla_receipt_query(rt, &receipt), PARLA_E_INVALID);
    parla_runtime_destroy(rt);
}

/* Room for one array: the first is written back for the second, and fetched again. */
T_TEST(lack_of_memory_is_told_apart)
{
    unsigned char value = 5, seen = 0;
    static unsigned char b_memory[40 * KIB];
    char text[1024], json[1024];
    parla_runtime *rt = start("sim:1,mem=64KiB");
    parla_data *a = make_array("a", NULL, 40 * KIB), *b = make_array("b", b_memory, 40 * KIB);
    T_OK(finish(rt, spawn(rt, store_byte, &value, on_gpu(0), a, PARLA_OUT)));
    T_OK(finish(rt, spawn(rt, load_byte, &seen, on_gpu(0), b, PARLA_IN)));
    parla_receipt receipt = receipt_of(rt);
    T_EQ(receipt.n_bytes, 80 * KIB);
    T_EQ(receipt.n_bytes_for_room, 40 * KIB);
    T_EQ(receipt.n_evictions, 1);
    T_EQ(receipt.n_evicted_bytes, 40 * KIB);
    T_OK(finish(rt, spawn(rt, load_byte, &seen, on_gpu(0), a, PARLA_IN)));
    receipt = receipt_of(rt);
    T_EQ(receipt.n_copies, 3);
    T_EQ(receipt.n_bytes, 120 * KIB);
    T_EQ(receipt.n_bytes_for_room, 80 * KIB);
    T_EQ(receipt.n_evictions, 2);
    T_GT(receipt.copy_ns, 0);
    parla_receipt_print(rt, PARLA_RECEIPT_TEXT, text, sizeof text);
    T_HAS_STR(text, "moved: 122880 bytes in 3 copies; at least 40960 for where the tasks ran, 81920 for lack of memory");
    T_HAS_STR(text, "  cpu[0] -> gpu[0] (sim): 81920 bytes in 2 copies");
    T_HAS_STR(text, "evicted: 2 copies of 81920 bytes");
    parla_receipt_print(rt, PARLA_RECEIPT_JSON, json, sizeof json);
    T_HAS_STR(json, "\"least_bytes\": 40960, ");
    T_HAS_STR(json, "{\"from\": \"gpu[0] (sim)\", \"to\": \"cpu[0]\", \"copies\": 1, \"bytes\": 40960, ");
    parla_data_unref(a);
    parla_data_unref(b);
    parla_runtime_destroy(rt);
}

T_TEST(a_text_without_room_tells_its_length)
{
    char text[16], whole[1024];
    parla_runtime *rt = start("cpu");
    size_t n = parla_receipt_print(rt, PARLA_RECEIPT_TEXT, text, sizeof text);
    T_EQ(strlen(text), 15);
    T_EQ(parla_receipt_print(rt, PARLA_RECEIPT_TEXT, whole, sizeof whole), n);
    T_EQ(strlen(whole), n);
    T_EQ(strncmp(whole, text, 15), 0);
    T_EQ(parla_receipt_print(rt, PARLA_RECEIPT_TEXT, NULL, 0), n);
    parla_runtime_destroy(rt);
}

/* A copy while no body runs, and one beside a body that runs all the time: of the first nothing counts as overlap, of the second all. */
T_TEST(overlap_is_seen)
{
    unsigned char memory[64] = {1}, other[64] = {1}, seen = 0;
    gate closed = GATE_INIT;
    parla_runtime *rt = start("sim:1");
    parla_data *data = make_array("x", memory, 64), *more = make_array("y", other, 64);
    T_OK(finish(rt, spawn(rt, load_byte, &seen, on_gpu(0), more, PARLA_IN)));
    parla_receipt alone = receipt_of(rt);
    T_GT(alone.copy_ns, 0);
    T_EQ(alone.overlap_ns, 0);
    parla_task slow = spawn(rt, pass_gate, &closed, on_cpu(), NULL, 0);
    T_EVENTUALLY(parla_task_query(slow) == PARLA_TASK_RUNNING, 5000);
    T_OK(finish(rt, spawn(rt, load_byte, &seen, on_gpu(0), data, PARLA_IN)));
    gate_open(&closed);
    T_OK(finish(rt, slow));
    parla_receipt both = receipt_of(rt);
    T_GT(both.copy_ns, alone.copy_ns);
    T_EQ(both.overlap_ns, both.copy_ns - alone.copy_ns);
    parla_data_unref(data);
    parla_data_unref(more);
    parla_runtime_destroy(rt);
}
