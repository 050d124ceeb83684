"""Hypothesis strategies for derivatives: numbers, points, functions, models, data to train with.

Each knows the domains in the operation table. What is found becomes as small as it can, and
prints as Python that can be pasted below ``from miniflow import math, ops``::

    from hypothesis import given
    from miniflow.testing import strategies as st

    @given(st.expressions(), st.data())
    def test_my_engine(f, data):  # f=lambda x, y: math.exp(x) * y
        x = data.draw(st.points(f))

Terms, besides those of `building.py`:
    leaf      a Value that was not computed
    domain    an interval ``(low, high)``, or a strategy of floats
"""

import functools
import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from miniflow import nn
from miniflow.operation import REAL, Interval, Op
from miniflow.ops import TABLE
from miniflow.tape.core import Value
from miniflow.testing import kinks
from miniflow.testing.building import (
    AnySeed,
    ForkSeed,
    LoopSeed,
    RowSeed,
    TameBuilder,
    wild_function,
)
from miniflow.testing.domains import NICE, Region, checked, intervals_of, is_interval, parameters_of
from miniflow.testing.drawn import DrawnFunction
from miniflow.testing.steps import DECISIONS, Exact
from miniflow.util.trees import children, rebuild
from miniflow.util.words import shown

__all__ = [
    "expressions", "models", "floats", "points", "programs", "training_data", "values",
]  # fmt: skip

MODERATE = 10.0  # floats are at most so large, unless a domain says more
ACTIVATIONS = ("tanh", "sigmoid", "softplus", "silu", "gelu")
KINKED_ACTIVATIONS = ("relu", "leaky_relu", "elu")


# --- floats and points -----------------------------------------------------------------


def floats(domain: Any = REAL) -> SearchStrategy[float]:
    """Floats of an open interval, of moderate size where it has such; halves are frequent.

    Args:
        domain: the interval ``(low, high)``, or a strategy, which is returned as it is.

    Raises:
        ValueError: the interval holds no number.

    Example:
        >>> from hypothesis import find
        >>> find(floats((2, 3)), lambda x: x > 2.5)
        2.75
    """
    return domain if isinstance(domain, SearchStrategy) else _floats_of(*checked(domain))


@functools.cache
def _floats_of(low: float, high: float) -> SearchStrategy[float]:
    near, far = max(low, min(-MODERATE, high - MODERATE)), min(high, max(MODERATE, low + MODERATE))
    floats = st.floats(near, far, exclude_min=near == low, exclude_max=far == high)
    halves = range(math.floor(2 * near) + 1, math.ceil(2 * far))
    if not halves:
        return floats
    return st.integers(halves[0], halves[-1]).map(lambda k: k / 2) | floats


def values(domain: Any = REAL) -> SearchStrategy[Value]:
    """Leaves: Values of numbers of an interval. A failing test shows them as ``Value(0.5)``."""
    return st.builds(Value, floats(domain))


def points(of: Any, *domains: Any, plain: bool = False) -> SearchStrategy[Any]:
    """Points at which to differentiate: away from kinks, poles and the ends of domains.

    Args:
        of: a function, a row of the table, a drawn function: points are tuples of its arguments.
            Or a domain: points are floats of its structure.
        domains: for a function the domain of each argument: an interval ``(low, high)``, a
            strategy, or these in nested lists, tuples, dicts and dataclasses. Those that are
            left out follow from its signature; a number without more is any real one.
        plain: whether the function takes floats only, no Values; then all that can be asked for
            is a finite result.

    Raises:
        TypeError: a domain does not follow from the signature, or there are too many.
        ValueError: an interval holds no number, or no point is found at which the function
            is finite.

    Example:
        >>> from hypothesis import find
        >>> from miniflow import math
        >>> find(points(lambda x, y: math.log(x) / y), lambda xs: True)
        (0.25, 0.25)
    """
    if not callable(of):
        return _filled_in(of)
    known = parameters_of(of)
    if len(domains) > len(known):
        raise TypeError(
            f"points: the function takes {len(known)} arguments, got {len(domains)} domains"
        )
    given = (*domains, *[*known.values()][len(domains) :])
    return _inside(Region(of, plain), given, intervals_of(given))


