"""Neural networks of Values: micrograd's modules.

A neuron is three entries: the dot product of weights and inputs, its sum with the
bias, an activation. Any function of one Value is an activation; those of the table
can be named.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

from miniflow import ops
from miniflow.nn.arguments import inputs_of, rng_of, size_of, values_of
from miniflow.nn.inits import Init, drawn_weights, made_for
from miniflow.nn.module import Module
from miniflow.tape.core import Value, neuron
from miniflow.util.habits import advice
from miniflow.util.words import shown

Activation = Callable[[Any], Any] | str | None


def _activation(activation: Activation) -> Callable[[Any], Any] | None:
    """The function meant by an activation's name; None for a linear neuron."""
    if activation is None or activation == "linear":
        return None
    if callable(activation):
        return activation
    op = ops.TABLE.get(activation) if isinstance(activation, str) else None
    if op is None or op.arity - len(op.defaults) != 1:
        known = [name for name, op in ops.TABLE.items() if op.arity - len(op.defaults) == 1]
        remedy = advice(activation, {}, known) if isinstance(activation, str) else ""
        raise ValueError(
            "activation must be a function of one number, its name, or None, got "
            f"{shown(activation)}{remedy}; try 'relu', 'tanh', 'sigmoid', 'silu' or 'gelu'"
        )
    return op


def _activation_name(activation: Callable[[Any], Any] | None) -> str:
    if activation is None:
        return "linear"
    return str(getattr(activation, "name", getattr(activation, "__name__", "function")))


class Neuron(Module, scoped=False):
    """``activation(w . x + b)``.

    Args:
        nin: the number of inputs.
        nonlin: whether there is an activation at all, as in micrograd.
        activation: the activation, a function of one Value or the name of one.
        init: how weights begin: a name, such as "he", or a function; see `nn.inits`. By
            default they are uniform in [-1, 1]. The bias begins as 0.
        seed: an int makes the initial weights reproducible, a `random.Random` is drawn
            from; by default they come from the `random` module's own state, in
            micrograd's order.
    """

    def __init__(
        self, nin: int, nonlin: bool = True, *, activation: Activation = "relu",
        init: Init = "uniform", seed: Any = None,
    ) -> None:  # fmt: skip
        rng = rng_of(seed)
        nin = size_of("Neuron: nin", nin)
        self.w = drawn_weights(init, nin, 1, rng)
        self.b = Value(0.0)
        self.nonlin = nonlin
        self.activation = _activation(activation)

    def __call__(self, x: Sequence[Any]) -> Value:
        """The neuron's output for `nin` numbers or Values.

        Raises:
            ValueError: x has another length.
        """
        w = self.w
        x = x if type(x) is list else list(inputs_of(x))
        if len(x) != len(w):
            raise ValueError(
                f"Neuron: got {len(x)} inputs, it has {len(w)} weights; give a list of {len(w)}"
            )
        return neuron(w, x, self.b, self.activation if self.nonlin else None)  # type: ignore[no-any-return]

    def shape(self) -> tuple[int, int]:
        return len(self.w), 1

    def config(self) -> dict[str, Any]:
        return {**super().config(), "size": len(self.w), "activation": self.activation_name}

    @property
    def activation_name(self) -> str:
        """What the activation is called: "linear" where there is none."""
        return _activation_name(self.activation if self.nonlin else None)

    def __repr__(self) -> str:
        name = self.activation_name
        name = "ReLU" if name == "relu" else name[0].upper() + name[1:]
        return f"{name}Neuron({len(self.w)})"


_neuron_call = Neuron.__call__


class Layer(Module):
    """Neurons side by side: `nin` numbers in, `nout` out (a Value, not a list, if 1)."""

    def __init__(
        self, nin: int, nout: int, nonlin: bool = True, *, activation: Activation = "relu",
        init: Init = "uniform", seed: Any = None,
    ) -> None:  # fmt: skip
        rng = rng_of(seed)
        nin, nout = size_of("Layer: nin", nin), size_of("Layer: nout", nout)
        init = made_for(init, nout)
        self.neurons = [
            Neuron(nin, nonlin, activation=activation, init=init, seed=rng) for _ in range(nout)
        ]

    def __call__(self, x: Sequence[Any]) -> Any:
        x = values_of(x)  # once for all neurons
        size, usual = len(x), Neuron.__call__ is _neuron_call
        out = [
            neuron(n.w, x, n.b, n.activation if n.nonlin else None)
            if usual and type(n) is Neuron and len(n.w) == size  # what n(x) would do, sooner
            else n(x)
            for n in self.neurons
        ]
        return out[0] if len(out) == 1 else out

    def shape(self) -> tuple[int, int]:
        return len(self.neurons[0].w), len(self.neurons)

    def config(self) -> dict[str, Any]:
        return {**super().config(), "neurons": [n.config() for n in self.neurons]}

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(str(n) for n in self.neurons)}]"


class MLP(Module):
    """A multi-layer perceptron: layers of neurons, the last one without activation.

    Args:
        nin: the number of inputs.
        nouts: the number of neurons of each layer.
        activation: the activation of all layers but the last; relu if left out.
        init: how weights begin, as of a Neuron.
        seed: makes the initial weights reproducible.

    Example:
        >>> MLP(2, [4, 1], seed=1)
        MLP of [Layer of [ReLUNeuron(2), ReLUNeuron(2), ReLUNeuron(2), ReLUNeuron(2)], \
Layer of [LinearNeuron(4)]]
    """

    def __init__(
        self, nin: int, nouts: Sequence[int], *, activation: Activation = "relu",
        init: Init = "uniform", seed: Any = None,
    ) -> None:  # fmt: skip
        rng = rng_of(seed)
        many = isinstance(nouts, Iterable) and not isinstance(nouts, str)
        given = list(nouts) if many else []
        if not given:
            raise ValueError(
                f"MLP: nouts must be a list of at least one size, got {shown(nouts)}; for one "
                "layer of 3 neurons write [3]"
            )
        nouts = [size_of(f"MLP: nouts[{k}]", size) for k, size in enumerate(given)]
        sizes = [size_of("MLP: nin", nin), *nouts]
        self.layers = [
            Layer(a, b, nonlin=i != len(nouts) - 1, activation=activation, init=init, seed=rng)
            for i, (a, b) in enumerate(zip(sizes, nouts, strict=False))
        ]

    def __call__(self, x: Sequence[Any]) -> Any:
        out: Any = x
        for layer in self.layers:
            out = layer(out)
        return out

    def shape(self) -> tuple[int, int]:
        return self.layers[0].shape()[0], self.layers[-1].shape()[1]

    def config(self) -> dict[str, Any]:
        """Sizes and activation; and all layers, where they are no longer as they were made."""
        first = self.layers[0].neurons[0]
        sizes = [len(first.w), *[len(layer.neurons) for layer in self.layers]]
        config = {**super().config(), "sizes": sizes, "activation": first.activation_name}
        layers = [layer.config() for layer in self.layers]
        names = [*[config["activation"]] * (len(layers) - 1), "linear"]
        made = [
            {"class": "Layer", "neurons": [{"class": "Neuron", "size": a, "activation": name}] * b}
            for (a, b), name in zip(pairwise(sizes), names, strict=True)
        ]
        return config if layers == made else {**config, "layers": layers}

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(str(layer) for layer in self.layers)}]"
