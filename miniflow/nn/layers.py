"""Layers, named as in PyTorch, their parameters in its shapes."""

from collections.abc import Iterable, Iterator
from typing import Any

from miniflow import math, ops
from miniflow.nn.activations import SameSize
from miniflow.nn.arguments import finite, flag, rng_of, values_of, whole
from miniflow.nn.dropout import Dropout
from miniflow.nn.inits import Init, biases, drawn_weights
from miniflow.nn.module import Module, Seeded
from miniflow.tape.core import Value, dot_entry, neuron
from miniflow.tape.storage import plain
from miniflow.util.words import shown


def affine(weight: list[list[Value]], bias: list[Value] | None, xs: list[Value]) -> list[Any]:
    """``w . x + b`` for each row of weights."""
    if bias is None:
        return [dot_entry(w, xs) for w in weight]
    return [neuron(w, xs, b, None) for w, b in zip(weight, bias, strict=True)]


class Linear(Seeded):
    """``weight @ x + bias``: `nin` numbers in, `nout` out (a Value, not a list, if 1).

    Args:
        nin: the number of inputs.
        nout: the number of outputs.
        bias: whether something is added.
        init: how weights begin: a name, such as "he", or a function; see `nn.inits`.
        seed: makes the initial parameters reproducible.

    Attributes:
        weight: `nout` lists of `nin` Values.
        bias: a list of `nout` Values, or None.

    Example:
        >>> layer = Linear(2, 3, seed=1)
        >>> layer, len(layer([1.0, 2.0])), layer.shape()
        (Linear(2, 3), 3, (2, 3))
    """

    def __init__(
        self, nin: int, nout: int, bias: bool = True, *, init: Init = "torch", seed: Any = None
    ) -> None:
        rng = rng_of(seed)
        nin, nout = whole("Linear: nin", nin), whole("Linear: nout", nout)
        flag("Linear: bias", bias)
        self.weight = [drawn_weights(init, nin, nout, rng) for _ in range(nout)]
        self.bias = biases(init, nin, nout, rng) if bias else None

    def __call__(self, x: Any) -> Any:
        found = affine(self.weight, self.bias, values_of(x, "Linear: x", len(self.weight[0])))
        return found if len(found) > 1 else found[0]

    def shape(self) -> tuple[int, int]:
        return len(self.weight[0]), len(self.weight)

    def config(self) -> dict[str, Any]:
        nin, nout = self.shape()
        return {**super().config(), "nin": nin, "nout": nout, "bias": self.bias is not None}

    @classmethod
    def least_parameters(cls, config: dict[str, Any]) -> int:
        return whole("Linear: nin", config["nin"]) * whole("Linear: nout", config["nout"])

    def __repr__(self) -> str:
        nin, nout = self.shape()
        return f"Linear({nin}, {nout}{', bias=False' if self.bias is None else ''})"


class Sequential(Module):
    """Modules, one behind the other: each is given what the one before it returns.

    ``model[0]`` is the first one, and its parameters are called ``0.weight...``, as in PyTorch.

    Raises:
        TypeError: something is no module.
        ValueError: there is none, or one does not take as many numbers as the one before it gives.

    Example:
        >>> from miniflow.nn import Tanh
        >>> Sequential(Linear(2, 8), Tanh(), Linear(8, 1))
        Sequential(Linear(2, 8), Tanh(), Linear(8, 1))
    """

    def __init__(self, *layers: Any) -> None:
        if len(layers) == 1 and isinstance(layers[0], (list, tuple)):  # as Keras writes it
            layers = tuple(layers[0])
        if not layers:
            raise ValueError("Sequential: no layers; as in Sequential(Linear(2, 1), Tanh())")
        for k, layer in enumerate(layers):
            if not isinstance(layer, Module):
                made = isinstance(layer, type) and issubclass(layer, Module)
                remedy = f"; make one: {layer.__name__}(...)" if made else ""
                raise TypeError(
                    f"Sequential: layer {k} must be a Module, got {shown(layer)}{remedy}"
                )
            setattr(self, str(k), layer)
        width_after(self, None)

    def __len__(self) -> int:
        return sum(name.isdecimal() for name in vars(self))

    def __getitem__(self, k: int) -> Any:
        return list(self)[k]

    def __iter__(self) -> Iterator[Any]:
        return (layer for name, layer in vars(self).items() if name.isdecimal())

    def __call__(self, x: Any) -> Any:
        for layer in self:
            x = layer(x)
        return x

    def shape(self) -> tuple[int | None, int | None]:
        first = next((x for x in self if x.shape()[0] or not isinstance(x, SameSize)), self[0])
        return first.shape()[0], width_after(self, None)

    def config(self) -> dict[str, Any]:
        """The layers' configurations; of one that stands there twice, where it stood before."""
        first: dict[int, int] = {}
        places = [first.setdefault(id(layer), k) for k, layer in enumerate(self)]
        layers = [x.config() if places[k] == k else places[k] for k, x in enumerate(self)]
        return {**super().config(), "layers": layers}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Module:
        layers: list[Any] = []
        for k, layer in enumerate(config["layers"]):
            if not isinstance(layer, Module) and not (type(layer) is int and 0 <= layer < k):
                raise ValueError(f"layer {k} of a Sequential is {shown(layer)}")
            layers.append(layers[layer] if type(layer) is int else layer)
        return cls(*layers)

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self))})"


