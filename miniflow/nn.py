"""Neural networks of Values: micrograd's modules, and losses.

A neuron is three entries: the dot product of weights and inputs, its sum with the
bias, an activation. Any function of one Value is an activation; those of the table
can be named.
"""

import json
import os
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from miniflow import math, ops
from miniflow.files import write
from miniflow.tape import Value, literal

Activation = Callable[[Any], Any] | str | None


class Module:
    """Anything with parameters: Values, and modules, in attributes and in lists of them."""

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Value]]:
        """Each parameter once, with its path, such as ``layers.0.neurons.2.w.1``."""
        seen: set[int] = set()
        for name, value in _named(vars(self), prefix):
            if id(value) not in seen:
                seen.add(id(value))
                yield name, value

    def parameters(self) -> list[Value]:
        """The parameters, in the order of `named_parameters`."""
        return [value for _, value in self.named_parameters()]

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to 0."""
        for p in self.parameters():
            p.grad = 0.0

    def state_dict(self) -> dict[str, float]:
        """The parameters' numbers by name."""
        return {name: p.data for name, p in self.named_parameters()}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Set the parameters' numbers, all of them or, on an error, none.

        Raises:
            KeyError: names are missing or unknown.
            TypeError: an entry is not a real number.
        """
        parameters = dict(self.named_parameters())
        missing, unknown = parameters.keys() - state.keys(), state.keys() - parameters.keys()
        if missing or unknown:
            raise KeyError(
                f"load_state_dict: missing {_some(missing)}, unknown {_some(unknown)}; "
                "the state belongs to a model of another shape"
            )
        numbers = {name: ops.real(state[name], f"load_state_dict: {name}") for name in parameters}
        for name, p in parameters.items():
            p.data = numbers[name]

    def config(self) -> dict[str, Any]:
        """What besides the parameters makes this model: kept with them by `save`."""
        return {"class": type(self).__name__}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a JSON file: its configuration and parameters, exactly.

        The file is replaced as a whole: it is never left half-written.

        Raises:
            OSError: the file cannot be written.
        """
        content = {"format": "miniflow 1", "model": self.config(), "state": self.state_dict()}
        write(path, json.dumps(content, indent=1) + "\n")

    def load(self, path: str | os.PathLike[str]) -> "Module":
        """Read the parameters from a file that `save` wrote, and return self.

        Raises:
            OSError: the file cannot be read.
            ValueError: the file is not a saved model, or one of another shape; the model
                is unchanged.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            model, state = content["model"], content["state"]
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"load: {os.fspath(path)!r} is not a saved model: {error}") from error
        if model != self.config():
            raise ValueError(
                f"load: {os.fspath(path)!r} holds {model}, this model is {self.config()}"
            )
        try:
            self.load_state_dict(state)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"load: {os.fspath(path)!r}: {error.args[0]}") from error
        return self


def _named(children: Any, prefix: str) -> Iterator[tuple[str, Value]]:
    """The Values in a nest of modules, lists, tuples and dicts, with their paths."""
    for name, child in children.items():
        path = f"{prefix}{name}"
        if child.__class__ is Value:
            if child.op == "leaf":
                yield path, child
        elif isinstance(child, Module):
            yield from child.named_parameters(f"{path}.")
        elif isinstance(child, dict):
            yield from _named(child, f"{path}.")
        elif isinstance(child, (list, tuple)):
            yield from _named(dict(enumerate(child)), f"{path}.")


def _some(names: Any) -> str:
    listed = sorted(map(str, names))
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return ", ".join(listed[:3]) + more or "none"


def _activation(activation: Activation) -> Callable[[Any], Any] | None:
    """The function meant by an activation's name; None for a linear neuron."""
    if activation is None or activation == "linear":
        return None
    if callable(activation):
        return activation
    op = ops.TABLE.get(activation) if isinstance(activation, str) else None
    if op is None or op.arity - len(op.defaults) != 1:
        raise ValueError(
            f"activation: {activation!r} is no function of one number; "
            "try 'relu', 'tanh', 'sigmoid', 'silu', 'gelu', None or a function"
        )
    return op


