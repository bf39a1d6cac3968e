"""Synthetic graphs, logical devices, partitions of graphs."""

import time

import numpy as np
import parla
import pytest
from parla import array, gpu, ldevice, partitioning, spawn
from parla.utility import execute, graphs, threads

QUICK = graphs.TaskConfigs({0: graphs.TaskConfig(task_time=20, gil_accesses=2, gil_fraction=0.5, device_fraction=0.5)})
CONFIGS = [
    graphs.IndependentConfig(QUICK, task_count=20),
    graphs.SerialConfig(QUICK, steps=8, chains=2, dependency_count=2),
    graphs.ReductionConfig(QUICK, levels=3, branch_factor=2, data_bytes=64),
    graphs.ReductionConfig(QUICK, levels=2, branch_factor=3),
    graphs.ReductionScatterConfig(QUICK, levels=3, task_count=5, data_bytes=64),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_generated_graphs_run_in_order(rt, config):
    with execute.GraphContext(config, "g") as g:
        record = g.run(timeout=60)
        assert execute.verify_order(record, g.graph)
        assert execute.verify_dependencies(record, g.graph)
        assert execute.verify_complete(record, g.graph)
        assert execute.verify_ntasks(record, g.graph)
        assert execute.verify_time(record, g.graph)
        assert execute.verify_states(record)


def test_sizes_of_generated_graphs(tmp_path):
    def count(config):
        with execute.GraphContext(config, "g", tmp_path / "g.gph") as g:
            return len(g.graph), len(g.data_config), sum(len(task.task_dependencies) for task in g.graph.values())

    assert count(CONFIGS[0]) == (20, 0, 0)
    assert count(CONFIGS[1]) == (16, 0, 2 * (1 + 2 * 6))
    assert count(CONFIGS[2]) == (15, 8, 14)
    assert count(CONFIGS[4]) == (17, 5, 20)


def test_fixed_placement(sims):
    config = graphs.IndependentConfig(graphs.TaskConfigs({1: graphs.TaskConfig(task_time=5)}), True, 2, task_count=4)
    with execute.GraphContext(config, "g") as g:
        assert [next(iter(task.task_runtime)) for task in g.graph.values()] == [2, 3, 2, 3]
        assert execute.verify_complete(g.run(), g.graph)


def test_reading_a_file(tmp_path):
    path = tmp_path / "g.gph"
    first = "0 | { 0 : 5, 0.5, 1, 0.25, 16 }, { 3 : 4, 1, 1, 0, 0 } | | 0 : 1 : "
    path.write_text(f"{{1024 : -1}}, {{8 : 1}}\n\n{first}\n(1, 2) | {{0 : 1, 1, 1, 0, 0}} | 0 | : : 1\n")
    data, tasks = graphs.read_pgraph(path)
    assert data == {0: graphs.DataInfo(0, 1024, -1), 1: graphs.DataInfo(1, 8, 1)}
    assert list(tasks) == [(0,), (1, 2)]
    assert tasks[0,].task_runtime == {0: graphs.TaskConfig(5, 0.5, 1, 0.25, 16), 3: graphs.TaskConfig(4, 1, 1, 0, 0)}
    assert tasks[0,].data_dependencies == graphs.TaskDataInfo((0,), (1,), ())
    assert tasks[1, 2].task_dependencies == ((0,),)
    assert tasks[1, 2].data_dependencies == graphs.TaskDataInfo((), (), (1,))
    assert sorted(graphs.shuffle_tasks(tasks, seed=1)) == sorted(tasks)


@pytest.mark.parametrize(
    ("line", "words"),
    [("x | {0:1,1,1,0,0} | |", "line 2"), ("0 | | |", "no device"), ("0 | {0:1} | |", "line 2"), ("0 | {0:1,1,1,0,0} | 7 |", "depends on")],
)
def test_bad_files(tmp_path, line, words):
    path = tmp_path / "g.gph"
    path.write_text("\n" + line + "\n")
    with pytest.raises(ValueError, match=words):
        graphs.read_pgraph(path)


def test_no_binary_log():
    with pytest.raises(NotImplementedError, match="trace"):
        graphs.parse_blog()


def test_propagate():
    def fail():
        raise KeyError("inside")

    thread = threads.Propagate(target=pow, args=(2, 3))
    thread.start()
    assert thread.join() == 8
    thread = threads.Propagate(target=fail)
    thread.start()
    with pytest.raises(KeyError):
        thread.join()


def test_timeout():
    assert execute.timeout(60)(lambda: 7)() == 7
    with pytest.raises(TimeoutError, match="lambda"):
        execute.timeout(0.01)(lambda: time.sleep(0.3))()


# --- Logical devices ---


def test_sequence(sims):
    parts = ldevice.LDeviceSequenceBlocked(5, placement=gpu)
    assert [device.number for device in parts.assignments.values()] == [0, 0, 0, 1, 1]
    assert [parts.slice(i, 12) for i in range(5)] == [slice(0, 3), slice(3, 6), slice(6, 8), slice(8, 10), slice(10, 12)]
    assert parts.slice(1, 12, overlap=1) == slice(2, 7)
    assert list(parts.partition(lambda i, device: (i, device.number))) == [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1)]
    assert list(parts.partition(lambda i: i).map(lambda i: i * i)) == [0, 1, 4, 9, 16]
    a = np.zeros(3)
    assert parts.memory(0)(a) is a