def width_after(layer: Module, width: int | None) -> int | None:
    """How many numbers leave a layer that `width` numbers reach, and tell Dropouts of it.

    Raises:
        ValueError: a layer takes another number of them.
    """
    if isinstance(layer, Sequential):
        for k, inner in enumerate(layer):
            try:
                width = width_after(inner, width)
            except ValueError as error:
                raise ValueError(f"Sequential: layer {k}, {inner}: {error}") from None
        return width
    nin, nout = layer.shape()
    if width is not None and nin is not None and nin != width:
        raise ValueError(f"it takes {nin} numbers, and the layer before it gives {width}")
    if isinstance(layer, Dropout) and layer.size is None:
        layer.size = width
    return width if nout is None and isinstance(layer, SameSize) else nout


def number_of(i: Any) -> Any:
    """The number of a Value, for messages: a trace ends there."""
    return plain(i) if type(i) is Value else i


class LayerNorm(SameSize):
    """Numbers shifted and scaled to mean 0 and variance 1, then by parameters.

    ``(x - mean(x)) / sqrt(var(x) + eps) * weight + bias``, the variance being that of n numbers.

    Args:
        size: how many numbers there are.
        eps: what keeps the divisor from 0.
        elementwise_affine: whether there is a weight for each number.
        bias: whether there is a bias, too.

    Source: Ba et al., Layer Normalization (2016), as PyTorch's LayerNorm has it.

    Example:
        >>> [round(y.data, 4) for y in LayerNorm(2)([1.0, 3.0])]
        [-1.0, 1.0]
    """

    def __init__(
        self, size: int, eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True
    ) -> None:
        self.size = whole("LayerNorm: size", size)
        self.eps = finite("LayerNorm: eps", eps)
        affine = flag("LayerNorm: elementwise_affine", elementwise_affine)
        biased = flag("LayerNorm: bias", bias) and affine
        self.weight = [Value(1.0) for _ in range(self.size)] if affine else None
        self.bias = [Value(0.0) for _ in range(self.size)] if biased else None

    def of_all(self, xs: list[Value]) -> list[Any]:
        if len(xs) != self.size:
            raise ValueError(f"LayerNorm: x must be a list of {self.size}, got {len(xs)}")
        mean = math.sum(xs) / len(xs)
        away = [x - mean for x in xs]
        spread = math.sqrt(math.dot(away, away) / len(xs) + self.eps)
        found = [x / spread for x in away]
        if self.weight is not None:
            found = [y * w for y, w in zip(found, self.weight, strict=True)]
        return (
            found if self.bias is None else [y + b for y, b in zip(found, self.bias, strict=True)]
        )

    def shape(self) -> tuple[int, int]:
        return self.size, self.size

    def config(self) -> dict[str, Any]:
        return {
            **super().config(), "size": self.size, "eps": self.eps,
            "elementwise_affine": self.weight is not None, "bias": self.bias is not None,
        }  # fmt: skip

    @classmethod
    def least_parameters(cls, config: dict[str, Any]) -> int:
        return whole("LayerNorm: size", config["size"]) if config["elementwise_affine"] else 0

    def __repr__(self) -> str:
        return f"LayerNorm({self.size})"


class Embedding(Seeded):
    """A list of numbers for each of `count` things, found by the thing's number.

    Args:
        count: how many things there are.
        size: how many numbers there are for each.
        init: how they begin, as of `Linear`.
        seed: makes them reproducible.

    Attributes:
        weight: `count` lists of `size` Values.

    Example:
        >>> table = Embedding(10, 3, seed=1)
        >>> len(table(7)), table(7)[0] is table.weight[7][0], len(table([7, 2]))
        (3, True, 2)
    """

    def __init__(self, count: int, size: int, *, init: Init = "normal", seed: Any = None) -> None:
        rng = rng_of(seed)
        count, size = whole("Embedding: count", count), whole("Embedding: size", size)
        self.weight = [drawn_weights(init, size, count, rng) for _ in range(count)]

    def __call__(self, i: Any) -> list[Any]:
        """The numbers of thing `i`, or of each of a list of them.

        Args:
            i: a whole number from 0, plain or a Value; or an iterable of them.

        Raises:
            IndexError: there is no such thing; from compiled code, too.
            TypeError: `i` is no whole number.
        """
        if isinstance(i, Iterable) and not isinstance(i, str):
            return [self.row(k) for k in i]
        return self.row(i)

    def row(self, i: Any) -> list[Any]:
        """The numbers of one thing."""
        count = len(self.weight)
        i = i if type(i) is Value else ops.real(i, "Embedding: the index")
        if not 0 <= i < count:
            raise IndexError(
                f"Embedding: there is no index {number_of(i):g}; the last one is {count - 1}"
            )
        if ops.floor(i) != i:
            raise TypeError(f"Embedding: an index must be a whole number, got {number_of(i):g}")
        if type(i) is not Value:
            return list(self.weight[int(i)])
        return [ops.take(i, *column) for column in zip(*self.weight, strict=True)]

    def shape(self) -> tuple[None, int]:
        return None, len(self.weight[0])

    def config(self) -> dict[str, Any]:
        return {**super().config(), "count": len(self.weight), "size": len(self.weight[0])}

    @classmethod
    def least_parameters(cls, config: dict[str, Any]) -> int:
        size = whole("Embedding: size", config["size"])
        return size * whole("Embedding: count", config["count"])

    def __repr__(self) -> str:
        return f"Embedding({len(self.weight)}, {len(self.weight[0])})"