def _filled_in(domain: Any) -> SearchStrategy[Any]:
    """Numbers in the structure of a domain."""
    if isinstance(domain, SearchStrategy) or is_interval(domain):
        return floats(domain)
    parts = children(domain)
    if parts is None:
        raise TypeError(
            f"points: expected an interval (low, high), a strategy, or these in lists, tuples "
            f"and dicts, got {shown(domain)}"
        )
    return st.tuples(*map(_filled_in, parts)).map(lambda found: rebuild(domain, list(found)))


@st.composite
def _inside(draw: Any, region: Region, domain: Any, shape: list[Interval] | None) -> Any:
    """Points of a domain that are inside of a region; those that are not are pulled there."""
    args = draw(_filled_in(domain))
    if shape is None:
        assume(region.holds(args))
        return args
    found = region.nearest(args, shape)
    if found is None:
        raise ValueError(
            f"points: no point is found at which {region.name} is finite and smooth; give "
            "domains, such as points(f, (0, 1))"
        )
    return found


# --- functions --------------------------------------------------------------------------


def expressions(
    ops: Iterable[str | Op] | None = None,
    *,
    max_size: int = 8,
    inputs: int = 2,
    smooth: bool = True,
) -> SearchStrategy[DrawnFunction]:
    """Expressions of the table's rows: functions in which every result is used once.

    Args:
        ops: rows, or names of rows, a user's own as well; those that are smooth if left out.
        max_size: how many operations there are at most.
        inputs: how many arguments there are at most.
        smooth: whether to leave out rows that have kinks or jumps in their domain. Even with
            them there is a point, the `witness`, away from all kinks.

    Raises:
        ValueError: no such row, or all of them are left out.
        TypeError: a size is not a whole number.

    Example:
        >>> from hypothesis import find
        >>> find(expressions(), lambda f: "math.exp" in repr(f))
        lambda x: math.exp(x)
    """
    rows = _rows_named("expressions", ops, smooth)
    seeds = _row_seeds(rows, _literals())
    return _built(seeds, _sized("max_size", max_size), _sized("inputs", inputs, 1), shared=False)


def programs(
    ops: Iterable[str | Op] | None = None,
    *,
    max_size: int = 12,
    inputs: int = 3,
    smooth: bool = True,
    branches: bool = True,
    loops: bool = True,
    wild: bool = False,
    literals: SearchStrategy[float] | None = None,
) -> SearchStrategy[DrawnFunction]:
    """Programs: functions with shared results, branches and loops.

    Args:
        ops: rows, or names of rows, a user's own as well; all that suit if left out.
        max_size: how many steps there are at most.
        inputs: how many arguments there are at most.
        smooth: whether to leave out rows that have kinks or jumps in their domain.
        branches: whether there are comparisons that choose one of two operations.
        loops: whether there are loops.
        wild: whether operands may be anything, outside of domains, infinite and NaN, and
            comparisons exact ones with ints and fractions. Then `smooth` is of no account, and
            the functions have no `witness`.
        literals: the plain numbers in them; by default moderate ones or, in wild programs, any.

    Raises:
        ValueError: no such row, or all of them are left out.
        TypeError: a size is not a whole number.
    """
    rows = _rows_named("programs", ops, smooth and not wild)
    if literals is None:
        literals = anything if wild else _literals()
    seeds = _program_seeds(rows, literals, branches, loops, wild)
    sizes = _sized("max_size", max_size), _sized("inputs", inputs, 1)
    if wild:
        return _wild(st.integers(1, inputs), _several(seeds, max_size), max_size)
    return _built(seeds, *sizes, shared=True)


