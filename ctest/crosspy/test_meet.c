/* Ranks that meet: records, streams that differ, calls that time out. */
#include "flows.h"

#include <string.h>

typedef unsigned char record[CX_RECORD_BYTES];

/* All ranks meet, each a little at a time; `out` has the records that the last rank got. Returns whether the streams are the same. */
static bool meet(flows *f, uint64_t first, record out[MAX_RANKS])
{
    bool has_met[MAX_RANKS] = {false}, is_same = true;
    t_wait wait = t_wait_begin("all ranks have met", 20000);
    for (int n_met = 0; n_met < f->hub.n_ranks;) {
        for (int r = f->hub.n_ranks - 1; r >= 0; r--) {
            record mine = {0};
            bool is_mine_same = true;
            uint64_t value = first + (uint64_t)r;
            memcpy(mine, &value, sizeof value);
            int code = has_met[r] ? PARLA_E_TIMEOUT : cx_flow_meet(f->flow[r], mine, out, &is_mine_same, 0);
            if (code != PARLA_E_TIMEOUT) {
                T_OK(code);
                is_same &= is_mine_same;
                has_met[r] = true;
                n_met++;
            }
        }
        t_wait_step(&wait);
    }
    t_wait_end(&wait);
    return is_same;
}

T_TEST(everybody_gets_the_records_of_all)
{
    for (int n = 1; n <= MAX_RANKS; n++) {
        flows f;
        record records[MAX_RANKS];
        flows_open(&f, n, 2, NULL);
        for (uint64_t round = 0; round < 3; round++) {
            T_TRUE(meet(&f, 100 * round, records));
            for (int r = 0; r < n; r++) {
                uint64_t value;
                memcpy(&value, records[r], sizeof value);
                T_EQ(value, 100 * round + (uint64_t)r);
            }
        }
        flows_close(&f);
    }
}

T_TEST(ranks_that_diverge_are_named)
{
    flows f;
    record records[MAX_RANKS];
    step s = {CX_OWNER, 1, {0, 0, 0}, {PARLA_OUT, 0, 0}, 1, 0}, other = {CX_OWNER, 1, {0, 0, 0}, {PARLA_OUT, 0, 0}, 1, 0};
    parla_task task;
    flows_open(&f, 4, 4, NULL);
    flows_spawn(&f, &s, NULL);
    T_TRUE(meet(&f, 0, records));
    flows_walk(&f, 2, &other, &task); /* rank 2 alone */
    T_FALSE(meet(&f, 0, records));
    T_HAS_STR(parla_error_detail(), "rank 2 has not made the same collective calls as rank 0");
    T_HAS_STR(parla_error_detail(), "2 spawns and assignments, where rank 0 has made 1");
    for (int r = 0; r < 4; r++) { /* the others do something else instead */
        other.block[0] = 3;
        if (r != 2) {
            flows_walk(&f, r, &other, &task);
        }
    }
    T_FALSE(meet(&f, 0, records));
    T_HAS_STR(parla_error_detail(), "rank 2 has");
    T_HAS_STR(parla_error_detail(), "as many, but others");
    flows_close(&f);
}
