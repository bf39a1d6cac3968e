"""Cuts a sparse graph into parts: which part owns each node, which part has each edge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._vertices import GraphProperties, Partition, PartitionID, PartitioningAlgorithm, VertexID

__all__ = [
    "BlockedPartitioner",
    "GraphPart",
    "GraphPartitioner",
    "GraphProperties",
    "Partition",
    "PartitionID",
    "PartitioningAlgorithm",
    "VertexID",
]


@dataclass(frozen=True)
class GraphPart:
    """One part of a graph in compressed rows.

    Attributes
    ----------
    nodes : int array (n,)
        Global numbers of the nodes that the part knows: first the `n_owned` that it owns, then mirrors of others that its edges touch.
    n_owned : int
    indptr : int array (n + 1,)
        Edges of local node i are ``indices[indptr[i] : indptr[i + 1]]``, local numbers of their ends.
    indices : int array (n_edges,)
    """

    nodes: np.ndarray
    n_owned: int
    indptr: np.ndarray
    indices: np.ndarray


class GraphPartitioner:
    """Base class: a derived class says where nodes and edges go.

    Parameters
    ----------
    n_parts : int
    """

    def __init__(self, n_parts: int) -> None:
        if n_parts < 1:
            raise ValueError(f"GraphPartitioner(n_parts): expected at least 1, not {n_parts!r}")
        self.n_parts = n_parts

    def place_nodes(self, nodes: np.ndarray, n_nodes: int) -> np.ndarray:
        """Return the part that owns each of `nodes`, in a graph of `n_nodes`."""
        raise NotImplementedError("a derived class says which part owns each node")

    def place_edges(self, sources: np.ndarray, targets: np.ndarray, owners: np.ndarray) -> np.ndarray:
        """Return the part that has each edge; here the owner of its source. `owners` has the owner of every node."""
        return owners[sources]

    def partition(self, indptr: np.ndarray, indices: np.ndarray) -> list[GraphPart]:
        """Cut the graph with the edges ``indices[indptr[i] : indptr[i + 1]]`` of each node i. Communicates nothing."""
        indptr, indices = np.asarray(indptr), np.asarray(indices)
        n_nodes = len(indptr) - 1
        owners = self._checked(self.place_nodes(np.arange(n_nodes), n_nodes), n_nodes, "place_nodes")
        sources = np.repeat(np.arange(n_nodes), np.diff(indptr))
        parts = self._checked(self.place_edges(sources, indices, owners), len(indices), "place_edges")
        return [self._part(part, owners, sources[parts == part], indices[parts == part]) for part in range(self.n_parts)]

    def _checked(self, parts: object, n: int, method: str) -> np.ndarray:
        parts = np.asarray(parts)
        if parts.shape != (n,) or (n and not (0 <= parts.min() and parts.max() < self.n_parts)):
            raise ValueError(f"{method} must return {n} numbers of parts, 0 to {self.n_parts - 1}")
        return parts

    def _part(self, part: int, owners: np.ndarray, sources: np.ndarray, targets: np.ndarray) -> GraphPart:
        owned = np.flatnonzero(owners == part)
        mirrors = np.setdiff1d(np.union1d(sources, targets), owned)
        nodes = np.concatenate([owned, mirrors])
        local = np.full(len(owners), -1)
        local[nodes] = np.arange(len(nodes))
        order = np.argsort(local[sources], kind="stable")
        counts = np.bincount(local[sources], minlength=len(nodes))
        return GraphPart(nodes, len(owned), np.concatenate([[0], np.cumsum(counts)]), local[targets[order]])


class BlockedPartitioner(GraphPartitioner):
    """Each part owns a run of consecutive nodes."""

    def place_nodes(self, nodes: np.ndarray, n_nodes: int) -> np.ndarray:
        """Return the part that owns each node."""
        return nodes * self.n_parts // max(n_nodes, 1)