def test_partitions_are_views(sims):
    whole = array.asarray(np.arange(12.0))
    parts = ldevice.LDeviceSequenceBlocked(3, placement=gpu)
    pieces = parts.partition_tensor(whole)
    for i in range(3):

        @spawn(inout=[pieces[i]], placement=parts.device(i))
        def double():
            pieces[i].array[:] *= 2

    assert np.array_equal(whole, 2 * np.arange(12.0))
    plain = np.arange(12.0)
    assert all(np.shares_memory(piece, plain) for piece in parts.partition_tensor(plain, overlap=2))


def test_grids(sims):
    def numbers(grid):
        return [[grid.device(i, j).number for j in range(grid.shape[1])] for i in range(grid.shape[0])]

    assert numbers(ldevice.LDeviceGridBlocked(2, 4, placement=gpu)) == [[0, 0, 1, 1]] * 2
    assert numbers(ldevice.LDeviceGridRaveled(2, 4, placement=gpu)) == [[0] * 4, [1] * 4]
    assert numbers(ldevice.LDeviceGridArbitrary(lambda i, j: gpu((i + j) % 2), 2, 2)) == [[0, 1], [1, 0]]
    assert ldevice.LDeviceSequenceArbitrary([gpu(1), gpu(0)]).device(0) == gpu(1)
    grid = ldevice.LDeviceGridBlocked(2, 3, placement=gpu)
    assert (grid.slice_x(1, 4), grid.slice_y(0, 7)) == (slice(2, 4), slice(0, 3))
    pieces = grid.partition_tensor(np.arange(28).reshape(4, 7))
    assert pieces.shape == (2, 3)
    assert np.array_equal(np.block([[pieces[i, j] for j in range(3)] for i in range(2)]), np.arange(28).reshape(4, 7))
    with pytest.raises(ValueError, match="dimensions"):
        grid.partition_tensor(np.arange(3))
    with pytest.raises(ValueError, match="at least one"):
        ldevice.LDeviceSequenceBlocked(0)
    with pytest.raises(IndexError):
        pieces[9, 9] = 1


# --- Sparse graphs ---


def test_partitions_of_a_graph(rng):
    n, n_parts = 30, 4
    dense = np.array([[rng.random() < 0.2 for _ in range(n)] for _ in range(n)])
    sources, targets = np.nonzero(dense)
    indptr = np.concatenate([[0], np.cumsum(dense.sum(axis=1))])
    parts = partitioning.BlockedPartitioner(n_parts).partition(indptr, targets)
    assert sorted(node for part in parts for node in part.nodes[: part.n_owned]) == list(range(n))
    found = set()
    for part in parts:
        for i, node in enumerate(part.nodes):
            found |= {(node, part.nodes[j]) for j in part.indices[part.indptr[i] : part.indptr[i + 1]]}
    assert found == set(zip(sources, targets))
    assert len(found) == sum(len(part.indices) for part in parts)


def test_partitions_of_a_sparse_matrix():
    sparse = pytest.importorskip("scipy.sparse")

    class OwnersOfSources(partitioning.PartitioningAlgorithm):
        n_partitions = 2

        def get_vertex_master(self, vertex_id):
            return vertex_id * 2 // self.graph_properties.n_vertices

        def get_edge_master(self, src_id, dst_id):
            return self.vertex_masters[src_id]

    dense = np.array([[5, 1, 0, 0, 0], [0, 0, 2, 0, 0], [0, 0, 0, 0, 3], [0, 4, 0, 0, 0], [6, 0, 0, 7, 0]])
    algorithm = OwnersOfSources()
    parts = algorithm.partition(sparse.csr_matrix(dense))
    assert algorithm.graph_properties.n_edges == 7
    assert algorithm.graph_properties.in_degree.tolist() == [2, 2, 1, 1, 1]
    assert [part.vertex_masters.tolist() for part in parts] == [[0, 0, 0, 1, 1]] * 2
    whole = np.zeros_like(dense)
    for number, part in enumerate(parts):
        ids = part.vertex_global_ids
        assert ids.tolist() == sorted(set(ids))
        whole[np.ix_(ids, ids)] += part.edges.toarray()
        assert np.array_equal(part.edge_masters.toarray(), (part.edges.toarray() != 0) * (number + 1))
    assert np.array_equal(whole, dense)
    with pytest.raises(ValueError, match="square"):
        algorithm.partition(sparse.csr_matrix(np.ones((2, 3))))
    OwnersOfSources.n_partitions = 1
    with pytest.raises(ValueError, match="get_vertex_master"):
        algorithm.partition(sparse.csr_matrix(dense))
    OwnersOfSources.neighborhood_size = 2
    with pytest.raises(parla.UnsupportedError, match="neighborhood_size"):
        algorithm.partition(sparse.csr_matrix(dense))


def test_bad_partitioners():
    class Wrong(partitioning.GraphPartitioner):
        def place_nodes(self, nodes, n_nodes):
            return nodes

    with pytest.raises(ValueError, match="place_nodes"):
        Wrong(2).partition([0, 0, 0, 0, 0], [])
    with pytest.raises(ValueError, match="n_parts"):
        Wrong(0)
    with pytest.raises(NotImplementedError):
        partitioning.GraphPartitioner(1).partition([0, 0], [])
    assert parla.partitioning is partitioning
