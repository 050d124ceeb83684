"""What changed between two recordings, in one diagram.

Entries of the two are matched by structure, in this order:

1. leaves by their names (of the same name in the order of recording), those without a name
   in the order of recording where there are as many of them in both; constants by their
   numbers; results by operation, name and matched operands;
2. from the outputs back: those in the same place if they are of the same operation, then
   operands in the same places of entries that match;
3. what is left once more as in 1, nameless leaves in any number; then results
   of the same operation with one operand that matches in the same place.

An entry is *moved* if its number or gradient has changed, *flipped* if the sign of one has,
*new* or *gone* if it matches none of the other recording.
"""

from collections import deque
from typing import Any

from miniflow.ops import constant
from viz.diagram.drawing import diagram
from viz.diagram.graph import Graph, graph_of
from viz.diagram.options import GraphOptions
from viz.output.pictures import Diagram


def diff(  # noqa: D417 - draw_dot describes the options
    before: Any, after: Any,
    format: str = GraphOptions.format,  # noqa: A002 - as draw_dot has it
    rankdir: str = GraphOptions.rankdir, *,
    limit: int | None = GraphOptions.limit, detail: str = "values",
    theme: str = GraphOptions.theme, compact: bool = GraphOptions.compact,
    fold: bool | None = GraphOptions.fold, legend: bool | None = GraphOptions.legend,
    parameters: Any = GraphOptions.parameters,
) -> Diagram:  # fmt: skip
    """One diagram of two recordings: what is new, gone, moved, or of another sign.

    Leaves that both use have the number that they have now; a `snapshot` keeps what they
    had, for instance before a step of an optimiser.

    Args:
        before: Values, a Tape, a program, or a `snapshot` of one.
        after: what it is compared with.
        format, rankdir, limit, detail, theme, compact, legend: as for `draw_dot`.
        fold: as for `draw_dot`; entries are alike only if the same became of them.
        parameters: as for `draw_dot`, of both recordings.

    Raises:
        TypeError: one of the two is not made of Values.
        ValueError: there is nothing to draw, or an option is unknown.

    Example:
        >>> from miniflow import Value
        >>> from viz import snapshot
        >>> x = Value(2.0, label="x")
        >>> before = snapshot(x * 3.0)
        >>> x.data = -2.0
        >>> picture = diff(before, (x * 3.0).tanh())
        >>> [word for word in ("new", "gone", "flipped") if f">{word}<" in picture.source]
        ['new', 'flipped']
    """
    options = GraphOptions(format, rankdir, theme, limit, detail, compact, fold, legend, parameters)
    options.check("diff")
    old = graph_of(before, parameters, "diff", "before")
    new = graph_of(after, parameters, "diff", "after")
    return diagram(compared(old, new), options)


def compared(before: Graph, after: Graph) -> Graph:
    """The entries of `after`, then those that are gone, with what became of each."""
    partner = matching(before, after)
    both = Graph(
        list(after.ops), list(after.operands), list(after.data), list(after.grads),
        list(after.paths), dict(after.names), set(after.parameters), set(after.inputs),
        set(after.outputs), dict(after.neurons),
        max(before.parts, after.parts), list(after.guards),
    )  # fmt: skip
    for n in range(len(after)):
        both.status[n] = "new"
    for n, m in partner.items():
        both.before[n] = before.data[m], before.grads[m]
        both.status[n] = _status(before, after, m, n)
    _add_gone(before, partner, both)
    return both


def _add_gone(before: Graph, partner: dict[int, int], both: Graph) -> None:
    """Add the entries that have no partner, and the edges that led from them."""
    places = {m: n for n, m in partner.items()}
    for m, operands in enumerate(before.operands):
        xs = [places[x] for x in operands]
        if m not in places:
            n = places[m] = both.add(
                before.ops[m], tuple(xs), before.data[m], before.grads[m], before.paths[m],
                before.names.get(m, ""),
            )  # fmt: skip
            both.status[n] = "gone"
            if m in before.parameters:
                both.parameters.add(n)
        else:
            both.former += [(x, places[m]) for x in xs if both.status[x] == "gone"]
    known = {(text, places.get(a), places.get(b)) for text, a, b in before.guards}
    known -= set(both.guards)
    both.guards += [
        (f"gone: {text}", places[a], places[b])
        for text, a, b in before.guards
        if (text, places[a], places[b]) in known
    ]


