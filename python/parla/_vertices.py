"""The published interface for cutting sparse matrices: a class that is asked for each vertex and edge. Part of `parla.partitioning`.

Slower than `GraphPartitioner`, which asks for all of them at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ._parla import UnsupportedError

if TYPE_CHECKING:
    from scipy.sparse import spmatrix

VertexID = PartitionID = int


class GraphProperties:
    """What is known of a graph, given as a square sparse matrix `A` of its edges: numbers of vertices and edges, degrees of each vertex."""

    def __init__(self, A: spmatrix) -> None:
        if A.shape[0] != A.shape[1]:
            raise ValueError(f"partition(A): expected a square matrix of edges, not one of shape {A.shape}")
        sources, targets = A.nonzero()
        self.A = A
        self.n_vertices = A.shape[0]
        self.n_edges = len(sources)
        self.in_degree = np.bincount(targets, minlength=self.n_vertices)
        self.out_degree = np.bincount(sources, minlength=self.n_vertices)


class Partition(NamedTuple):
    """One part of a graph.

    Attributes
    ----------
    edges : sparse matrix (n, n)
        Its edges, in local numbers of their ends.
    vertex_global_ids : int array (n,)
        Global numbers of the ends of its edges, ascending: from local to global.
    vertex_masters : int array (n_vertices,)
        The part that owns each vertex of the whole graph.
    edge_masters : sparse matrix (n, n)
        The part that has each edge, that is this one: 1 more than its number, since a zero is no entry.
    """

    edges: spmatrix
    vertex_global_ids: np.ndarray
    vertex_masters: np.ndarray
    edge_masters: spmatrix


class PartitioningAlgorithm(ABC):
    """Base class: a derived class says which part owns a vertex, and which has an edge.

    While it is asked for vertices, `graph_properties` is there; while it is asked for edges, `vertex_masters` is too.
    """

    graph_properties: GraphProperties
    vertex_masters: np.ndarray

    @property
    @abstractmethod
    def n_partitions(self) -> int:
        """How many parts there are."""

    @property
    def neighborhood_size(self) -> int:
        """How far from its edges a part knows vertices. Only 1 is there: the ends of its edges."""
        return 1

    @abstractmethod
    def get_vertex_master(self, vertex_id: VertexID) -> PartitionID:
        """Return the part that owns a vertex."""

    @abstractmethod
    def get_edge_master(self, src_id: VertexID, dst_id: VertexID) -> PartitionID:
        """Return the part that has an edge."""

    def partition(self, A: spmatrix, edge_matrix_type: type | None = None) -> list[Partition]:
        """Cut the graph whose edges are the entries of a sparse matrix. Returns the parts in order; communicates nothing."""
        from scipy.sparse import coo_matrix, csr_matrix

        if self.neighborhood_size != 1:
            raise UnsupportedError(f"neighborhood_size: only 1 is there (the ends of a part's edges), not {self.neighborhood_size!r}")
        make = csr_matrix if edge_matrix_type is None else edge_matrix_type
        self.graph_properties = GraphProperties(A)
        n = self.graph_properties.n_vertices
        self.vertex_masters = np.full(n, -1)
        for i in range(n):
            self.vertex_masters[i] = self._checked(self.get_vertex_master(i), "get_vertex_master")
        edges = coo_matrix(A)
        is_edge = edges.data != 0
        sources, targets, values = edges.row[is_edge], edges.col[is_edge], edges.data[is_edge]
        masters = np.array(
            [self._checked(self.get_edge_master(int(i), int(j)), "get_edge_master") for i, j in zip(sources, targets)], dtype=int
        )
        parts = []
        for part in range(self.n_partitions):
            mine = masters == part
            ids = np.union1d(sources[mine], targets[mine])
            place = (ids.searchsorted(sources[mine]), ids.searchsorted(targets[mine]))
            shape = (len(ids), len(ids))
            local = make(coo_matrix((values[mine], place), shape))
            owners = make(coo_matrix((masters[mine] + 1, place), shape))
            parts.append(Partition(local, ids, self.vertex_masters, owners))
        return parts

    def _checked(self, part: int, method: str) -> int:
        if not 0 <= part < self.n_partitions:
            raise ValueError(f"{method} must return the number of a part, 0 to {self.n_partitions - 1}, not {part!r}")
        return part
