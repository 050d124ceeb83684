"""Large graphs on a page: many entries become one box.

A *group* is what is drawn as one box. Where a graph is to be folded, these are, until they
fit on a page:

1. scopes: the innermost ones first, then those around them;
2. alike entries outside of folded scopes: the same operation on operands that are in the
   same groups, such as each sample's term of a loss;
3. stretches: neighbours in the order of recording, so that what leads from stretch to
   stretch always leads forward.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from miniflow.ops import constant
from viz.diagram.graph import Graph, Names
from viz.output.names import shown_sign

PAGE = 40  # boxes that can be read at once
STRETCHES = 12  # boxes in a row
NAMED_OPS = 3  # operations that a box names


class Group(NamedTuple):
    """What one box stands for.

    `kind` says what its members have in common: entry (there is only one), scope, alike or
    stretch.
    """

    kind: str
    title: str
    frame: Names
    members: list[int]


def apart(graph: Graph) -> list[Group]:
    """Every entry as a box of its own."""
    return [Group("entry", "", frame, [n]) for n, frame in enumerate(graph.frames(inputs=True))]


def fold(graph: Graph) -> list[Group]:
    """The entries in so few groups that they fit on a page."""
    frames = graph.frames(inputs=False)
    scopes = _scopes(frames, graph.parts)
    keys: list[object] = [scopes.get(frame) for frame in frames]
    budget = PAGE - len(set(scopes.values()))
    if keys.count(None) > budget:
        uses = _first_uses(graph, keys)
        _alike(graph, keys, frames, uses)
        _stretch(graph, keys, frames, uses, max(budget, PAGE // 4))
    return _in_groups(graph, keys, frames)


class _Scope(NamedTuple):
    """The key of entries in a folded scope, or in several that are next to each other."""

    first: Names
    last: Names


class _Stretch(NamedTuple):
    """The key of neighbours in one frame."""

    number: int
    frame: Names


def _scopes(frames: list[Names], parts: int) -> dict[Names, _Scope]:
    """For each frame that is folded the scope that stands for it; the parts' own are not."""
    known = [frame for frame in dict.fromkeys(frames) if len(frame) > parts]
    outer = {frame[:k] for frame in known for k in range(len(frame))}
    room = PAGE * 3 // 4
    for depth in range(max(map(len, known), default=0), parts, -1):
        found = {
            frame: frame[:depth] for frame in known if len(frame) >= depth or frame not in outer
        }
        if len(set(found.values())) <= room:
            return {frame: _Scope(scope, scope) for frame, scope in found.items()}
    # too many even of the outermost ones: neighbours together
    tops = list(dict.fromkeys(frame[: parts + 1] for frame in known))
    size = -(-len(tops) // STRETCHES)
    pairs = {
        top: _Scope(tops[k - k % size], tops[min(k - k % size + size, len(tops)) - 1])
        for k, top in enumerate(tops)
    }
    return {frame: pairs[frame[: parts + 1]] for frame in known}


def _first_uses(graph: Graph, keys: list[object]) -> dict[int, tuple[int, int]]:
    """For each loose leaf and constant the entry that uses it first, and as which operand."""
    loose = bytearray(
        key is None and not operands for key, operands in zip(keys, graph.operands, strict=True)
    )
    uses: dict[int, tuple[int, int]] = {}
    for n, operands in enumerate(graph.operands):
        for k, x in enumerate(operands):
            if loose[x]:
                loose[x] = 0
                uses[x] = n, k
    return uses


def _alike(
    graph: Graph, keys: list[object], frames: list[Names], uses: dict[int, tuple[int, int]]
) -> None:
    """Give entries without a key one that those have, too, that are computed in the same way."""
    numbers: dict[object, int] = {}
    named = len({graph.names.get(n) for n in uses}) <= PAGE // 2
    ops, status, framed = graph.ops, graph.status, any(frames)
    for n, operands in enumerate(graph.operands):
        if keys[n] is not None:
            continue
        what: object
        if len(operands) == 2:
            what = (ops[n].name, keys[operands[0]], keys[operands[1]])
        elif operands:
            what = (ops[n].name, *dict.fromkeys([keys[x] for x in operands]))
        else:
            name = graph.names.get(n) if named else None
            what = (graph.kind(n), name, _role(graph, keys, uses.get(n)))
        if status or framed:
            what = (status.get(n), frames[n], what)
        keys[n] = numbers.setdefault(what, len(numbers))


def _role(graph: Graph, keys: list[object], use: tuple[int, int] | None) -> object:
    """What a leaf is used for: in a folded scope, or by an operation in one of few places."""
    if use is None:
        return None
    n, k = use
    if isinstance(keys[n], _Scope):
        return keys[n]
    return graph.ops[n].name, k if len(graph.operands[n]) < 3 else 0


def _stretch(
    graph: Graph, keys: list[object], frames: list[Names], uses: dict[int, tuple[int, int]],
    count: int,
) -> None:  # fmt: skip
    """Put neighbours together until no more than `count` numbered keys are left."""
    numbered = {key: n for n, key in enumerate(keys) if isinstance(key, int)}
    if len(numbered) <= count:
        return
    inputs = {key for key, n in numbered.items() if graph.kind(n) in ("input", "parameter")}
    kept = inputs if len(inputs) <= count // 4 else set()
    computed = [key for key in sorted(numbered) if graph.operands[numbered[key]]]
    room = min(STRETCHES, count - max(len(kept), 3))
    size = max(room, len(computed))
    stretches: dict[_Stretch, _Stretch] = {}
    places: dict[object, _Stretch] = {}
    for k, number in enumerate(computed):
        stretch = _Stretch(k * room // size, frames[numbered[number]])
        places[number] = stretches.setdefault(stretch, stretch)
    for n, key in enumerate(keys):
        if isinstance(key, int) and key not in kept:
            keys[n] = places.get(key) or graph.kind(n)
    for x, (n, _) in uses.items():
        if isinstance(keys[n], _Stretch) and keys[x] not in kept:
            keys[x] = keys[n]


def _in_groups(graph: Graph, keys: list[object], frames: list[Names]) -> list[Group]:
    """The groups of entries with the same key, in the order of their first ones."""
    members: dict[object, list[int]] = {}
    for n, key in enumerate(keys):
        members.setdefault(("entry", n) if key is None else key, []).append(n)
    return [_group(graph, key, found, frames) for key, found in members.items()]


def _group(graph: Graph, key: object, members: list[int], frames: list[Names]) -> Group:
    frame = frames[members[0]]
    if isinstance(key, _Scope):
        return Group("scope", _between(key), key.first[:-1], members)
    if len(members) == 1:
        return Group("entry", "", frame, members)
    if isinstance(key, _Stretch):
        return Group("stretch", operations(graph, members), frame, members)
    kind = graph.kind(members[0])
    title = shown_sign(graph.ops[members[0]].symbol) if graph.operands[members[0]] else kind
    names = {graph.names.get(n, "") for n in members}
    if kind in ("input", "parameter", "constant") and len(names) == 1 and "" not in names:
        title = names.pop()
    return Group("alike", title, frame, members)


def _between(key: _Scope) -> str:
    first, last = key.first[-1], key.last[-1]
    return first if key.first == key.last else f"{first} … {last}"


def operations(graph: Graph, members: Iterable[int]) -> str:
    """The most frequent operations of some entries, in words."""
    operands, ops = graph.operands, graph.ops
    counts = Counter([shown_sign(ops[n].symbol) for n in members if operands[n]])
    if not counts:
        constants = all(ops[n] is constant for n in members)
        return "constants" if constants else "leaves"
    found = sorted(counts, key=lambda symbol: (-counts[symbol], symbol))
    return "  ".join(found[:NAMED_OPS]) + ("  …" if len(found) > NAMED_OPS else "")


def merged_edges(graph: Graph, groups: list[Group]) -> Counter[tuple[int, int]]:
    """How many operands lead from one group to another, of which one has several members."""
    of = [0] * len(graph)
    for k, group in enumerate(groups):
        for n in group.members:
            of[n] = k
    found: Counter[tuple[int, int]] = Counter()
    for k, group in enumerate(groups):
        operands = graph.operands
        tails = Counter([of[x] for n in group.members for x in operands[n]])
        single = group.kind == "entry"
        for tail, count in tails.items():
            if tail != k and not (single and groups[tail].kind == "entry"):
                found[tail, k] += count
    return found
