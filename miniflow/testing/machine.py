"""A state machine: all that one does with Values, in any order, against an engine that is simple.

`GradientMachine` tests miniflow. A subclass adds operations of its own, or tests another engine.
What fails becomes a short program: the calls that Hypothesis prints.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from miniflow.tape.core import Value
from miniflow.testing.naive import OPERATIONS, Naive, NaiveNode, Operation, alike

index = st.integers(0, 1 << 16)
half = st.integers(-6, 6).map(lambda x: x / 2)
operand_choice = index | half


def operation_of(*arities: int) -> Any:
    """The name of one of the machine's operations with so many operands."""
    return st.runner().flatmap(lambda machine: st.sampled_from(machine.names(*arities)))


def has(*arities: int) -> Any:
    """Whether there is a Value to start from, and an operation with so many operands."""
    return lambda machine: bool(machine.kept and machine.names(*arities))


class GradientMachine(RuleBasedStateMachine):
    """Records, sweeps, drops, in any order; numbers and gradients are those of the naive engine.

    A subclass says what is tested; a test runs it by its `TestCase`, as Hypothesis has it.

    Attributes:
        operations: the operations, by name; add your own.
        tolerance: by how much numbers may be off, relative to themselves; 0 asks for equal ones.
        largest: larger results are not recorded.
        leaves_add_up: whether gradients of leaves add up over sweeps; else each sweep begins at 0.
        computed_too: whether computed values have gradients: those of the latest sweep that
            reached them.
        kept: the values that the program has names for, each with its node of the naive engine.

    To test another engine, override `make`, `number_of`, `gradient_of`, `sweep` and `clear`, and
    give each of the operations as that engine spells it.

    Example:
        >>> from miniflow.testing.naive import OPERATIONS, Operation
        >>> class Cubes(GradientMachine):
        ...     operations = {**OPERATIONS, "cube": Operation(
        ...         1, lambda x: x**3, lambda x, y: [3 * x * x], lambda v: v**3)}
        >>> TestCubes = Cubes.TestCase
        >>> TestCubes().runTest()
    """

    operations: ClassVar[dict[str, Operation]] = OPERATIONS
    tolerance: ClassVar[float] = 1e-9
    largest: ClassVar[float] = 1e6
    leaves_add_up: ClassVar[bool] = True
    computed_too: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[Any, NaiveNode]] = []
        self.naive = Naive(self.operations)

    # --- the engine that is tested ----------------------------------------------------

    def make(self, x: float) -> Any:
        """A leaf."""
        return Value(x)

    def number_of(self, value: Any) -> float:
        """A value's number."""
        return value.data  # type: ignore[no-any-return]

    def gradient_of(self, value: Any) -> float:
        """A value's gradient."""
        return value.grad  # type: ignore[no-any-return]

    def sweep(self, value: Any) -> None:
        """Carry gradients back from a value, with a seed of 1."""
        value.backward()

    def clear(self, value: Any) -> None:
        """Set a value's gradient to 0."""
        value.grad = 0.0

    # --- helpers ----------------------------------------------------------------------

    def names(self, *arities: int) -> list[str]:
        """The operations with so many operands."""
        return [name for name, x in self.operations.items() if x.arity in arities]

    def node(self, *args: Any, **kwargs: Any) -> NaiveNode:
        """A node of the naive engine."""
        return NaiveNode(*args, **kwargs)

    def pick(self, k: int) -> tuple[Any, NaiveNode]:
        """One of what is kept."""
        return self.kept[k % len(self.kept)]

    def keep(self, value: Any, node: NaiveNode) -> None:
        """Give a value a name."""
        self.kept.append((value, node))

    def operand(self, x: Any) -> tuple[Any, NaiveNode | None]:
        """What to hand to an operation, and its node: something kept, or a plain number."""
        return self.pick(x) if isinstance(x, int) else (x, None)

    def record(self, name: str, operands: Sequence[Any]) -> tuple[Any, NaiveNode] | None:
        """The same operation in both engines; None where it would grow too large."""
        picked = [self.operand(x) for x in operands]
        data = self.naive.result(name, [x if node is None else node.data for x, node in picked])
        if not abs(data) < self.largest:
            return None
        value = self.operations[name].spelled(*[x for x, _ in picked])
        parents = [self.node("constant", x) if node is None else node for x, node in picked]
        return value, self.node(name, data, tuple(parents))

    def try_to_keep(self, name: str, operands: Sequence[Any]) -> None:
        """Record an operation, and keep its result if it is not too large."""
        if (found := self.record(name, operands)) is not None:
            self.keep(*found)

    def near(self, a: float, b: float) -> bool:
        """Whether two numbers are equal, as far as that is asked."""
        return alike(a, b) or math.isclose(a, b, rel_tol=self.tolerance, abs_tol=self.tolerance)

    # --- recording --------------------------------------------------------------------

    @rule(x=half)
    def leaf(self, x: float) -> None:
        """Make a leaf."""
        self.keep(self.make(x), self.node("leaf", x))

    @precondition(has(2))
    @rule(name=operation_of(2), a=index, b=operand_choice)
    def infix(self, name: str, a: int, b: Any) -> None:
        """Record an operation on two operands."""
        self.try_to_keep(name, (a, b))

    @precondition(has(2))
    @rule(name=operation_of(2), a=half, b=index)
    def number_first(self, name: str, a: float, b: int) -> None:
        """Record an operation on a plain number and something kept."""
        self.try_to_keep(name, (a, b))

    @precondition(has(1))
    @rule(name=operation_of(1), a=index)
    def prefix(self, name: str, a: int) -> None:
        """Record an operation on one operand."""
        self.try_to_keep(name, (a,))

    @precondition(has(3))
    @rule(name=operation_of(3), c=index, a=operand_choice, b=operand_choice)
    def choose(self, name: str, c: int, a: Any, b: Any) -> None:
        """Record an operation on three operands."""
        self.try_to_keep(name, (c, a, b))

    @precondition(has(-1, -2))
    @rule(
        name=operation_of(-1, -2),
        first=index,
        rest=st.lists(operand_choice, min_size=3, max_size=5),
    )
    def wide(self, name: str, first: int, rest: list[Any]) -> None:
        """Record an operation on many operands."""
        even = self.operations[name].arity == -2
        self.try_to_keep(name, (first, *rest)[: len(rest) // 2 * 2 if even else None])

    @precondition(has(2))
    @rule(
        first=operation_of(1, 2),
        names=st.lists(operation_of(2), min_size=1, max_size=12),
        a=index,
        others=st.data(),
    )
    def chain(self, first: str, names: list[str], a: int, others: Any) -> None:
        """Record a long expression, of which only the end is kept."""
        if (found := self.record(first, [a] * self.operations[first].arity)) is None:
            return
        self.keep(*found)
        for name in names:
            last = len(self.kept) - 1
            if (found := self.record(name, (last, others.draw(index)))) is not None:
                self.kept[-1] = found

    # --- keeping and dropping ---------------------------------------------------------

    @precondition(lambda self: self.kept)
    @rule(k=index)
    def drop(self, k: int) -> None:
        """Forget something."""
        del self.kept[k % len(self.kept)]

    @precondition(lambda self: len(self.kept) > 6)
    @rule(k=index, count=st.integers(1, 6))
    def drop_many(self, k: int, count: int) -> None:
        """Forget several things at once."""
        k %= len(self.kept)
        del self.kept[k : k + count]

    # --- differentiating --------------------------------------------------------------

    @precondition(lambda self: self.kept)
    @rule(k=index, times=st.integers(1, 2))
    def backward(self, k: int, times: int) -> None:
        """Carry gradients back from something, once or twice."""
        value, node = self.pick(k)
        for _ in range(times):
            if not self.leaves_add_up:
                self.zero_grads()
            self.sweep(value)
            self.naive.backward(node)

    @rule()
    def zero_grads(self) -> None:
        """Set all gradients to 0."""
        for value, node in self.kept:
            self.clear(value)
            node.grad = 0.0

    # --- what holds at any time -------------------------------------------------------

    @invariant()
    def kept_values_are_what_they_were(self) -> None:
        """Numbers and gradients are those of the naive engine."""
        for value, node in self.kept:
            got = self.number_of(value)
            assert self.near(got, node.data), f"{node.op}: its number is {got}, not {node.data}"
            if node.grad is not None and (self.computed_too or node.op == "leaf"):
                self.check_gradient(value, node)

    def check_gradient(self, value: Any, node: NaiveNode) -> None:
        """Compare a gradient with the naive engine's."""
        got = self.gradient_of(value)
        assert self.near(got, node.grad or 0.0), (
            f"{node.op} of {[x.data for x in node.parents]}: its gradient is {got}, not {node.grad}"
        )
