/* test_piece.c - which regions of a task share an instance, and what they take on a device: without a runtime's tasks. */
#include "placed_fixture.h"
#include "sched/placed.h"

enum { N_PARTS = 12, N = 16 };

typedef struct fixture {
    parla_data *data;
    pl_use use;
    pl_part parts[N_PARTS];
    pl_span boxes[N_PARTS][2];
    pl_placed *placed;
} fixture;

static void set_up(fixture *f)
{
    parla_data_options options = PARLA_DATA_OPTIONS_INIT;
    memset(f, 0, sizeof *f);
    options.host = (parla_strided){.item_bytes = 8, .ndim = 2, .extent = {N, N}};
    T_OK(parla_data_create(&f->data, &options));
    f->use = (pl_use){.data = f->data};
    f->placed = calloc(1, sizeof *f->placed);
    f->placed->parts = f->parts;
    f->placed->uses = &f->use;
    f->placed->n_uses = 1;
}

static void tear_down(fixture *f)
{
    parla_data_unref(f->data);
    free(f->placed);
}

/* Rows [r, r + n_r) and columns [c, c + n_c). */
static pl_part *add(fixture *f, int mode, int64_t r, int64_t n_r, int64_t c, int64_t n_c)
{
    size_t i = f->placed->n_accesses++;
    f->boxes[i][0] = (pl_span){r, n_r, 1};
    f->boxes[i][1] = (pl_span){c, n_c, 1};
    f->parts[i] = (pl_part){.use = &f->use, .mode = (uint8_t)mode, .box = f->boxes[i]};
    pl_piece_add(&f->parts[i]);
    return &f->parts[i];
}

static int count_pieces(const fixture *f)
{
    int n = 0;
    for (const pl_part *lead = f->use.leads; lead; lead = lead->next_lead) {
        T_EQ_PTR(lead->lead, lead);
        n++;
    }
    return n;
}

T_TEST(what_is_read_only_may_lie_apart)
{
    fixture f;
    set_up(&f);
    add(&f, PARLA_IN, 0, 4, 0, 4);
    add(&f, PARLA_IN, 2, 4, 2, 4);
    T_EQ(count_pieces(&f), 2);
    add(&f, PARLA_IN, 3, 2, 3, 2); /* inside the second */
    T_EQ(count_pieces(&f), 2);
    tear_down(&f);
}

T_TEST(what_is_written_lies_with_all_that_meets_it)
{
    fixture f;
    set_up(&f);
    pl_part *a = add(&f, PARLA_IN, 0, 4, 0, 4), *b = add(&f, PARLA_IN, 8, 4, 8, 4), *c = add(&f, PARLA_OUT, 3, 6, 3, 6);
    T_EQ(count_pieces(&f), 1);
    pl_pieces_close(f.placed);
    T_TRUE(a->lead == b->lead && b->lead == c->lead);
    T_EQ(pl_box_bytes(f.data, a->lead->box), 8 * 12 * 12);
    pl_part *d = add(&f, PARLA_OUT, 12, 2, 12, 2);
    T_EQ(count_pieces(&f), 2);
    T_EQ_PTR(d->lead, d);
    tear_down(&f);
}

T_TEST(the_whole_array_takes_in_all)
{
    fixture f;
    set_up(&f);
    add(&f, PARLA_IN, 0, 4, 0, 4);
    add(&f, PARLA_IN, 8, 4, 0, 4);
    pl_part *all = &f.parts[f.placed->n_accesses++];
    *all = (pl_part){.use = &f.use, .mode = PARLA_IN};
    pl_piece_add(all);
    T_EQ(count_pieces(&f), 1);
    T_TRUE(f.use.leads->box == NULL);
    T_EQ(pl_box_bytes(f.data, NULL), 8 * N * N);
    tear_down(&f);
}

/* Random parts beside the rule, pair by pair: where one of two that meet is written they lie together, inside of their piece's box. */
T_TEST(random_parts)
{
    t_rng rng = {t_seed()};
    for (int round = 0; round < 500; round++) {
        fixture f;
        pl_span own[N_PARTS][2];
        set_up(&f);
        for (int i = 0; i < N_PARTS; i++) {
            for (int k = 0; k < 2; k++)
                own[i][k] = (pl_span){(int64_t)t_below(&rng, N - 4), 1 + (int64_t)t_below(&rng, 4), 1};
            add(&f, 1 + (int)t_below(&rng, 3), own[i][0].start, own[i][0].n, own[i][1].start, own[i][1].n);
        }
        pl_pieces_close(f.placed);
        for (int i = 0; i < N_PARTS; i++) {
            const pl_part *lead = f.parts[i].lead;
            for (int k = 0; k < 2; k++) {
                T_LE(lead->box[k].start, own[i][k].start);
                T_GE(pl_span_last(&lead->box[k]), pl_span_last(&own[i][k]));
            }
            for (int k = 0; k < i; k++)
                if (((f.parts[i].mode | f.parts[k].mode) & PARLA_OUT) && pl_spans_meet(own[i], own[k], 2))
                    T_EQ_PTR(f.parts[k].lead, lead);
        }
        tear_down(&f);
    }
}