def _status(before: Graph, after: Graph, m: int, n: int) -> str:
    """What became of entry m of `before`, which is entry n of `after`."""
    pairs = [(before.data[m], after.data[n]), (before.grads[m], after.grads[n])]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    if any(a * b < 0 for a, b in known):
        return "flipped"
    return "same" if all(a == b or (a != a and b != b) for a, b in known) else "moved"


# --- matching -----------------------------------------------------------------


def matching(before: Graph, after: Graph) -> dict[int, int]:
    """For entries of `after` those of `before` that they match; each at most once."""
    partner: dict[int, int] = {}
    _match_up(before, after, partner)
    taken = set(partner.values())
    for n, m in zip(sorted(after.outputs), sorted(before.outputs), strict=False):
        _pair(before, after, n, m, partner, taken)
    for n in range(len(after) - 1, -1, -1):
        if n in partner:
            xs, ys = after.operands[n], before.operands[partner[n]]
            for x, y in zip(xs, ys, strict=False):
                _pair(before, after, x, y, partner, taken)
    _match_up(before, after, partner, last=True)
    _match_partly(before, after, partner)
    return partner


def _match_up(before: Graph, after: Graph, partner: dict[int, int], *, last: bool = False) -> None:
    """Match what is not matched yet from the leaves on."""
    taken = set(partner.values())
    waiting: dict[object, deque[int]] = {}
    for m, operands in enumerate(before.operands):
        if m not in taken:
            waiting.setdefault(_match_key(before, m, operands), deque()).append(m)
    nameless = ("leaf", "", ())
    found = [n for n in range(len(after)) if n not in partner and not after.operands[n]]
    if not last and sum(_match_key(after, n, ()) == nameless for n in found) != len(
        waiting.get(nameless, ())
    ):
        waiting.pop(nameless, None)
    for n, operands in enumerate(after.operands):
        if n not in partner and all(x in partner for x in operands):
            others = waiting.get(_match_key(after, n, tuple([partner[x] for x in operands])))
            if others:
                partner[n] = others.popleft()


def _match_partly(before: Graph, after: Graph, partner: dict[int, int]) -> None:
    """Match what differs in some of its operands, and what is computed from that."""
    taken = set(partner.values())
    waiting: dict[object, deque[int]] = {}
    for m, operands in enumerate(before.operands):
        if m not in taken:
            for k, x in enumerate(operands):
                waiting.setdefault((_match_key(before, m, ()), k, x), deque()).append(m)
    for n, operands in enumerate(after.operands):
        for k, x in enumerate(operands):
            if n in partner or x not in partner:
                continue
            others = waiting.get((_match_key(after, n, ()), k, partner[x]), deque())
            while others and others[0] in taken:
                others.popleft()
            if others and _may_match(operands, before.operands[others[0]], partner, taken):
                partner[n] = others.popleft()
                taken.add(partner[n])


def _may_match(
    xs: tuple[int, ...], ys: tuple[int, ...], partner: dict[int, int], taken: set[int]
) -> bool:
    """Whether all operands match, or are new and gone."""
    pairs = zip(xs, ys, strict=False)
    return len(xs) == len(ys) and all(
        partner[x] == y if x in partner else y not in taken for x, y in pairs
    )


def _match_key(graph: Graph, n: int, operands: tuple[int, ...]) -> object:
    """What entries have to have in common; operands by their numbers in `before`."""
    op = graph.ops[n]
    return op.name, _given_name(graph, n), (graph.data[n],) if op is constant else operands


def _given_name(graph: Graph, n: int) -> str:
    """What the user calls an entry: a program's slots have numbers besides."""
    name = graph.names.get(n, "")
    return "" if name.startswith("%") else name


def _pair(
    before: Graph, after: Graph, n: int, m: int, partner: dict[int, int], taken: set[int]
) -> None:
    """Match two entries in the same place, if they are free and of the same kind."""
    if n in partner or m in taken or before.ops[m].name != after.ops[n].name:
        return
    names = {_given_name(after, n), _given_name(before, m)} - {""}
    if after.operands[n] or len(names) < 2:
        partner[n] = m
        taken.add(m)
