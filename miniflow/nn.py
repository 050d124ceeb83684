"""Neural networks of Values: micrograd's modules, and losses.

A neuron is three entries: the dot product of weights and inputs, its sum with the
bias, an activation. Any function of one Value is an activation; those of the table
can be named.
"""

import json
import operator
import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import wraps
from itertools import pairwise
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from miniflow import ops
from miniflow.losses import bce_with_logits, cross_entropy, hinge, mae, mse
from miniflow.tape.core import Value, current, neuron
from miniflow.tape.quick import zero_gradients
from miniflow.tape.reading import located
from miniflow.tape.storage import is_leaf
from miniflow.util.files import write
from miniflow.util.habits import MODULE, NN, advice
from miniflow.util.notebook import InNotebook
from miniflow.util.trees import children, is_array
from miniflow.util.words import shown

__all__ = [
    "MLP", "Layer", "Module", "Neuron", "bce_with_logits", "cross_entropy", "hinge", "load", "mae",
    "mse",
]  # fmt: skip
FORMAT = "miniflow 1"  # of the files that `save` writes
PLAIN = frozenset((bool, int, float, str, type(None), ops.Op))  # types that hold no parameters

Activation = Callable[[Any], Any] | str | None


class ParameterName(str):
    """The label of a leaf that was the parameter of a module: recordings may outlive it."""


modules: WeakValueDictionary[int, "Module"] = WeakValueDictionary()  # those that are alive


