"""How far edges lead, and how plainly a graph has to be drawn for Graphviz to be quick.

A *rank* is a column of a diagram (a row, from top to bottom). Graphviz puts a hidden box into
each rank that an edge crosses, and its time grows faster than their number, so what is used
far away is drawn again there.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from viz.diagram.graph import Graph
from viz.output.pictures import SMALL

# Ranks within which edges from what is drawn again lead to one and the same box.
REACH = {"leaves": 6, "all": 2}

# What Graphviz lays out in time. Of ranks that edges cross besides the first one: so many, with
# labels and without, and no more than that beside each other (their square, for each rank).
LABELLED_LENGTH, PLAIN_LENGTH, BESIDE = 150, 1500, 30_000
# Ranks, where edges cross some; in graphs of up to SMALL entries, and in larger ones.
QUICK_RANKS, PATIENT_RANKS = 800, 1300
# Entries; edges in all, with labels, and where all that is used far away is drawn again.
MOST_ENTRIES, MOST_EDGES, LABELLED_EDGES, AGAIN_EDGES = 3000, 4000, 1200, 1500


class Means(NamedTuple):
    """How plainly a graph is drawn.

    Attributes:
        labels: whether local derivatives stand along edges.
        again: what is drawn again where it is used far away: "", "leaves" or "all".
        folded: whether it is folded.
    """

    labels: bool = True
    again: str = ""
    folded: bool = False

    def plainer(self) -> "Means | None":
        """What to try where that takes too long."""
        if self.folded:
            return Means(False, "leaves", True) if self.labels else None
        if self.labels or not self.again:
            return Means(False, self.again or "leaves")
        return Means(True, "", True)


# From the one that is asked for to the plainest.
MEANS = [
    Means(), Means(again="leaves"), Means(False, "leaves"), Means(False, "all"), Means(folded=True),
]  # fmt: skip


def ranks_of(operands: Sequence[Sequence[int]]) -> list[int]:
    """For each entry how far before the end it is drawn: as near to what uses it as can be."""
    ranks = [0] * len(operands)
    for n in range(len(operands) - 1, -1, -1):
        for x in operands[n]:
            ranks[x] = min(ranks[x], ranks[n] - 1)
    return ranks


def crossed(operands: Sequence[Sequence[int]]) -> int:
    """How many ranks edges lead across in all; from one to the next is one."""
    ranks = ranks_of(operands)
    return sum(ranks[n] - ranks[x] for n, xs in enumerate(operands) for x in xs)


def uses(graph: Graph, ranks: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """The edges of a graph: from which entry, to which rank, next to which entry."""
    for n, operands in enumerate(graph.operands):
        for x in operands:
            yield x, ranks[n], n
    for x, n in graph.former:
        yield x, ranks[n], n
    for _, *sides in graph.guards:  # a guard is behind both of its sides
        last = max(sides, key=ranks.__getitem__)
        for x in sides:
            yield x, ranks[last] + 1, last


def first_ranks(graph: Graph, ranks: Sequence[int]) -> dict[int, int]:
    """For each entry that is used the rank that its box reaches without a long edge."""
    first: dict[int, int] = {}
    for x, rank, _ in uses(graph, ranks):
        if graph.operands[x]:
            first[x] = ranks[x] + 1
        else:
            first[x] = min(first.get(x, rank), rank)
    return first


def hidden(graph: Graph, ranks: Sequence[int], again: str) -> int:
    """How many ranks edges cross besides the first ones, where that is drawn again."""
    first = first_ranks(graph, ranks)
    found = 0
    for x, rank, _ in uses(graph, ranks):
        length = max(0, rank - first[x])
        copied = again == "all" or (again and not graph.operands[x])
        found += length % REACH[again] if copied else length
    return found


def means_for(
    graph: Graph, ranks: Sequence[int], *, labels: bool, compact: bool, whole: bool
) -> Means:
    """How plainly to draw a graph: as little as Graphviz needs to be in time.

    Args:
        graph: what is drawn.
        ranks: those of its entries.
        labels: whether edges are to have labels at all.
        compact: whether an operation and its result are one box.
        whole: whether it must not be folded.
    """
    edges = sum(1 for _ in uses(graph, ranks))
    if len(graph) <= MOST_ENTRIES and edges <= MOST_EDGES:
        for means in MEANS[:-1]:
            drawn = means._replace(labels=means.labels and labels)
            if _in_time(graph, ranks, edges, drawn, compact=compact):
                return means
    return MEANS[-2] if whole else MEANS[-1]


def _in_time(
    graph: Graph, ranks: Sequence[int], edges: int, means: Means, *, compact: bool
) -> bool:
    """Whether Graphviz is quick with a graph that is drawn so plainly."""
    if edges > (LABELLED_EDGES if means.labels else MOST_EDGES):
        return False
    if means.again == "all" and edges > AGAIN_EDGES:
        return False
    length, height = hidden(graph, ranks, means.again), 1 - min(ranks)
    drawn = height * (1 if compact else 2) * (2 if means.labels else 1)
    return (
        length <= (LABELLED_LENGTH if means.labels else PLAIN_LENGTH)
        and length**2 <= BESIDE * height
        and (length == 0 or drawn <= (QUICK_RANKS if len(graph) <= SMALL else PATIENT_RANKS))
    )
