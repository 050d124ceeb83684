"""The rows of the operation table as LLVM IR."""

from collections.abc import Callable, Sequence
from functools import partial, reduce
from math import nan
from typing import NamedTuple, TypeVar

from miniflow.native.emitter import Emitter, Target
from miniflow.ops import BUILTIN

T = TypeVar("T")


def _where(e: Emitter, c: str, a: str, b: str) -> str:
    return e.select(e.compare("une", c, e.number(0.0)), a, b)


def _truth(relation: str) -> Callable[..., str]:
    def row(e: Emitter, a: str, b: str) -> str:
        return e.select(e.compare(relation, a, b), e.number(1.0), e.number(0.0))

    return row


def _extreme(relation: str) -> Callable[..., str]:
    def row(e: Emitter, a: str, b: str) -> str:
        first = e.logic("or", e.compare(relation, a, b), e.compare("uno", a, a))
        return e.select(first, a, b)

    return row


def _step(e: Emitter, x: str) -> str:
    zero = e.number(0.0)
    low = e.select(e.compare("uno", x, x), x, zero)
    return e.select(e.compare("ogt", x, zero), e.number(1.0), low)


def _sign(e: Emitter, x: str) -> str:
    zero = e.number(0.0)
    flat = e.binary("fadd", x, zero)
    low = e.select(e.compare("olt", x, zero), e.number(-1.0), flat)
    return e.select(e.compare("ogt", x, zero), e.number(1.0), low)


def _copysign(e: Emitter, a: str, b: str) -> str:
    signed, size = e.intrinsic("copysign", a, b), e.intrinsic("fabs", a)
    return e.select(e.compare("ord", b, b), signed, size)  # a NaN's sign counts as +


def _divided(e: Emitter, a: str, b: str) -> tuple[str, str]:
    """The quotient before rounding and the remainder, as CPython's float_divmod has them."""
    zero = e.number(0.0)
    rest = e.libm("fmod", a, b)
    quotient = e.binary("fdiv", e.binary("fsub", a, rest), b)
    some = e.compare("une", rest, zero)
    apart = e.logic("xor", e.compare("olt", b, zero), e.compare("olt", rest, zero))
    turn = e.logic("and", some, apart)
    exact = e.intrinsic("copysign", zero, b)
    moved = e.select(turn, e.binary("fadd", rest, b), e.select(some, rest, exact))
    return e.select(turn, e.binary("fsub", quotient, e.number(1.0)), quotient), moved


def _mod(e: Emitter, a: str, b: str) -> str:
    return e.select(e.compare("oeq", b, e.number(0.0)), e.number(nan), _divided(e, a, b)[1])


def _floordiv(e: Emitter, a: str, b: str) -> str:
    zero, one = e.number(0.0), e.number(1.0)
    quotient, _ = _divided(e, a, b)
    low = e.intrinsic("floor", quotient)
    off = e.compare("ogt", e.binary("fsub", quotient, low), e.number(0.5))
    whole = e.select(off, e.binary("fadd", low, one), low)
    ratio = e.binary("fdiv", a, b)
    nothing = e.intrinsic("copysign", zero, ratio)
    found = e.select(e.compare("une", quotient, zero), whole, nothing)
    return e.select(e.compare("oeq", b, zero), ratio, found)


def _take(e: Emitter, i: str, *xs: str) -> str:
    if not xs:
        return e.number(nan)
    plain = [e.constant(x) for x in xs]
    found = _halved(e, i, xs, 0) if None in plain else _looked_up(e, i, e.table(plain), len(xs))
    return e.select(e.compare("uno", i, i), e.number(nan), found)


def _looked_up(e: Emitter, i: str, table: str, size: int) -> str:
    """One of the numbers in a table."""
    low = e.select(e.compare("ogt", i, e.number(0.0)), i, e.number(0.0))
    last = e.number(size - 1.0)
    place = e.select(e.compare("olt", low, last), low, last)

    def load(k: str) -> str:
        number = e(f"fptosi double {k} to i64")
        return e(f"load double, ptr {e(f'getelementptr double, ptr {table}, i64 {number}')}")

    return e.each(load, [place])


def _halved(e: Emitter, i: str, xs: Sequence[str], start: int) -> str:
    """One of the numbers, by halves: the first one is at position `start`."""
    half = len(xs) // 2
    if not half:
        return xs[0]
    low, high = _halved(e, i, xs[:half], start), _halved(e, i, xs[half:], start + half)
    return e.select(e.compare("olt", i, e.number(float(start + half))), low, high)