class Module(InNotebook):
    """Anything with parameters: Values, and modules, in attributes and in lists of them.

    A call of a module is a scope, in diagrams a frame: it has the name of the attribute that
    the module was assigned to first, such as ``layers.0``, or else that of its class.
    """

    _name = ""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = super().__new__(cls)
        modules[id(self)] = self
        return self

    def __init_subclass__(cls, scoped: bool = True, **options: Any) -> None:
        super().__init_subclass__(**options)
        if scoped and "__call__" in vars(cls):
            cls.__call__ = _in_scope(vars(cls)["__call__"])  # type: ignore[method-assign]

    def __setattr__(self, name: str, x: Any) -> None:
        super().__setattr__(name, x)
        _christen(name, x)

    def __del__(self) -> None:
        """Leave to parts and parameters what they are called: a recording may need them yet."""
        _bequeath(vars(self), vars(self).get("_path", ""), set())

    def __getattr__(self, name: str) -> Any:
        remedy = advice(name, MODULE, [*vars(self), *dir(type(self))])
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{remedy}")

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Value]]:
        """Each parameter once, with its path, such as ``layers.0.neurons.2.w.1``."""
        found: list[tuple[str, Value]] = []
        _collect(self, prefix.removesuffix("."), found, set())
        return iter(found)

    def parameters(self) -> list[Value]:
        """The parameters, in the order of `named_parameters`."""
        found: list[tuple[str, Value]] = []
        _collect(self, None, found, set())
        return [value for _, value in found]

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to 0."""
        zero_gradients(tuple(self.parameters()))

    def state_dict(self) -> dict[str, float]:
        """The parameters' numbers by name."""
        state: dict[str, float] = {}
        for name, p in self.named_parameters():
            if name in state:
                raise ValueError(f"state_dict: two parameters are named {name!r}; rename one")
            state[name] = p.data
        return state

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Set the parameters' numbers, all of them or, on an error, none.

        Raises:
            KeyError: names are missing or unknown.
            TypeError: a parameter is not a real number.
        """
        if not isinstance(state, dict):
            raise TypeError(
                f"load_state_dict: state must be a dict of numbers by name, got {shown(state)}"
            )
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
        content = {"format": FORMAT, "model": self.config(), "state": self.state_dict()}
        write(path, json.dumps(content, indent=1) + "\n")

    def load(self, path: str | os.PathLike[str]) -> "Module":
        """Read the parameters from a file that `save` wrote, and return self.

        Raises:
            OSError: the file cannot be read.
            ValueError: the file is not a saved model, or one of another shape; the model
                is unchanged.
        """
        model, state = _read(path)
        if model != json.loads(json.dumps(self.config())):  # tuples are lists in a file
            raise ValueError(
                f"load: {os.fspath(path)!r} holds {model}, this model is {self.config()}"
            )
        try:
            self.load_state_dict(state)
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"load: {os.fspath(path)!r}: {error.args[0]}") from error
        return self


def _read(path: str | os.PathLike[str]) -> tuple[Any, Any]:
    """The configuration and the state in a file that `save` wrote."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"load: path must be a file's name, got {shown(path)}")
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        version, model, state = content["format"], content["model"], content["state"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(
            f"load: {os.fspath(path)!r} is not a saved model, a file that Module.save wrote"
        ) from error
    if version != FORMAT:
        raise ValueError(f"load: {os.fspath(path)!r} has format {version!r}, not {FORMAT!r}")
    return model, state


def _in_scope(call: Callable[..., Any]) -> Callable[..., Any]:
    """A module's `__call__` in a scope of its name."""

    @wraps(call)
    def scoped(self: Module, *args: Any, **kwargs: Any) -> Any:
        table = current()
        table.push(self._name or type(self).__name__)
        try:
            return call(self, *args, **kwargs)
        finally:
            table.pop()

    return scoped


def _christen(name: str, x: Any) -> None:
    """Call modules, or those in a list, after the attribute, unless they have a name."""
    if isinstance(x, Module):
        vars(x).setdefault("_name", name)
    elif isinstance(x, (list, tuple)):
        for k, part in enumerate(x):
            if isinstance(part, Module):
                vars(part).setdefault("_name", f"{name}.{k}")


def _bequeath(nest: Any, path: str, seen: set[int]) -> None:
    """Tell the modules and leaves in a nest their paths, which a dying module knows."""
    seen.add(id(nest))
    for name, child in list(parts(nest)):  # a module may hold itself
        if type(child) in PLAIN or id(child) in seen:
            continue
        below = f"{path}.{name}" if path else f"{name}"
        if isinstance(child, Module):
            seen.add(id(child))
            vars(child)["_path"] = below
        elif type(child) is Value:
            if is_leaf(child) and type(child.label) is not ParameterName:
                located(child)[0].set_label(child, ParameterName(child.label or below))
        else:
            _bequeath(child, below, seen)


def parameter_names() -> dict[Value, str]:
    """The parameters of all modules that are alive, with what the outermost ones call them.

    Example:
        >>> model = MLP(2, [1])
        >>> names = parameter_names()
        >>> [names[p] for p in model.parameters()]
        ['layers.0.neurons.0.w.0', 'layers.0.neurons.0.w.1', 'layers.0.neurons.0.b']
    """
    alive = list(modules.values())
    inner: set[int] = set()
    for module in alive:
        _inner_modules(vars(module), inner, set())
    found: list[tuple[str, Value]] = []
    seen: set[int] = set()
    # of modules that hold each other none is outermost: those come last
    for module in sorted(alive, key=lambda x: id(x) in inner):
        _collect(module, "", found, seen)
    return {x: path for path, x in found}


def _inner_modules(nest: Any, inner: set[int], seen: set[int]) -> None:
    """Add the modules that a nest holds itself."""
    seen.add(id(nest))
    for _, child in parts(nest):
        if isinstance(child, Module):
            inner.add(id(child))
        elif type(child) is not Value and type(child) not in PLAIN and id(child) not in seen:
            _inner_modules(child, inner, seen)


def _collect(nest: Any, path: str | None, found: list[tuple[str, Value]], seen: set[int]) -> None:
    """Add the leaves in a nest of modules and containers, once each, with their paths if any."""
    if id(nest) in seen:
        return
    seen.add(id(nest))  # a child may know its parent
    for name, child in enumerate(nest) if type(nest) is list else parts(nest):
        kind = type(child)
        if kind in PLAIN:
            continue
        below = path if path is None else f"{path}.{name}" if path else f"{name}"
        if kind is not Value:
            _collect(child, below, found, seen)
        elif id(child) not in seen and is_leaf(child):
            seen.add(id(child))
            found.append((below or "", child))


def parts(nest: Any) -> Iterable[tuple[Any, Any]]:
    """What a module, dict, list, tuple or array holds, by name or number.

    Example:
        >>> list(parts({"w": 1.0})), list(parts([2.0, 3.0]))
        ([('w', 1.0)], [(0, 2.0), (1, 3.0)])
    """
    if isinstance(nest, Module):
        return vars(nest).items()
    if isinstance(nest, dict):
        return nest.items()
    if is_array(nest) and nest.dtype != object:
        return ()  # numbers
    return enumerate(children(nest) or ())


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
        nin = _size("Neuron: nin", nin)
        self.w = [Value(rng.uniform(-1, 1)) for _ in range(nin)]
        self.b = Value(0.0)
        self.nonlin = nonlin
        self.activation = _activation(activation)

    def __call__(self, x: Sequence[Any]) -> Value:
        """The neuron's output for `nin` numbers or Values.

        Raises:
            ValueError: x has another length.
        """
        w = self.w
        x = x if type(x) is list else list(_inputs(x))
        if len(x) != len(w):
            raise ValueError(
                f"Neuron: got {len(x)} inputs, it has {len(w)} weights; give a list of {len(w)}"
            )
        return neuron(w, x, self.b, self.activation if self.nonlin else None)  # type: ignore[no-any-return]

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
        seed: Any = None,
    ) -> None:  # fmt: skip
        rng = _rng(seed)
        nin, nout = _size("Layer: nin", nin), _size("Layer: nout", nout)
        self.neurons = [Neuron(nin, nonlin, activation=activation, seed=rng) for _ in range(nout)]

    def __call__(self, x: Sequence[Any]) -> Any:
        constant, xs = current().constant, _inputs(x)
        try:  # once for all neurons
            x = [v if type(v) is Value else constant(ops.real(v)) for v in xs]
        except TypeError:
            raise _no_input(xs) from None
        size, usual = len(x), Neuron.__call__ is _neuron_call
        out = [
            neuron(n.w, x, n.b, n.activation if n.nonlin else None)
            if usual and type(n) is Neuron and len(n.w) == size  # what n(x) would do, sooner
            else n(x)
            for n in self.neurons
        ]
        return out[0] if len(out) == 1 else out

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
        many = isinstance(nouts, Iterable) and not isinstance(nouts, str)
        given = list(nouts) if many else []
        if not given:
            raise ValueError(
                f"MLP: nouts must be a list of at least one size, got {shown(nouts)}; for one "
                "layer of 3 neurons write [3]"
            )
        nouts = [_size(f"MLP: nouts[{k}]", size) for k, size in enumerate(given)]
        sizes = [_size("MLP: nin", nin), *nouts]
        self.layers = [
            Layer(a, b, nonlin=i != len(nouts) - 1, activation=activation, seed=rng)
            for i, (a, b) in enumerate(zip(sizes, nouts, strict=False))
        ]

    def __call__(self, x: Sequence[Any]) -> Any:
        out: Any = x
        for layer in self.layers:
            out = layer(out)
        return out

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


