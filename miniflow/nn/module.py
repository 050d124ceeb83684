"""What has parameters: modules, and how their parameters are found and named."""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from typing import Any
from weakref import WeakValueDictionary

from miniflow import ops
from miniflow.nn.saved import content, read
from miniflow.tape.core import Value, current
from miniflow.tape.quick import Bundle
from miniflow.tape.reading import located
from miniflow.tape.storage import is_leaf
from miniflow.util.files import write
from miniflow.util.habits import MODULE, advice
from miniflow.util.notebook import InNotebook
from miniflow.util.trained import Trained
from miniflow.util.trees import children, is_array
from miniflow.util.words import shown

PLAIN = frozenset((bool, int, float, str, type(None), ops.Op))  # types that hold no parameters


class ParameterName(str):
    """The label of a leaf that was the parameter of a module: recordings may outlive it."""


modules: WeakValueDictionary[int, "Module"] = WeakValueDictionary()  # those that are alive


class Module(Trained, InNotebook):
    """Anything with parameters: Values, and modules, in attributes and in lists of them.

    A class of your own says in `__call__` what it computes, or, as in PyTorch, in `forward`.

    A call of a module is a scope, in diagrams a frame: it has the name of the attribute that
    the module was assigned to first, such as ``layers.0``, or else that of its class.

    Attributes:
        training: whether the module is being trained; Dropout does nothing otherwise. `train`
            and `eval` set it.
    """

    _name = ""
    training = True

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = super().__new__(cls)
        modules[id(self)] = self
        return self

    def __init_subclass__(cls, scoped: bool = True, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "forward" in vars(cls) and _is_called_by_forward(cls):
            cls.__call__ = vars(cls)["forward"]  # type: ignore[method-assign]
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
        Bundle(self.parameters()).zero_gradients()

    def modules(self) -> list["Module"]:
        """The module itself and all that it holds, each once, in the order of the parameters."""
        found: dict[int, Module] = {}
        _collect_modules(self, found, set())
        return list(found.values())

    def train(self, mode: bool = True) -> "Module":
        """Let this module and all that it holds be trained; return self."""
        if not isinstance(mode, bool):
            raise TypeError(f"train: mode must be True or False, got {shown(mode)}")
        if current().trace is not None:
            raise RuntimeError(
                "train: a compiled function cannot set the mode of a model at each call; call "
                "train() or eval() outside of it"
            )
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> "Module":
        """Let this module and all that it holds be used as they are; return self."""
        return self.train(False)

    def shape(self) -> tuple[int | None, int | None]:
        """How many numbers go in and out; None where any may, or where nobody knows."""
        return None, None

    def state_dict(self, *, nested: bool = False) -> dict[str, Any]:
        """The parameters' numbers by name.

        Args:
            nested: whether lists of parameters are lists of numbers, as PyTorch has them:
                ``{"weight": [[1.0, 2.0]]}`` for ``{"weight.0.0": 1.0, "weight.0.1": 2.0}``.
        """
        state: dict[str, float] = {}
        for name, p in self.named_parameters():
            if name in state:
                raise ValueError(f"state_dict: two parameters are named {name!r}; rename one")
            state[name] = p.data
        return _as_lists(state) if nested else state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set the parameters' numbers, all of them or, on an error, none.

        Args:
            state: numbers by name, or nested lists, arrays or tensors of them: what
                `state_dict` returns, or that of PyTorch's module of the same name.

        Raises:
            KeyError: names are missing or unknown, or lists are of another shape.
            TypeError: a parameter is not a real number.
        """
        if not isinstance(state, Mapping):
            raise TypeError(
                f"load_state_dict: state must be a dict of numbers by name, got {shown(state)}"
            )
        parameters = dict(self.named_parameters())
        state = dict(
            pair for key, part in state.items() for pair in _named_numbers(key, part, parameters)
        )
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
        """What besides the parameters makes this model: kept with them by `save`.

        A module of your own adds its arguments, by their names: ``{**super().config(),
        "size": self.size, "body": self.body.config()}``. Then `load` can make it again.
        """
        return {"class": type(self).__name__}

    @classmethod
    def least_parameters(cls, config: dict[str, Any]) -> int:
        """How many parameters of its own a module with that configuration has at least.

        A file whose sizes do not fit its parameters is refused before memory is filled.
        """
        return 0

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Module":
        """A module with that configuration, its parameters still to be loaded.

        Args:
            config: the arguments of the class by name; what was the configuration of a module
                is that module.
        """
        made: Module = cls(**config)
        return made

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a JSON file: its configuration and parameters, exactly.

        The file is replaced as a whole: it is never left half-written.

        Raises:
            OSError: the file cannot be written.
            TypeError: the configuration holds what JSON cannot.
        """
        write(path, content(self.config(), self.state_dict()))

    def load(self, path: str | os.PathLike[str]) -> "Module":
        """Read the parameters from a file that `save` wrote, and return self.

        Raises:
            OSError: the file cannot be read.
            ValueError: the file is not a saved model, or one of another shape; the model
                is unchanged.
        """
        saved = read(path)
        if saved.config != json.loads(json.dumps(self.config())):  # tuples are lists in a file
            raise ValueError(
                f"load: {os.fspath(path)!r} holds {saved.config!r:.500}, this model is "
                f"{self.config()!r:.500}"
            )
        try:
            self.load_state_dict(saved.state)
        except (KeyError, TypeError, OverflowError) as error:
            raise ValueError(f"load: {os.fspath(path)!r}: {error.args[0]}") from error
        return self


class Seeded(Module):
    """A module that a seed makes reproducible."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Module:
        return super().from_config({**config, "seed": 0})  # no generator of others is touched


def _is_called_by_forward(cls: type) -> bool:
    """Whether a call of a class's modules is one of `forward`: none of its bases knows better."""
    calls = (vars(kind)["__call__"] for kind in cls.__mro__ if "__call__" in vars(kind))
    return next((call.__name__ == "forward" for call in calls), True)


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
        >>> from miniflow.nn import MLP
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


def _collect_modules(nest: Any, found: dict[int, Module], seen: set[int]) -> None:
    """Add the modules in a nest of modules and containers, once each."""
    if id(nest) in seen or type(nest) is Value or type(nest) in PLAIN:
        return
    seen.add(id(nest))
    if isinstance(nest, Module):
        found[id(nest)] = nest
    for _, child in parts(nest):
        _collect_modules(child, found, seen)


# --- states -------------------------------------------------------------------


def _named_numbers(name: str, part: Any, known: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The numbers of a state's entry, with their names."""
    part = part.tolist() if hasattr(part, "tolist") else part  # of arrays and tensors
    if not isinstance(part, (list, tuple)) or name in known:
        yield name, part
        return
    for k, x in enumerate(part):
        yield from _named_numbers(f"{name}.{k}", x, known)


def _as_lists(state: dict[str, float]) -> dict[str, Any]:
    """A state whose names that end in numbers, counted from 0, are lists, and lists of lists.

    Example:
        >>> _as_lists({"w.0": 1.0, "w.1": 2.0, "m.0.0": 3.0, "b": 4.0})
        {'w': [1.0, 2.0], 'm': [[3.0]], 'b': 4.0}
    """
    found: dict[str, Any] = {}
    for name, x in state.items():
        key, *places = re.split(r"\.(?=\d[\d.]*$)", name)
        if not places or (key not in found and set(places) != {"0"}):
            found[name] = x
            continue
        here = found.setdefault(key, [])
        for k, place in enumerate(map(int, places), start=1):
            if place == len(here):
                here.append([] if k < len(places) else x)
            here = here[place]
    return found


def _some(names: Any) -> str:
    listed = sorted(map(str, names))
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return ", ".join(listed[:3]) + more or "none"
