"""What eager.py records: a chain of operations, by miniflow and by others; who takes part."""

import gc
import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import miniflow
from common import peer

LENGTHS = (1_000, 10_000, 100_000, 1_000_000)
FACTOR = 0.999  # keeps the chain finite at any length
START = 0.5
OURS = ("miniflow", "miniflow, Python")


def chain(x: Any, factor: Any, operations: int) -> Any:
    """Y = y*factor + x, again and again: multiplications and additions in turn."""
    y = x
    for _ in range(operations // 2):
        y = y * factor
        y = y + x
    return y


def slope(operations: int) -> float:
    """The chain's derivative, by the chain rule in plain numbers."""
    d = 1.0
    for _ in range(operations // 2):
        d = d * FACTOR + 1.0
    return d


class Floats:
    """No recording at all, a plain loop."""

    cyclic = False  # whether only a collection of garbage finds a dropped graph

    def record(self, operations: int) -> None:
        chain(START, FACTOR, operations)

    def replay(self) -> None:
        pass

    def derivative(self) -> float:
        """What the last replay has found; nan for plain numbers."""
        return math.nan

    def release(self) -> None:
        if self.cyclic:
            gc.collect()


class Objects(Floats):
    """Objects that have a backward() and a grad: Values, tensors."""

    def __init__(self, leaf: Callable[[float], Any], constant: Callable[[float], Any]) -> None:
        self.leaf, self.factor = leaf, constant(FACTOR)
        self.x = self.y = None

    def record(self, operations: int) -> None:
        self.x = self.leaf(START)
        self.y = chain(self.x, self.factor, operations)

    def replay(self) -> None:
        self.y.backward()  # type: ignore[attr-defined]

    def derivative(self) -> float:
        return float(self.x.grad)  # type: ignore[attr-defined]

    def release(self) -> None:
        self.x = self.y = None
        super().release()


class Tapes(Floats):
    """XAD's Reals, on a tape that each chain has to itself."""

    def __init__(self) -> None:
        self.xad = peer("xad.adj_1st")
        self.tape = self.x = self.y = None

    def record(self, operations: int) -> None:
        tape = self.xad.Tape()
        tape.activate()
        x = self.xad.Real(START)
        tape.registerInput(x)
        tape.newRecording()
        y = chain(x, FACTOR, operations)
        tape.registerOutput(y)
        self.tape, self.x, self.y = tape, x, y

    def replay(self) -> None:
        self.y.derivative = 1.0  # type: ignore[attr-defined]
        self.tape.computeAdjoints()  # type: ignore[attr-defined]

    def derivative(self) -> float:
        return float(self.x.derivative)  # type: ignore[attr-defined]

    def release(self) -> None:
        self.x = self.y = None
        self.tape.deactivate()  # type: ignore[attr-defined]
        self.tape = None
        super().release()


class Pullbacks(Floats):
    """autograd's functions: it records while it calls one, and gives back a pullback."""

    def __init__(self) -> None:
        self.vjp = peer("autograd").make_vjp
        self.pullback: Any = None
        self.slope: Any = math.nan

    def record(self, operations: int) -> None:
        self.pullback, _ = self.vjp(lambda x: chain(x, FACTOR, operations))(START)

    def replay(self) -> None:
        self.slope = self.pullback(1.0)

    def derivative(self) -> float:
        return float(self.slope)

    def release(self) -> None:
        self.pullback = None
        super().release()


def values(module: str, constant: Callable[[float], Any] = float) -> Objects:
    """A module's Values."""
    return Objects(importlib.import_module(module).Value, constant)


def minigrad() -> Objects:
    """Its Values; constants are some, too, since plain numbers corrupt its memory."""
    value = peer("minigrad.engine").Value
    return Objects(value, value)


def torch() -> Objects:
    """Torch's tensors of one number."""
    module = peer("torch")
    return Objects(partial(module.tensor, dtype=module.float64, requires_grad=True), float)


@dataclass(frozen=True)
class Contender:
    """Who takes part.

    Attributes:
        make: what records its chains.
        package: what has to be installed.
        lengths: the shortest chain that is timed, and the longest in bearable time.
        memory: the length of the chain whose memory is measured, 0 for none.
        demo: whether there is a demo for it.
        stack: whether it needs a large stack.
    """

    make: Callable[[], Floats]
    package: str = "miniflow"
    lengths: tuple[int, int] = (0, LENGTHS[-1])
    memory: int = LENGTHS[-1]
    demo: bool = False
    stack: bool = False


CONTENDERS = {
    "miniflow": Contender(partial(values, "miniflow"), demo=True),
    "miniflow, Python": Contender(partial(values, "miniflow"), memory=100_000, demo=True),
    "minigrad": Contender(minigrad, "minigrad", memory=100_000, demo=True),
    "minigrad, 1 GB stack": Contender(
        minigrad, "minigrad", (LENGTHS[-1], LENGTHS[-1]), memory=0, stack=True
    ),
    "xad": Contender(Tapes, "xad", demo=True),
    "micrograd": Contender(
        partial(values, "micrograd.engine"), "micrograd", memory=100_000, demo=True
    ),
    "torch": Contender(torch, "torch", memory=100_000),
    "autograd": Contender(Pullbacks, "autograd", (0, 100_000), memory=10_000),
    "float": Contender(Floats, memory=0),
}


def taking_part() -> list[str]:
    """The contenders that are installed."""
    without = () if miniflow.engine == "compiled" else ("miniflow",)
    return [
        name for name, who in CONTENDERS.items() if find_spec(who.package) and name not in without
    ]