def load(path: str | os.PathLike[str]) -> Module:
    """The Neuron, Layer or MLP in a file that `save` wrote.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not a saved model; or one of another class, or with an
            activation that is not in the table: make such a model and call its `load`.
    """
    config, state = _read(path)
    try:
        if _parameter_count(config) != len(state):  # before memory is filled
            raise ValueError(f"sizes that do not fit its {len(state)} parameters")
        model = _rebuilt(config)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"load: {os.fspath(path)!r}: {error}; make such a model and call its load"
        ) from error
    return model.load(path)


def _parameter_count(config: dict[str, Any]) -> int:
    """How many parameters a model of that configuration has."""
    if config["class"] == "MLP":
        if "layers" in config:
            if {layer["class"] for layer in config["layers"]} != {"Layer"}:
                raise ValueError("an MLP of something else than layers")
            return sum(_parameter_count(layer) for layer in config["layers"])
        return sum((a + 1) * b for a, b in pairwise(config["sizes"]))
    if config["class"] == "Layer" and config["neurons"]:
        return sum(_parameter_count(neuron) for neuron in config["neurons"])
    if config["class"] == "Neuron":
        return 1 + _size("size", config["size"])
    raise ValueError(f"expected an MLP, a Layer with neurons or a Neuron, got {config['class']!r}")


def _rebuilt(config: dict[str, Any]) -> Module:
    """A model of that configuration, its parameters still to be loaded."""
    if config["class"] == "MLP":
        if "layers" not in config:
            nin, *nouts = config["sizes"]
            return MLP(nin, nouts, activation=config["activation"], seed=0)
        model = MLP(1, [1], seed=0)
        model.layers = [_rebuilt(layer) for layer in config["layers"]]  # type: ignore[misc]
        return model
    if config["class"] == "Neuron":
        return Neuron(config["size"], activation=config["activation"], seed=0)
    layer = Layer(1, 1, seed=0)
    layer.neurons = [_rebuilt(neuron) for neuron in config["neurons"]]  # type: ignore[misc]
    return layer


def _rng(seed: Any) -> Any:
    """Where random numbers come from: `random` itself, a new generator, one handed on."""
    if seed is None:
        return random
    if hasattr(seed, "uniform"):
        return seed
    try:
        return random.Random(operator.index(seed))
    except TypeError:
        raise TypeError(f"seed must be an int or a generator, got {shown(seed)}") from None


def _size(name: str, size: Any) -> int:
    """The number of neurons as an int: NumPy's integers are welcome."""
    try:
        number = operator.index(size)
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f"{name} must be a number of neurons, from 1 on, got {shown(size)}")
    return number


def _inputs(x: Any) -> Sequence[Any]:
    """A module's inputs; of a single one, the number itself will do."""
    if isinstance(x, (dict, str, bytes, set, frozenset)) or x is None:
        raise TypeError(f"inputs must be a list of numbers, got {shown(x)}")
    if not isinstance(x, Iterable):
        return [x]
    return x if isinstance(x, list) else list(x)


def _no_input(xs: Sequence[Any]) -> TypeError:
    """The refusal of inputs among which one is no number."""
    for k, x in enumerate(xs):
        if isinstance(x, Iterable) and not isinstance(x, str):
            return TypeError(
                f"inputs: item {k} is {shown(x)}, not a number; for several samples call the "
                "model for each: [model(x) for x in xs]"
            )
        if type(x) is not Value:
            try:
                ops.real(x, f"inputs: item {k}")
            except TypeError as error:
                return error
    return TypeError(f"inputs must be numbers, got {shown(xs)}")


def __getattr__(name: str) -> Any:
    remedy = f"; it is miniflow.math.{name}" if name in ops.TABLE else advice(name, NN, __all__)
    raise AttributeError(f"module 'miniflow.nn' has no attribute {name!r}{remedy}")
