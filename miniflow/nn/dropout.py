"""Dropout, and the random numbers that it needs.

Noise is what the random numbers of one call of a model are called: numbers from 0 to 1, one for
each number that goes through a Dropout. A plain call draws them; a compiled function must be
given them, or it would drop the same numbers at each call.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from random import Random
from typing import Any

from miniflow import ops
from miniflow.nn.activations import SameSize
from miniflow.nn.arguments import flag, rng_of, whole
from miniflow.nn.module import Module, Seeded
from miniflow.tape.core import Value, current
from miniflow.tape.grad_mode import no_grad
from miniflow.util.words import shown


class Switch:
    """A flag that a compiled function asks anew at each call: a Value that is no parameter."""

    def __init__(self) -> None:
        self.value = Value(1.0, label="training")

    def set(self, on: bool) -> None:
        """Set the flag."""
        self.value.data = float(on)

    def __bool__(self) -> bool:
        return bool(self.value != 0.0)  # in a trace this is a guard


class Noise:
    """Random numbers, taken one after the other."""

    def __init__(self, numbers: Iterable[Any]) -> None:
        self.numbers, self.used = list(numbers), 0

    def take(self, count: int) -> list[Any]:
        """The next ones.

        Raises:
            ValueError: there are not so many.
        """
        start, self.used = self.used, self.used + count
        if self.used > len(self.numbers):
            raise ValueError(
                f"with_noise: there are {len(self.numbers)} random numbers, and more are needed; "
                "noise(model, rng, x) makes as many as a call with x needs"
            )
        return self.numbers[start : self.used]


class Counter(Noise):
    """Counts how many random numbers are asked for."""

    def take(self, count: int) -> list[Any]:
        self.used += count
        return [1.0] * count


noises: ContextVar[dict[int, Noise]] = ContextVar("noises", default={})  # noqa: B039 - read only


class Dropout(SameSize, Seeded):
    """While it is trained, each number is dropped with probability `p`; others grow by 1/(1 - p).

    In a compiled function the random numbers are inputs, see `noise`; to call it without is an
    error. `eval()` turns it off, compiled functions included.

    Args:
        p: the probability, from 0 to 1.
        size: how many numbers go in, if that is to be checked; `Sequential` finds it out.
        seed: makes what plain calls drop reproducible: an int, or a generator of numbers.

    Source: Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting
    (2014), scaled while training, as in PyTorch.

    Example:
        >>> layer = Dropout(0.5, seed=1)
        >>> [y.data for y in layer([1.0, 2.0, 3.0])]
        [0.0, 4.0, 6.0]
        >>> [y.data for y in layer.eval()([1.0, 2.0, 3.0])]
        [1.0, 2.0, 3.0]
    """

    def __init__(self, p: float = 0.5, size: int | None = None, *, seed: Any = None) -> None:
        self.p = ops.real(p, "Dropout: p")
        if not 0 <= self.p <= 1:
            raise ValueError(f"Dropout: p must be a probability, from 0 to 1, got {shown(p)}")
        self.size = None if size is None else whole("Dropout: size", size)
        rng = rng_of(seed)
        self.rng = Random(rng.random() if seed is None or rng is seed else int(seed))
        self.switch = Switch()

    def __setattr__(self, name: str, x: Any) -> None:
        if name == "training":  # first: a trace refuses it
            self.switch.set(flag("Dropout: training", x))
        super().__setattr__(name, x)

    def needed(self) -> int | None:
        """How many random numbers a call needs; None if nobody has said how many numbers go in."""
        return self.size if self.training and self.p else 0

    def of_all(self, xs: list[Value]) -> list[Any]:
        if self.size is not None and len(xs) != self.size:
            raise ValueError(f"Dropout: x must be a list of {self.size}, got {len(xs)}")
        if not self.p or not self.switch:
            return xs
        grown = 1 / (1 - self.p) if self.p < 1 else 0.0
        drawn = zip(xs, self._noise(len(xs)), strict=True)
        return [self._kept(x * grown, u) for x, u in drawn]

    def _kept(self, x: Value, u: Any) -> Any:
        """What is left of a number: it itself or 0."""
        if type(u) is Value:
            return ops.where(ops.less(u, self.p), 0.0, x)
        return current().constant(0.0) if ops.real(u, "with_noise") < self.p else x

    def _noise(self, count: int) -> list[Any]:
        """Random numbers: those that are given, or else drawn."""
        given = noises.get().get(id(self))
        if given is not None:
            return given.take(count)
        if current().trace is not None:
            raise RuntimeError(
                "Dropout: a compiled function would keep its random numbers for ever; make them "
                "an argument: numbers = nn.noise(model, rng) outside, and inside `with "
                "nn.with_noise(model, numbers):`; or call model.eval()"
            )
        return [self.rng.random() for _ in range(count)]

    def shape(self) -> tuple[int | None, int | None]:
        return self.size, self.size

    def config(self) -> dict[str, Any]:
        return {**super().config(), "p": self.p, "size": self.size}

    def __repr__(self) -> str:
        return f"Dropout({self.p})"


def noise(model: Module, rng: Any = None, x: Any = None) -> list[float]:
    """As many random numbers as one call of a model needs: none in eval mode.

    Args:
        model: a module with or without Dropout.
        rng: where they come from: a generator of `random` or NumPy, or an int that seeds one; by
            default the `random` module.
        x: inputs of the model. It is called with them to count, which is needed where a Dropout
            does not know its size, or is called several times.

    Raises:
        ValueError: a Dropout does not know its size, and there is no x.

    Example:
        >>> from miniflow.nn import Linear, Sequential
        >>> len(noise(Sequential(Linear(2, 3), Dropout(), Linear(3, 1))))
        3
    """
    rng = rng_of(rng)
    count = _count_of_sizes(model) if x is None else _count_by_call(model, x)
    return [float(rng.random()) for _ in range(count)]


def _count_of_sizes(model: Module) -> int:
    """How many random numbers a call needs in which each Dropout is called once."""
    total = 0
    for layer in _dropouts(model):
        needed = layer.needed()
        if needed is None:
            raise ValueError(
                "noise: a Dropout does not know how many numbers go in; make it Dropout(p, size), "
                "or give an example of inputs: noise(model, rng, x)"
            )
        total += needed
    return total


def _count_by_call(model: Module, x: Any) -> int:
    """How many random numbers a call with x needs."""
    counter = Counter(())
    with no_grad(), _taken_from(model, counter):
        model(x)  # type: ignore[operator]
    return counter.used


def _dropouts(model: Module) -> list[Dropout]:
    if not isinstance(model, Module):
        raise TypeError(f"noise: model must be a Module, got {shown(model)}")
    return [layer for layer in model.modules() if isinstance(layer, Dropout)]


@contextmanager
def with_noise(model: Module, numbers: Iterable[Any]) -> Iterator[None]:
    """A block in which the Dropouts of a model take their random numbers from a list, in order.

    Args:
        model: the module that is called in the block.
        numbers: numbers or Values from 0 to 1: of `noise`, or arguments of a compiled function.

    Raises:
        ValueError: a Dropout needs more, or numbers are left over in training mode.
    """
    if isinstance(numbers, str) or not isinstance(numbers, Iterable):
        raise TypeError(f"with_noise: numbers must be a list of numbers, got {shown(numbers)}")
    given = Noise(numbers)
    with _taken_from(model, given):
        yield
    rest = len(given.numbers) - given.used
    if rest and model.training:
        raise ValueError(
            f"with_noise: {rest} of {len(given.numbers)} random numbers were not used; "
            "noise(model, rng, x) makes as many as a call with x needs"
        )


@contextmanager
def _taken_from(model: Module, given: Noise) -> Iterator[None]:
    """A block in which the Dropouts of a model take what they need from there."""
    token = noises.set({**noises.get(), **{id(layer): given for layer in _dropouts(model)}})
    try:
        yield
    finally:
        noises.reset(token)
