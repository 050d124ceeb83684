"""What a row of the operation table is, and how one is added.

A row says all that there is to an operation: its value on floats, a formula for the
partial derivative dy/dx by each operand, and facts that printers and compilers ask for. A
formula sees the operands and the result ``y``. It is written in the table's own
operations and never branches, so the same row serves plain numbers, Values and
recorded programs, to any order of differentiation.
"""

import builtins
import math
from collections.abc import Callable, Sequence
from importlib import import_module
from keyword import iskeyword
from numbers import Complex, Real
from typing import Any

from miniflow.util.trees import each_element, is_array
from miniflow.util.words import dialect, shown

Interval = tuple[float, float]

REAL: Interval = (-math.inf, math.inf)
OTHER = 3  # the code of operations that are in no table: a compiled function's results

TABLE: dict[str, "Op"] = {}  # the operation table, by name
BY_CODE: list["Op"] = []  # its rows by their codes, and what else stands on a tape
RESERVED: set[str] = set()  # names that a row cannot have: the engine adds Value's attributes

# What the text of a value may use, and what its operands are called there.
NAMESPACE = {
    "__name__": __name__,
    "math": math,
    "isfinite": math.isfinite,
}
# Operands that were not selected where their partial is 0 (FIRST of a variadic row: all of them);
# the base of a power, where the exponent is a plain 0.
FIRST, SECOND, THIRD, BASE = 1, 2, 4, 8
OPERANDS = {1: ("x",), 2: ("a", "b"), 3: ("a", "b", "c")}


class Op:
    """One row of the operation table, and the function that it defines.

    Called with plain numbers it returns a float; called with at least one Value
    it records one entry and returns a Value. Arrays are taken element by element.

    Attributes:
        name: the row's name, unique in the table.
        value: the operation on floats.
        partials: for each operand a formula ``(*operands, y)``, a number where it is
            constant, or None where the operation is flat; for a variadic operation
            the single formula ``(k, operands, y)`` for operand k.
        arity: the number of operands; -1 for any number (at least one).
        symbol: what diagrams write; the name where there is no usual sign.
        domain: for each operand the interval in which the value is finite.
        defaults: values of the last operands when they are left out.
        text: the value as a Python expression of its operands, where it is one.
        python: the function of Python's `math` that it is, to the last bit; "" if none.
        c: the same for the C library.
        commutative: whether operands may change places.
        packable: whether processors do it on all numbers of a register at once.
        selects: which operands may not be selected: FIRST, SECOND, THIRD, BASE or their sum.
        code: its place in BY_CODE.
    """

    __slots__ = (
        "arity", "c", "code", "commutative", "defaults", "domain", "name", "packable", "partials",
        "python", "selects", "symbol", "text", "value",
    )  # fmt: skip

    elementwise = True  # whether it takes arrays, element by element
    at_hand: Any = None  # of one entry: its operands' numbers and its partials, where known

    def __init__(
        self,
        name: str,
        value: Callable[..., float],
        partials: tuple[Any, ...],
        arity: int,
        *,
        symbol: str = "",
        domain: tuple[Interval, ...] = (),
        defaults: tuple[float, ...] = (),
        text: str = "",
        python: str = "",
        c: str = "",
        commutative: bool = False,
        packable: bool = False,
        selects: int = 0,
    ) -> None:
        self.name = name
        self.value = value
        self.partials = partials
        self.arity = arity
        self.symbol = symbol or name
        self.domain = domain
        self.defaults = defaults
        self.text = text
        self.python = python
        self.c = c
        self.commutative = commutative
        self.packable = packable
        self.selects = selects
        self.code = OTHER

    def __call__(self, *operands: Any) -> Any:
        if len(operands) != self.arity:
            operands = self.complete(operands)
        for x in operands:
            if type(x) is not float:
                break
        else:
            return self.value(*operands)
        try:
            return self.mixed(operands)
        except TypeError:
            if not (self.elementwise and any(map(is_array, operands))):
                raise
        return each_element(self, operands)

    def mixed(self, operands: tuple[Any, ...]) -> Any:
        """The operation on operands that are not all floats."""
        for x in operands:
            if recorded(x):
                return x._record(self, operands)
        return self.value(*[real(x, self.name) for x in operands])

    def complete(self, operands: tuple[Any, ...]) -> tuple[Any, ...]:
        """The operands with defaults filled in; TypeError where the count is wrong."""
        if self.arity < 0:
            if operands:
                return operands
            raise TypeError(f"{self.name}: takes at least one operand, got none")
        missing = self.arity - len(operands)
        if 0 <= missing <= len(self.defaults):
            return operands + self.defaults[len(self.defaults) - missing :]
        count = f"{self.arity} operand{'s' * (self.arity != 1)}"
        raise TypeError(f"{self.name}: takes {count}, got {len(operands)}")

    @property
    def flat(self) -> bool:
        """Whether the derivative is 0 by every operand."""
        return not any(map(self.follows, range(len(self.partials))))

    def follows(self, k: int) -> bool:
        """Whether operand k has a partial at all, rather than a flat one."""
        return self.arity < 0 or self.partials[k] is not None

    def number(self, *operands: float) -> float:
        """The value on floats, if it is a real number."""
        y = self.value(*operands)
        return y if type(y) is float else real(y, f"the value of {self.name}")

    def forget(self) -> None:
        """Drop what was kept of the latest sweep; a row keeps nothing."""

    def condition(self, k: int, operands: Sequence[Any], partial: Any) -> Any:
        """What is 0 where operand k was not selected; 1.0 if all operands count."""
        if self.selects & (FIRST if self.arity < 0 else 1 << k):
            return partial
        plain = self.selects & BASE and k == 0 and not recorded(operands[1])
        return operands[1] if plain else 1.0

    def partial(self, k: int, operands: Sequence[Any], y: Any) -> Any:
        """dy/d(operand k), where `y` is the value at `operands`."""
        try:
            if self.arity < 0:
                return self.partials[0](k, operands, y)
            rule = self.partials[k]
            return rule(*operands, y) if callable(rule) else rule or 0.0
        except ArithmeticError as error:
            error.add_note(self.advice())
            raise

    def slopes(self, xs: Sequence[float], y: float) -> list[float] | None:
        """dy/d(operand) for all of them at once, if it has them so; a row has not."""

    def advice(self) -> str:
        """What to say where a row's function raises."""
        return (
            f"in operation {self.name}: its value and its partials must not raise; in them, use "
            "div, pow, log ... and where of miniflow.ops instead of / and **, and math's functions"
        )

    @property
    def __name__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<operation {self.name}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        return _row_called, (self.name,)