def _activation_name(activation: Callable[[Any], Any] | None) -> str:
    if activation is None:
        return "linear"
    return str(getattr(activation, "name", getattr(activation, "__name__", "function")))


class Neuron(Module):
    """``activation(w . x + b)``.

    Args:
        nin: the number of inputs.
        nonlin: whether there is an activation at all, as in micrograd.
        activation: the activation, a function of one Value or the name of one.
        seed: an int makes the initial weights reproducible, a `random.Random` is drawn
            from; by default they come from the `random` module's own state, in
            micrograd's order.

    Weights are uniform in [-1, 1], the bias is 0.
    """

    def __init__(
        self, nin: int, nonlin: bool = True, *, activation: Activation = "relu",
        seed: Any = None,
    ) -> None:  # fmt: skip
        rng = _rng(seed)
        _check_size("nin", nin)
        self.w = [Value(rng.uniform(-1, 1)) for _ in range(nin)]
        self.b = Value(0.0)
        self.nonlin = nonlin
        self.activation = _activation(activation) if nonlin else None

    def __call__(self, x: Sequence[Any]) -> Value:
        """The neuron's output for `nin` numbers or Values.

        Raises:
            ValueError: x has another length.
        """
        if len(x) != len(self.w):
            raise ValueError(f"Neuron: got {len(x)} inputs, it has {len(self.w)} weights")
        out = math.dot(self.w, x) + self.b
        return self.activation(out) if self.activation else out  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        name = _activation_name(self.activation)
        name = "ReLU" if name == "relu" else name[0].upper() + name[1:]
        return f"{name}Neuron({len(self.w)})"


class Layer(Module):
    """Neurons side by side: `nin` numbers in, `nout` out (a Value, not a list, if 1)."""

    def __init__(
        self, nin: int, nout: int, nonlin: bool = True, *, activation: Activation = "relu",
        seed: Any = None,
    ) -> None:  # fmt: skip
        rng = _rng(seed)
        _check_size("nout", nout)
        self.neurons = [
            Neuron(nin, nonlin, activation=activation, seed=rng) for _ in range(nout)
        ]

    def __call__(self, x: Sequence[Any]) -> Any:
        x = [v if v.__class__ is Value else literal(v) for v in x]  # once for all neurons
        out = [n(x) for n in self.neurons]
        return out[0] if len(out) == 1 else out

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(str(n) for n in self.neurons)}]"


class MLP(Module):
    """A multi-layer perceptron: layers of neurons, the last one without activation.

    Args:
        nin: the number of inputs.
        nouts: the number of neurons of each layer.
        activation: the activation of all layers but the last; relu if left out.
        seed: makes the initial weights reproducible.

    Example:
        >>> MLP(2, [4, 1], seed=1)
        MLP of [Layer of [ReLUNeuron(2), ReLUNeuron(2), ReLUNeuron(2), ReLUNeuron(2)], \
Layer of [LinearNeuron(4)]]
    """

    def __init__(
        self, nin: int, nouts: Sequence[int], *, activation: Activation = "relu",
        seed: Any = None,
    ) -> None:  # fmt: skip
        rng = _rng(seed)
        sizes = [nin, *nouts]
        if not nouts:
            raise ValueError("MLP: nouts is empty; give the size of at least one layer")
        self.layers = [
            Layer(a, b, nonlin=i != len(nouts) - 1, activation=activation, seed=rng)
            for i, (a, b) in enumerate(zip(sizes, nouts, strict=False))
        ]

    def __call__(self, x: Sequence[Any]) -> Any:
        out: Any = x
        for layer in self.layers:
            out = layer([out] if out.__class__ is Value else out)
        return out

    def config(self) -> dict[str, Any]:
        first = self.layers[0].neurons[0]
        return {
            **super().config(),
            "sizes": [len(first.w), *[len(layer.neurons) for layer in self.layers]],
            "activation": _activation_name(first.activation),
        }

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(str(layer) for layer in self.layers)}]"


