"""Optimisers: they turn gradients into new parameters.

They know nothing of Values but `.data` and `.grad`. A step computes every new number
first and then assigns them, so that an error leaves the parameters as they were. Formulas are
of arrays, with a number for each parameter.
"""

from collections.abc import Iterable
from math import inf
from numbers import Real
from typing import Any, Protocol

from miniflow.ops import real
from miniflow.tape.quick import gradients_of, numbers_of, set_numbers, zero_gradients
from miniflow.util.notebook import InNotebook
from miniflow.util.words import shown


class Parameter(Protocol):
    """What is optimised."""

    data: float
    grad: float


class Optimizer(InNotebook):
    """The base: a list of parameters and the learning rate.

    Args:
        parameters: the Values to optimise, e.g. ``model.parameters()``; one given twice counts
            once, and is found by identity.
        lr: the learning rate, in units of parameter per step's direction.
        weight_decay: adds ``weight_decay * parameter`` to each gradient.

    Raises:
        ValueError: there are no parameters, or a rate is negative.
    """

    def __init__(self, parameters: Iterable[Any], lr: float, weight_decay: float = 0.0) -> None:
        name = type(self).__name__
        if not isinstance(parameters, Iterable):
            raise TypeError(
                f"{name}: parameters must be a list, got {shown(parameters)}; "
                "pass model.parameters(), with its ()"
            )
        self.parameters: list[Parameter] = list({id(p): p for p in parameters}.values())
        if not self.parameters:
            raise ValueError(f"{name}: no parameters; pass model.parameters()")
        for p in self.parameters:
            if not hasattr(p, "data") or not hasattr(p, "grad"):
                raise TypeError(
                    f"{name}: a parameter must be a Value, got {shown(p)}; pass model.parameters()"
                )
            if getattr(p, "op", "leaf") != "leaf":
                raise TypeError(
                    f"{name}: a parameter must be a leaf, got {shown(p)}, "
                    "which is computed or constant; give what it was computed from"
                )
        self.lr = _rate(f"{name}: lr", lr)
        self.weight_decay = _rate(f"{name}: weight_decay", weight_decay)

    def __repr__(self) -> str:
        options = {k: x for k, x in vars(self).items() if k != "parameters" and k[0] != "_"}
        listed = "".join(f", {name}={x!r}" for name, x in options.items())
        return f"{type(self).__name__}({len(self.parameters)} parameters{listed})"

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to 0."""
        zero_gradients(tuple(self.parameters))

    def step(self) -> None:
        """Move every parameter once, along its gradient."""
        import numpy

        parameters = tuple(self.parameters)
        numbers, slopes = numbers_of(parameters), gradients_of(parameters)
        if numbers is None or slopes is None:  # not all are Values of this thread
            numbers = [real(p.data, "a parameter's data") for p in parameters]
            slopes = [real(p.grad, "a parameter's grad") for p in parameters]
        with numpy.errstate(all="ignore"):
            moved = self.moved(numpy.array(numbers, dtype=float), numpy.array(slopes, dtype=float))
        found = moved.tolist()
        if not set_numbers(parameters, found):
            for p, number in zip(parameters, found, strict=True):
                p.data = number

    def moved(self, numbers: Any, slopes: Any) -> Any:
        """The new numbers, from arrays of the numbers and the gradients."""
        raise NotImplementedError


class SGD(Optimizer):
    """Gradient descent: ``v = momentum*v + g; p -= lr*v``.

    Source: Sutskever et al., On the importance of initialization and momentum in deep
    learning (2013), in the form that PyTorch's SGD documents.
    """

    def __init__(
        self, parameters: Iterable[Any], lr: float = 0.01, *, momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(parameters, lr, weight_decay)
        self.momentum = _rate("SGD: momentum", momentum)
        self._velocity: Any = 0.0

    def moved(self, numbers: Any, slopes: Any) -> Any:
        velocity = slopes = _decayed(numbers, slopes, self.weight_decay)
        if self.momentum:  # without it no memory: 0 * inf is nan
            velocity = self.momentum * self._velocity + slopes
        moved = numbers - self.lr * velocity
        self._velocity = velocity
        return moved


class Adam(Optimizer):
    """Adaptive moments.

    Source: Kingma & Ba, Adam: A Method for Stochastic Optimization (2015), algorithm 1.
    """

    def __init__(
        self, parameters: Iterable[Any], lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, *, weight_decay: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(parameters, lr, weight_decay)
        name = type(self).__name__
        try:
            first, second = betas
        except (TypeError, ValueError):
            raise ValueError(
                f"{name}: betas must be a pair of numbers below 1, got {betas!r}"
            ) from None
        self.betas = (_rate(f"{name}: betas", first), _rate(f"{name}: betas", second))
        if max(self.betas) >= 1:
            raise ValueError(f"{name}: betas must be below 1, got {betas!r}")
        self.eps = _rate(f"{name}: eps", eps)
        if not self.eps:
            raise ValueError(f"{name}: eps must be above 0, got {eps!r}: it keeps a step finite")
        self._moments: Any = 0.0, 0.0
        self._steps = 0

    def moved(self, numbers: Any, slopes: Any) -> Any:
        return self.adapted(numbers, _decayed(numbers, slopes, self.weight_decay))

    def adapted(self, p: Any, g: Any) -> Any:
        """Adam's step without weight decay."""
        import numpy

        first, second = self.betas
        m, v = self._moments
        steps = self._steps + 1
        m, v = first * m + (1 - first) * g, second * v + (1 - second) * g * g
        rise, spread = 1 - first**steps, 1 - second**steps
        moved = p - self.lr * (m / rise) / (numpy.sqrt(v / spread) + self.eps)
        self._moments, self._steps = (m, v), steps
        return moved


class AdamW(Adam):
    """Adam with decoupled weight decay: it shrinks parameters, not their gradients.

    Source: Loshchilov & Hutter, Decoupled Weight Decay Regularization (2019), algorithm 2.
    """

    def __init__(
        self, parameters: Iterable[Any], lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, *, weight_decay: float = 0.01,
    ) -> None:  # fmt: skip
        super().__init__(parameters, lr, betas, eps, weight_decay=weight_decay)

    def moved(self, numbers: Any, slopes: Any) -> Any:
        return self.adapted(numbers * (1 - self.lr * self.weight_decay), slopes)


def _decayed(numbers: Any, slopes: Any, weight_decay: float) -> Any:
    """The gradients with weight decay, if there is any: 0 * inf is nan."""
    return slopes + weight_decay * numbers if weight_decay else slopes


def _rate(what: str, number: Any) -> float:
    if not isinstance(number, Real) or not 0 <= float(number) < inf:
        raise ValueError(f"{what} must be a finite number from 0 on, got {shown(number)}")
    return float(number)