def _pow(e: Emitter, a: str, b: str) -> str:
    two = e.number(2.0)
    square = e.binary("fmul", a, a)
    return square if b == two else e.select(e.compare("oeq", b, two), square, e.libm("pow", a, b))


def _remainder(e: Emitter, a: str, b: str) -> str:
    rest = e.libm("remainder", a, b)
    nothing = e.intrinsic("copysign", rest, a)  # some C libraries lose the sign
    return e.select(e.compare("oeq", rest, e.number(0.0)), nothing, rest)


def _intrinsic(name: str) -> Callable[..., str]:
    return lambda e, *xs: e.intrinsic(name, *xs)


def _libm(name: str) -> Callable[..., str]:
    return lambda e, *xs: e.libm(name, *xs)


def _binary(what: str) -> Callable[..., str]:
    return lambda e, a, b: e.binary(what, a, b)


# --- rows of any number of operands -------------------------------------------


class Fold(NamedTuple):
    """A row that adds up terms, from the first to the last.

    Operands are first the `heads`, which every term is made with, then columns of one length:
    a term is made of the heads and one number from each column.
    """

    heads: int
    columns: int
    term: Callable[..., str]
    add: Callable[[Emitter, str, str], str]

    def __call__(self, e: Emitter, *xs: str) -> str:
        """The row, of operands that are all at hand."""
        heads, *columns = self.parts(xs)
        terms = (self.term(e, *heads, *numbers) for numbers in zip(*columns, strict=True))
        return reduce(partial(self.add, e), terms) if columns else e.number(0.0)

    def parts(self, operands: Sequence[T]) -> list[Sequence[T]]:
        """The heads, and each of the columns."""
        size = (len(operands) - self.heads) // self.columns
        starts = range(self.heads, len(operands), max(size, 1))
        return [operands[: self.heads], *[operands[k : k + size] for k in starts]]


def _unchanged(_: Emitter, x: str) -> str:
    return x


def _found(e: Emitter, x: str, other: str) -> str:
    return e.select(e.compare("oeq", x, other), e.number(1.0), e.number(0.0))


FOLDS: dict[str, Fold] = {
    "sum": Fold(0, 1, _unchanged, _binary("fadd")),
    "dot": Fold(0, 2, _binary("fmul"), _binary("fadd")),
    "tally": Fold(1, 1, _found, _binary("fadd")),
    "max_of": Fold(0, 1, _unchanged, _extreme("oge")),
    "min_of": Fold(0, 1, _unchanged, _extreme("ole")),
}


ROWS: dict[str, Callable[..., str]] = {
    "add": _binary("fadd"),
    "sub": _binary("fsub"),
    "mul": _binary("fmul"),
    "div": _binary("fdiv"),
    "mod": _mod,
    "floordiv": _floordiv,
    "neg": lambda e, x: e(f"fneg {e.type} {x}"),
    "pos": lambda e, x: x,
    "stop_gradient": lambda e, x: x,
    "abs": _intrinsic("fabs"),
    "sqrt": _intrinsic("sqrt"),
    "copysign": _copysign,
    "floor": _intrinsic("floor"),
    "ceil": _intrinsic("ceil"),
    "trunc": _intrinsic("trunc"),
    "rint": _intrinsic("roundeven"),
    "less": _truth("olt"),
    "equal": _truth("oeq"),
    "where": _where,
    "maximum": _extreme("oge"),
    "minimum": _extreme("ole"),
    "take": _take,
    "relu": lambda e, x: e.select(e.compare("ugt", x, e.number(0.0)), x, e.number(0.0)),
    "step": _step,
    "sign": _sign,
    "degrees": lambda e, x: e.binary("fmul", x, e.number(180.0 / 3.141592653589793)),
    "radians": lambda e, x: e.binary("fmul", x, e.number(3.141592653589793 / 180.0)),
}
ROWS |= {name: row.__call__ for name, row in FOLDS.items()}
# Rows that are functions of the C library.
C_LIBRARY = {op.c for op in BUILTIN if op.c and op.name not in ROWS} | {"pow", "remainder"}
ROWS |= {name: _libm(name) for name in C_LIBRARY} | {"pow": _pow, "remainder": _remainder}

CONDITIONS = {"<": "olt", "<=": "ole", "==": "oeq"}


def knows(target: Target, name: str) -> bool:
    """Whether there is code for a row."""
    known = name in ROWS and (name not in C_LIBRARY or name in target.functions)
    return known or name in target.inline