def _row_called(name: str) -> Op:
    """The row called `name`: what a pickled Op refers to."""
    return TABLE[name]


# --- adding a row ---------------------------------------------------------------


def define(
    name: str,
    value: Callable[..., float] | str,
    *partials: Any,
    each: Callable[..., Any] | None = None,
    limit: Callable[..., float] | float | None = None,
    symbol: str = "",
    domain: tuple[Interval, ...] = (),
    defaults: tuple[float, ...] = (),
    commutative: bool = False,
    packable: bool = False,
    selects: int = 0,
    python: str = "",
    c: str = "",
    row: type[Op] = Op,
    check: bool = False,
) -> Op:
    """Add a row to the operation table and return the function that it defines.

    Args:
        name: the row's name, a new Python identifier.
        value: the operation on floats: a function that returns a float, or a Python
            expression of ``x``, of ``a`` and ``b`` or of ``a``, ``b`` and ``c``.
        partials: for each operand dy/doperand: a formula ``(*operands, y)``, a number
            where it is constant, None where the operation is flat.
        each: instead of `partials`, for any number of operands:
            ``each(k, operands, y)`` is dy/d(operand k).
        limit: the value, or a function that returns it, where `value` raises as Python's math
            does at poles and on overflow; elsewhere it must not raise.
        symbol: what diagrams write for it; its name where there is no usual sign.
        domain: for each operand an interval ``(low, high)``; the reals if left out.
        defaults: the last operands' values when they are left out of a call.
        commutative: whether operands may change places.
        packable: whether processors do it on all numbers of a register at once.
        selects: FIRST, SECOND, THIRD or their sum: these operands are not selected where their
            partial is 0, and then nothing is passed back to them, not even 0 times infinity.
            Only for partials whose own derivatives are 0 there, too. FIRST of a row with
            `each` stands for all operands.
        python: the function of Python's math that it is, to the last bit.
        c: the same for the C library.
        row: the class of the row.
        check: whether the partials are proved to be the value's derivatives, or tried at points
            of the domain where there is no proof. It needs the extra `testing` and takes a
            second; `miniflow.testing.prove` does the same later, and says what it found.

    Raises:
        ValueError: the name is taken or not an identifier, or there are no partials; with
            `check`, one of them is wrong: the message says where, and what is right.
        TypeError: a partial is neither a function nor a number nor None.
        ImportError: `check` is asked for without the extra `testing`.

    Example:
        >>> cube = define("cube", lambda x: x * x * x, lambda x, y: 3 * x * x)
        >>> cube(2.0)
        8.0
        >>> del TABLE["cube"]
    """
    if not isinstance(name, str) or not name.isidentifier() or iskeyword(name):
        raise ValueError(f"define: name must be a Python identifier, got {name!r}")
    if name in TABLE or name in RESERVED:
        raise ValueError(f"define: {name!r} is taken; choose another identifier")
    if bool(partials) == bool(each):
        raise ValueError(f"define: {name}: give one partial for each operand, or each=")
    rules = tuple(
        rule if rule is None or callable(rule) else real(rule, f"define: {name}: partial")
        for rule in (partials or (each,))
    )
    arity = -1 if each else len(rules)
    text = value if isinstance(value, str) else ""
    function = _evaluated(name, text, arity) if isinstance(value, str) else value
    if limit is not None:
        function = limited(function, limit)
    op = row(
        name, function, rules, arity, symbol=symbol,
        domain=domain or (REAL,) * len(rules), defaults=defaults, text=text, python=python, c=c,
        commutative=commutative, packable=packable, selects=selects,
    )  # fmt: skip
    TABLE[name] = register(op)
    if check:
        _refuse_if_wrong(op)
    return op


