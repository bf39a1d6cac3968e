/* access.c - last writer, readers since, and who waits for whom. The rules are in access.h. */
#include "data/access.h"

#include "base/break.h"
#include "base/compiler.h"

static void wait_for(pl_use *before, pl_use *use, pl_wait *wait)
{
    wait->follower = use;
    wait->next = before->followers;
    before->followers = wait;
    use->n_before++;
}

/* A writer waits for the readers since the last writer, and for that writer itself: it may have outlived them as a ghost, and what
 * it leaves behind is this one's content. */
size_t pl_order_n_waits(const pl_order *order, int mode)
{
    size_t n = order->writer != NULL;
    if ((mode & PARLA_OUT) && !pl_is_broken(PL_BREAK_READERS))
        for (const pl_use *reader = order->readers; reader; reader = reader->next)
            n++;
    return n;
}

static void list_reader(pl_order *order, pl_use *use)
{
    use->prev = NULL;
    use->next = order->readers;
    if (use->next)
        use->next->prev = use;
    order->readers = use;
    use->is_listed = true;
}

static void unlist_reader(pl_order *order, pl_use *use)
{
    if (use->prev)
        use->prev->next = use->next;
    else
        order->readers = use->next;
    if (use->next)
        use->next->prev = use->prev;
    use->is_listed = false;
}

void pl_order_enter(pl_order *order, pl_use *use, pl_wait *waits)
{
    use->n_before = 0;
    if (order->writer)
        wait_for(order->writer, use, waits++);
    if (!(use->order_mode & PARLA_OUT)) {
        list_reader(order, use);
        return;
    }
    while (order->readers) {
        pl_use *reader = order->readers;
        if (!pl_is_broken(PL_BREAK_READERS))
            wait_for(reader, use, waits++);
        unlist_reader(order, reader);
    }
    order->writer = use;
}

void pl_order_leave(pl_order *order, pl_use *use, pl_use **out_free)
{
    PL_ASSERT(use->n_before == 0 && !use->has_left);
    if (use->is_listed)
        unlist_reader(order, use);
    if (order->writer == use)
        order->writer = NULL;
    use->has_left = true;
    for (pl_wait *wait = use->followers; wait; wait = wait->next) {
        if (--wait->follower->n_before > 0)
            continue;
        wait->follower->next_left = *out_free;
        *out_free = wait->follower;
    }
    use->followers = NULL;
}
