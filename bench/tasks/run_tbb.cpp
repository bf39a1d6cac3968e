// run_tbb.cpp - oneTBB: task_group for tasks without dependencies and trees, a flow graph for the others, built, run and freed; the kept
// graph of the replay is run only. Graph nodes start when the graph is fed, so none runs before all are there.
#include "tasks/work.h"

#include <atomic>
#include <memory>
#include <tbb/flow_graph.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>
#include <vector>

namespace
{
using node = tbb::flow::continue_node<tbb::flow::continue_msg>;

int n_threads;
std::unique_ptr<tbb::global_control> control;
std::unique_ptr<tbb::task_arena> arena;
std::unique_ptr<tbb::task_group> group;
std::unique_ptr<tbb::flow::graph> graph;
std::vector<std::unique_ptr<node>> nodes;
std::vector<node *> roots;
node *slots[TK_SLOTS];
std::atomic<bool> is_closed;
std::atomic<int> n_at_gate;

inline void spawn(long i, long slot, const long *deps, int n_deps)
{
    if (slot < 0 && n_deps == 0) {
        group->run([i] { tk_run(i); });
        return;
    }
    nodes.emplace_back(new node(*graph, [i](const tbb::flow::continue_msg &) {
        tk_run(i);
        return tbb::flow::continue_msg();
    }));
    node *made = nodes.back().get();
    for (int k = 0; k < n_deps; k++) {
        tbb::flow::make_edge(*slots[deps[k]], *made);
    }
    if (n_deps == 0) {
        roots.push_back(made);
    }
    if (slot >= 0) {
        slots[slot] = made;
    }
}

void run_graph()
{
    for (node *root : roots) {
        root->try_put(tbb::flow::continue_msg());
    }
    graph->wait_for_all();
}

void wait_all()
{
    group->wait();
    if (!nodes.empty()) {
        run_graph();
        roots.clear();
        nodes.clear();
        graph.reset(new tbb::flow::graph);
    }
}

// The main thread runs nothing until it waits; the other ones are held here.
void gate(bool is_open)
{
    is_closed = !is_open;
    if (is_open) {
        return;
    }
    n_at_gate = 0;
    for (int i = 1; i < n_threads; i++) {
        group->run([] {
            n_at_gate++;
            while (is_closed) {
            }
        });
    }
    while (n_at_gate < n_threads - 1) {
    }
}

#include "tasks/feed.h"

void fork_tasks(long depth)
{
    tk_run(0);
    if (depth == 0) {
        return;
    }
    tbb::task_group children;
    children.run([depth] { fork_tasks(depth - 1); });
    children.run([depth] { fork_tasks(depth - 1); });
    children.wait();
}

void produce(long first)
{
    for (long i = first; i < tk.n; i += TK_PRODUCERS) {
        group->run([i] { tk_run(i); });
    }
}

double run_inside(tk_shape shape)
{
    if (shape == TK_REPLAY && nodes.empty()) {
        feed_stencil(0);
    }
    double begin_ns = bench_now_ns();
    if (shape == TK_FORKJOIN) {
        fork_tasks(tk_depth(tk.n));
    } else if (shape == TK_PRODUCERS_SHAPE) {
        for (long p = 0; p < TK_PRODUCERS; p++) {
            group->run([p] { produce(p); });
        }
        group->wait();
    } else if (shape == TK_RANGE) {
        tbb::parallel_for(0L, tk.n, [](long i) { tk_run(i); }, tbb::simple_partitioner());
    } else if (shape == TK_REPLAY) {
        run_graph();
    } else {
        return time_feed(shape);
    }
    return bench_now_ns() - begin_ns;
}

void start(int n_cores)
{
    n_threads = n_cores;
    control.reset(new tbb::global_control(tbb::global_control::max_allowed_parallelism, static_cast<size_t>(n_cores)));
    arena.reset(new tbb::task_arena(n_cores));
    arena->execute([] {
        group.reset(new tbb::task_group);
        graph.reset(new tbb::flow::graph);
    });
}

double run(tk_shape shape)
{
    double elapsed_ns = 0;
    arena->execute([&] { elapsed_ns = run_inside(shape); });
    return elapsed_ns;
}

void stop() {}
} // namespace

const tk_runner tk_tbb = {"onetbb", 5, 0, start, run, stop};