def _sized(name: str, size: int, least: int = 0) -> int:
    if not isinstance(size, int) or isinstance(size, bool) or size < least:
        raise TypeError(f"{name} must be a whole number of at least {least}, got {shown(size)}")
    return size


def _rows_named(caller: str, ops: Iterable[str | Op] | None, smooth: bool) -> tuple[Op, ...]:
    """The rows that are asked for, by name or themselves."""
    names = TABLE if ops is None else [x.name if isinstance(x, Op) else x for x in ops]
    unknown = [name for name in names if name not in TABLE]
    if unknown:
        raise ValueError(f"{caller}: no row {unknown[0]!r} in the operation table; see ops.TABLE")
    rows = tuple(TABLE[name] for name in names)
    found = tuple(op for op in rows if kinks.smooth(op) or not smooth)
    if not found:
        raise ValueError(f"{caller}: no row is left; give ops= some, or smooth=False")
    return found


def _built(
    seeds: SearchStrategy[AnySeed], longest: int, inputs: int, shared: bool
) -> SearchStrategy[DrawnFunction]:
    """Functions that can be computed at a witness."""
    return _tame(
        _several(st.sampled_from(NICE), inputs, 1), _several(seeds, longest), longest, shared
    )


# composite: what is drawn shows itself by its repr, and not by how it was made
@st.composite
def _tame(draw: Any, witness: Any, seeds: Any, longest: int, shared: bool) -> DrawnFunction:
    builder = TameBuilder(draw(witness), shared)
    for seed in [*draw(seeds), *draw(seeds)]:  # lists are short; some of the seeds will not fit
        if len(builder.steps) < longest:
            builder.add(seed)
    return builder.function()


@st.composite
def _wild(draw: Any, count: Any, seeds: Any, longest: int) -> DrawnFunction:
    return wild_function(draw(count), [*draw(seeds), *draw(seeds)][:longest])


# --- seeds --------------------------------------------------------------------------------
# Strategies are made once and kept: to make one takes longer than to draw from it.


@functools.cache
def _several(strategy: SearchStrategy[Any], most: int, least: int = 0) -> SearchStrategy[list[Any]]:
    """Lists of up to so many."""
    return st.lists(strategy, min_size=least, max_size=most)


EDGES = (
    *(0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.0, 3.0, 1.5, -7.25, 0.1, 710.0, -745.0, 1e16, 2.0**53),
    *(math.inf, -math.inf, math.nan, -math.nan, 5e-324, -1e-310, 2.0**-1022, 1e-200, 1e200),
    -1.7976931348623157e308,
)
# what a float can be compared with, exactly
EXACT = (0, -1, 2**53 + 1, 10**400, -(10**400), Fraction(1, 10), Fraction(-1, 3), Fraction(7, 2))
anything = st.sampled_from(EDGES) | st.floats() | st.floats(-4, 4)
exactly: SearchStrategy[Exact] = st.builds(Exact, st.sampled_from(EXACT))
recent = st.integers(0, 2)  # how far back a node is
node = recent | st.integers(0, 40)


@functools.cache
def _literals() -> SearchStrategy[float]:
    return _floats_of(-4.0, 4.0)


@functools.cache
def _row_seeds(rows: tuple[Op, ...], literals: SearchStrategy[float]) -> SearchStrategy[RowSeed]:
    """Seeds of rows."""
    choice = st.one_of(recent, node, literals)
    return st.one_of([_seeds_of(op, choice) for op in rows]).map(_itself)


def _itself(seed: RowSeed) -> RowSeed:
    """What is mapped stays one choice among others, however many it is made of."""
    return seed


def _counts(op: Op) -> tuple[int, ...]:
    """With how many operands a row is drawn."""
    if op.arity >= 0:
        return (op.arity,)
    return (2, 4) if op.name == "dot" else (1, 2, 3, 4)


