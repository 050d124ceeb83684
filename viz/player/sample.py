"""One sample's part of a graph that is too large to be stepped through.

A loss over samples adds up what it computes from each of them, and in each of these parts all
parameters occur. So the way leads from the loss to where they still are together, and from there
back up, as long as no other sample joins.
"""

from collections import Counter
from collections.abc import Collection

from miniflow.ops import leaf, shared
from miniflow.tape.core import Table

MOST_OF_SAMPLE = 1000  # entries of the part that is shown
JOINING = {"add", "sub", "sum", "dot"}  # operations that add up samples
GROWTH = 1.5, 6  # by how much a part may grow on the way up: twice its size is two samples


def sample_of(table: Table, root: int, parameters: Collection[int]) -> int | None:
    """The entry that one sample's part of a graph ends in; None if there is no such part.

    Args:
        table: the tape, which the caller holds.
        root: the entry of the loss.
        parameters: entries of parameters; without any the leaves that are used most stand for them.
    """
    entries = table.reached([root])[::-1]
    uses = Counter(x for n in entries for x in table.operands(n))
    wanted = [n for n in entries if n in parameters] or _most_used(table, uses)
    path = _way_down(table, root, _masks(table, entries, wanted)) if wanted else []
    best, size = -1, 0
    for place in reversed(range(len(path))):
        found = _computed_in(table, path[place])
        if found is None or (size and found >= GROWTH[0] * size + GROWTH[1]):
            break
        best, size = place, size or found
    if best <= 0:
        return path[0] if best == 0 else None
    alone = uses[path[best]] == 1 and table.op(path[best - 1]).name in JOINING
    return path[best] if alone else None


def _most_used(table: Table, uses: Counter[int]) -> list[int]:
    """The leaves that most is computed from: of a sample one knows less than of a weight."""
    leaves = {n: count for n, count in uses.items() if table.op(n) in (leaf, shared)}
    most = max(leaves.values(), default=0)
    return [n for n, count in leaves.items() if 2 * count >= most]


def _masks(table: Table, entries: list[int], wanted: list[int]) -> dict[int, int]:
    """Which of the wanted leaves each entry was computed from, as bits."""
    masks = {n: 1 << k for k, n in enumerate(wanted)}
    for n in entries:
        for x in table.operands(n):
            masks[n] = masks.get(n, 0) | masks[x]
        masks.setdefault(n, 0)
    return masks


def _way_down(table: Table, root: int, masks: dict[int, int]) -> list[int]:
    """From the loss to where all leaves are still together, by way of a sample if it can.

    What is small enough is a sample if the next small part is as large. The sum of all squared
    parameters, which some add to a loss, is not.
    """
    path = [root]
    while True:
        small, large = _apart(table, path[-1], masks)
        if not small and not large:
            return path
        alike = small and (not large or _next_computed(table, large[0], masks) == small[0][1])
        path.append(small[0][0] if alike else large[0])


def _apart(table: Table, n: int, masks: dict[int, int]) -> tuple[list[tuple[int, int]], list[int]]:
    """The operands in which all leaves are together: small ones with their sizes, and others."""
    whole = [x for x in table.operands(n) if masks[x] == masks[n] and table.operands(x)]
    sizes = [(x, _computed_in(table, x)) for x in whole]
    return [(x, y) for x, y in sizes if y is not None], [x for x, y in sizes if y is None]


def _next_computed(table: Table, n: int, masks: dict[int, int]) -> int | None:
    """The size of the first small part below a large one."""
    small: list[tuple[int, int]] = []
    large = [n]
    while large and not small:
        small, large = _apart(table, large[0], masks)
    return small[0][1] if small else None


def _computed_in(table: Table, root: int) -> int | None:
    """How many entries of a part were computed; None if it is too large."""
    seen, waiting, computed = {root}, [root], 0
    while waiting:
        operands = table.operands(waiting.pop())
        computed += bool(operands)
        fresh = set(operands) - seen
        seen |= fresh
        waiting += fresh
        if len(seen) > MOST_OF_SAMPLE:
            return None
    return computed
