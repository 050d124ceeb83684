"""Activations as modules, named as in PyTorch: as many numbers go out as in."""

from collections.abc import Iterable
from typing import Any

from miniflow import math, ops
from miniflow.nn.arguments import finite, values_of
from miniflow.nn.module import Module
from miniflow.tape.core import Value


class SameSize(Module):
    """A module from which as many numbers come as go in: of a number one, of a list a list."""

    def __call__(self, x: Any) -> Any:
        found = self.of_all(values_of(x))
        return found if isinstance(x, Iterable) else found[0]

    def of_all(self, xs: list[Value]) -> list[Any]:
        """What comes out, of what goes in."""
        raise NotImplementedError

    def __repr__(self) -> str:
        options = [repr(x) for name, x in self.config().items() if name != "class"]
        return f"{type(self).__name__}({', '.join(options)})"


class Identity(SameSize):
    """What goes in comes out."""

    def of_all(self, xs: list[Value]) -> list[Any]:
        return xs


class Elementwise(SameSize):
    """A function of each number.

    Example:
        >>> [y.data for y in ReLU()([-1.0, 2.0])], Tanh()(0.0).data
        ([0.0, 2.0], 0.0)
    """

    op: ops.Op  # a row of the operation table

    @property
    def operands(self) -> tuple[float, ...]:
        """What the row takes besides the number."""
        return ()

    def of_all(self, xs: list[Value]) -> list[Any]:
        return [self.op(x, *self.operands) for x in xs]


class ReLU(Elementwise):
    """x where it is positive, else 0."""

    op = ops.relu


class Tanh(Elementwise):
    """The hyperbolic tangent."""

    op = ops.tanh


class Sigmoid(Elementwise):
    """1 / (1 + exp(-x))."""

    op = ops.sigmoid


class SiLU(Elementwise):
    """x times its sigmoid."""

    op = ops.silu


class GELU(Elementwise):
    """x times the normal distribution function of x."""

    op = ops.gelu


class Softplus(Elementwise):
    """log(1 + exp(x))."""

    op = ops.softplus


class LogSigmoid(Elementwise):
    """The logarithm of the sigmoid."""

    op = ops.logsigmoid


class LeakyReLU(Elementwise):
    """x where it is positive, else `negative_slope` times x."""

    op = ops.leaky_relu

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = finite("LeakyReLU: negative_slope", negative_slope)

    @property
    def operands(self) -> tuple[float, ...]:
        return (self.negative_slope,)

    def config(self) -> dict[str, Any]:
        return {**super().config(), "negative_slope": self.negative_slope}


class ELU(Elementwise):
    """x where it is positive, else ``alpha * (exp(x) - 1)``."""

    op = ops.elu

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = finite("ELU: alpha", alpha)

    @property
    def operands(self) -> tuple[float, ...]:
        return (self.alpha,)

    def config(self) -> dict[str, Any]:
        return {**super().config(), "alpha": self.alpha}


class Softmax(SameSize):
    """Probabilities of the numbers: exp(x) divided by the sum of all."""

    def of_all(self, xs: list[Value]) -> list[Any]:
        return list(math.softmax(xs))


class LogSoftmax(SameSize):
    """The logarithms of `Softmax`."""

    def of_all(self, xs: list[Value]) -> list[Any]:
        return list(math.log_softmax(xs))