def _refuse_if_wrong(op: Op) -> None:
    """Take a row out of the table again unless its partials are right."""
    try:
        import_module("miniflow.testing.proofs").prove(op)
    except BaseException:
        del TABLE[op.name]
        raise


def _evaluated(name: str, text: str, arity: int) -> Callable[..., float]:
    """A Python expression as a function of so many operands."""
    if arity not in OPERANDS:
        raise ValueError(f"define: {name}: value must be a function, got a string")
    parameters = ", ".join(OPERANDS[arity])
    try:
        # of this file, and so no line of the user's: a trace does not note it
        code = compile(f"lambda {parameters}: {text}", __file__, "eval")
    except SyntaxError as error:
        raise ValueError(
            f"define: {name}: value must be an expression, got {text!r:.60}"
        ) from error
    function = eval(code, dict(NAMESPACE))
    names = {*function.__code__.co_names} - {*NAMESPACE, *dir(builtins)}
    unknown = sorted(x for x in names if f".{x}" not in text)
    if unknown:
        raise ValueError(f"define: {name}: {text!r:.60} has {unknown[0]!r}; it is of {parameters}")
    return function  # type: ignore[no-any-return]


def limited(f: Callable[..., float], limit: Callable[..., float] | float) -> Callable[..., float]:
    """The function `f`, answering `limit` where Python's math raises and IEEE 754 has numbers."""

    def value(*xs: float) -> float:
        try:
            return f(*xs)
        except (ValueError, OverflowError):
            return limit(*xs) if callable(limit) else limit

    value.__wrapped__ = f  # type: ignore[attr-defined]  # as functools.wraps has it
    return value


def register(op: Op) -> Op:
    """The operation, with a code of its own."""
    op.code = len(BY_CODE)
    BY_CODE.append(op)
    return op


def _nothing(*operands: float) -> float:
    return math.nan


# What stands on a tape and is no operation; an entry that has never been used is a constant's.
constant = register(Op("constant", _nothing, (), 0))
leaf = register(Op("leaf", _nothing, (), 0))
shared = register(Op("shared", _nothing, (), 0))  # another thread's leaf, as one tape sees it
register(Op("other", _nothing, (_nothing,), -1))


# --- numbers --------------------------------------------------------------------


def recorded(x: Any) -> bool:
    """Whether operations on `x` are recorded: a Value's are."""
    return hasattr(type(x), "_record")


def real(x: Any, what: str = "data") -> float:
    """The real number `x` as a float.

    Python and NumPy numbers, fractions and decimals are real numbers; strings,
    complex numbers, None and arrays are not.

    Raises:
        TypeError: `x` is not a real number; the message begins with `what`.
        OverflowError: `x` is an int or fraction beyond the floats.
    """
    found = real_or_none(x, what)
    if found is None:
        raise TypeError(f"{what}: expected a real number, got {shown(x)}{_conversion(x)}")
    return found


def real_or_none(x: Any, what: str = "data") -> float | None:
    """The real number `x` as a float; None if it is none.

    Raises:
        OverflowError: `x` is an int or fraction beyond the floats.
    """
    try:
        if isinstance(x, (float, int, Real)):
            return float(x)
        scalar = hasattr(type(x), "__float__") and not hasattr(x, "__len__")
        if scalar and not isinstance(x, Complex) and not recorded(x):
            return float(x)
    except OverflowError as error:
        raise OverflowError(f"{what}: a number too large for a float") from error
    return None


def _conversion(x: Any) -> str:
    """How to make a real number of `x`, where that is clear."""
    if recorded(x):
        return dialect(x) or "; use the Value itself, or its .data where no gradient is wanted"
    if isinstance(x, str):
        return "; convert it with float()"
    if isinstance(x, Complex):
        return "; pass its .real and .imag separately"
    if getattr(x, "ndim", 1) == 0:
        return "; take its .item()"
    if hasattr(x, "__len__"):
        return "; take its elements one by one"
    if x is None:
        return "; a function without return gives None"
    return "; call it, with its arguments in ()" if callable(x) else ""