def _seeds_of(op: Op, choice: SearchStrategy[Any]) -> SearchStrategy[RowSeed]:
    """Seeds of one row: at least the first or the last operand is a node."""
    first = [st.tuples(recent, *[choice] * (count - 1)) for count in _counts(op)]
    last = [st.tuples(*[choice] * (count - 1), recent) for count in _counts(op) if count > 1]
    return st.one_of(*first, *last).map(functools.partial(RowSeed, op.name))


@functools.cache
def _program_seeds(
    rows: tuple[Op, ...], literals: SearchStrategy[float], branches: bool, loops: bool, wild: bool
) -> SearchStrategy[AnySeed]:
    """Seeds of steps of all kinds."""
    row = _row_seeds(rows, literals)
    found: list[SearchStrategy[AnySeed]] = [row] * 2
    if branches:
        names = st.sampled_from([*(DECISIONS if wild else ("<", ">", "<=", ">="))])
        right = st.one_of(literals, node, exactly) if wild else st.one_of(literals, node)
        found.append(st.builds(ForkSeed, names, node | literals if wild else node, right, row, row))
    if loops:
        body = _several(row, 2, 1).map(tuple)
        found.append(st.builds(LoopSeed, st.integers(1, 3), node, body))
    return st.one_of(found)


# --- models and what they learn ------------------------------------------------------------


def models(
    inputs: int | None = None,
    outputs: int | None = None,
    *,
    max_width: int = 4,
    max_depth: int = 3,
    smooth: bool = True,
) -> SearchStrategy[nn.MLP]:
    """Networks of `miniflow.nn`, whose weights follow from a seed.

    A failing test shows them as a call, such as ``MLP(2, [1], activation='tanh', seed=0)``.

    Args:
        inputs: how many inputs they have; 1 to `max_width` if left out.
        outputs: the same for outputs.
        max_width: how many neurons a layer has at most.
        max_depth: how many layers there are at most.
        smooth: whether to leave out activations with kinks.

    Raises:
        TypeError: a size is not a whole number of at least 1.
    """
    width = st.integers(1, _sized("max_width", max_width, 1))
    last = width if outputs is None else st.just(_sized("outputs", outputs, 1))
    hidden = st.lists(width, max_size=_sized("max_depth", max_depth, 1) - 1)
    return st.builds(
        nn.MLP,
        width if inputs is None else st.just(_sized("inputs", inputs, 1)),
        st.builds(lambda sizes, size: [*sizes, size], hidden, last),
        activation=st.sampled_from(ACTIVATIONS if smooth else KINKED_ACTIVATIONS + ACTIVATIONS),
        seed=st.integers(0, 9),
    )


def training_data(
    inputs: int = 2,
    outputs: int = 1,
    *,
    max_size: int = 6,
    classes: int | None = None,
    domain: Any = (-2.0, 2.0),
) -> SearchStrategy[list[tuple[list[float], Any]]]:
    """Data to train with: a list of pairs ``(x, y)``, one at least.

    Args:
        inputs: how many floats x has.
        outputs: how many floats y has; one is no list, as the output of a model is none.
        max_size: how many pairs there are at most.
        classes: y is a class instead, a whole number below that.
        domain: where the floats are: an interval or a strategy.

    Raises:
        TypeError: a size is not a whole number of at least 1.

    Example:
        >>> from hypothesis import find
        >>> find(training_data(classes=2), lambda data: len(data) > 1)
        [([0.0, 0.0], 0), ([0.0, 0.0], 0)]
    """
    number = floats(domain)
    count, size = _sized("outputs", outputs, 1), _sized("inputs", inputs, 1)
    x, several = _several(number, size, size), _several(number, count, count)
    y: SearchStrategy[Any] = number if count == 1 else several
    if classes is not None:
        y = st.integers(0, _sized("classes", classes, 1) - 1)
    return st.lists(st.tuples(x, y), min_size=1, max_size=_sized("max_size", max_size, 1))