def _rng(seed: Any) -> Any:
    """Where random numbers come from: `random` itself, a new generator, one handed on."""
    if seed is None:
        return random
    return random.Random(seed) if isinstance(seed, int) else seed


def _check_size(name: str, size: Any) -> None:
    if not isinstance(size, int) or size < 1:
        raise ValueError(f"{name}: {size!r} is no number of neurons; give an int from 1 on")


# --- losses: means over the batch, in units of the loss -----------------------


def _pairs(loss: str, predictions: Any, targets: Any) -> list[tuple[Any, Any]]:
    """Predictions with their targets.

    Raises:
        ValueError: there are none, or more of one than of the other.
    """
    first = [predictions] if predictions.__class__ is Value else list(predictions)
    second = list(targets) if hasattr(targets, "__len__") else [targets]
    if len(first) != len(second) or not first:
        raise ValueError(f"{loss}: {len(first)} predictions for {len(second)} targets")
    return list(zip(first, second, strict=True))


def _mean(terms: list[Any]) -> Any:
    return math.sum(terms) / len(terms)


def mse(predictions: Sequence[Any], targets: Sequence[Any]) -> Any:
    """The mean squared error, mean of (p - t)^2."""
    return _mean([(d := p - t) * d for p, t in _pairs("mse", predictions, targets)])


def mae(predictions: Sequence[Any], targets: Sequence[Any]) -> Any:
    """The mean absolute error, mean of |p - t|."""
    return _mean([abs(p - t) for p, t in _pairs("mae", predictions, targets)])


def hinge(scores: Sequence[Any], labels: Sequence[Any]) -> Any:
    """The hinge loss, mean of max(0, 1 - t*s), for labels t of -1 or 1."""
    return _mean([math.relu(1 - t * s) for s, t in _pairs("hinge", scores, labels)])


def bce_with_logits(logits: Sequence[Any], labels: Sequence[Any]) -> Any:
    """The binary cross-entropy of labels in [0, 1], given log-odds: no overflow.

    Mean of softplus(z) - t*z, which is -t log(p) - (1-t) log(1-p) for p = sigmoid(z).
    """
    pairs = _pairs("bce_with_logits", logits, labels)
    return _mean([math.softplus(z) - t * z for z, t in pairs])


def cross_entropy(logits: Sequence[Sequence[Any]], classes: Sequence[int]) -> Any:
    """The mean negative log-likelihood of the right classes under softmax(logits).

    Args:
        logits: for each sample one unnormalised log-probability per class; or, for one
            sample alone, those numbers themselves.
        classes: for each sample the number of its class, from 0; or that number itself.

    Raises:
        ValueError: the lengths differ, or a class is not among the logits.
        TypeError: a class is not an integer.
    """
    if not hasattr(classes, "__len__"):
        return cross_entropy([logits], [classes])  # type: ignore[list-item]
    pairs = _pairs("cross_entropy", logits, classes)
    return _mean([_log_sum_exp(row) - _chosen(row, k) for row, k in pairs])


def _log_sum_exp(xs: Sequence[Any]) -> Any:
    """log(sum(exp(x))), shifted by the largest: no overflow, exact derivatives."""
    top = max(x.data if x.__class__ is Value else x for x in xs)
    shift = top if math.isfinite(top) else 0.0
    return math.log(math.sum([math.exp(x - shift) for x in xs])) + shift


def _chosen(row: Sequence[Any], k: Any) -> Any:
    if not hasattr(k, "__index__") or k.__class__ is Value:
        raise TypeError(f"cross_entropy: class {k!r:.60} is no integer")
    if not 0 <= k < len(row):
        raise ValueError(f"cross_entropy: class {k} is not among {len(row)} logits")
    return row[k]
