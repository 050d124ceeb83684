"""`summary`: a table of a model's layers and how many parameters they have."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from miniflow.nn import Module, parts
from miniflow.tape.grad_mode import no_grad
from miniflow.train.network import listed
from miniflow.train.problem import dims_of, in_mode
from miniflow.util.words import shown

HEADS = ("layer", "shape", "activation", "parameters")


def summary(model: Any, x: Any = None, *, print_fn: Callable[[str], Any] = print) -> None:
    """Print a table of a model: layers, the shapes of what they return, activations, parameters.

    Args:
        model: the model.
        x: a sample to call it with; if left out, zeros, where the model says how many it takes.
            Without, shapes are not known and shown as ?.
        print_fn: what is called with the text.

    Raises:
        TypeError: the model is not a module.

    Example:
        >>> from miniflow.nn import MLP
        >>> summary(MLP(4, [16, 3]))
        MLP
        layer             shape  activation  parameters
        layers.0 (Layer)     16        relu          80
        layers.1 (Layer)      3      linear          51
        total                                       131
    """
    if not isinstance(model, Module):
        raise TypeError(f"summary: model must be a module, got {shown(model)}")
    layers = _layers(model) or [("", model)]
    shapes = _shapes(model, [layer for _, layer in layers], x)
    lines: list[tuple[str, str, str, str]] = []
    counted: set[int] = set()
    for name, layer in layers:
        mine = {id(v) for v in layer.parameters()} - counted
        counted |= mine
        title = f"{name} ({type(layer).__name__})" if name else type(layer).__name__
        lines.append((title, shapes.get(id(layer), "?"), _activation_of(layer), f"{len(mine):,}"))
    rest = len(model.parameters()) - len(counted)
    if rest:
        lines.append((f"({type(model).__name__}'s own)", "", "", f"{rest:,}"))
    lines.append(("total", "", "", f"{len(model.parameters()):,}"))
    print_fn(_aligned(type(model).__name__, lines))


def _layers(model: Module) -> list[tuple[str, Module]]:
    """The modules that a model holds itself, in attributes and in lists of them, with names."""
    found: list[tuple[str, Module]] = []
    for name, child in parts(model):
        if isinstance(child, Module):
            found.append((str(name), child))
        elif isinstance(child, (list, tuple)):
            found += [(f"{name}.{k}", x) for k, x in enumerate(child) if isinstance(x, Module)]
    # of neurons side by side the layer is what is shown
    return [] if hasattr(model, "neurons") else found


def _shapes(model: Module, layers: list[Module], x: Any) -> dict[int, str]:
    """What each layer returns: noted in a call of the model."""
    sample = _zeros(layers[0]) if x is None else listed(x)
    if sample is None:
        return {}
    found: dict[int, str] = {}
    wanted = {id(layer) for layer in layers}

    def noting(call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(self: Any, *args: Any, **kwargs: Any) -> Any:
            out = call(self, *args, **kwargs)
            if id(self) in wanted:
                found[id(self)] = " x ".join(map(str, dims_of(listed(out)))) or "1"
            return out

        return noted

    called: Any = model
    with ExitStack() as stack:
        for kind in {type(layer) for layer in layers}:
            stack.enter_context(_replaced(kind, noting))
        with in_mode(model, training=False), no_grad():
            called(sample)
    return found


@contextmanager
def _replaced(kind: Any, changed: Callable[[Any], Any]) -> Iterator[None]:
    """A block in which calls of a class's objects are changed."""
    call, own = kind.__call__, "__call__" in vars(kind)
    kind.__call__ = changed(call)
    try:
        yield
    finally:
        if own:
            kind.__call__ = call
        else:
            del kind.__call__


def _zeros(layer: Any) -> list[float] | None:
    """A sample for a model whose first layer says how many numbers it takes."""
    if callable(getattr(layer, "shape", None)):
        count = layer.shape()[0]
        return None if count is None else [0.0] * count
    neurons = getattr(layer, "neurons", None) if hasattr(layer, "neurons") else [layer]
    weights = vars(neurons[0]).get("w") if neurons else None
    return [0.0] * len(weights) if isinstance(weights, list) else None


def _activation_of(layer: Any) -> str:
    """The name of a layer's activation, "" if it has none of its own."""
    first = layer.neurons[0] if "neurons" in vars(layer) and layer.neurons else layer
    return str(getattr(first, "activation_name", ""))


def _aligned(title: str, lines: list[tuple[str, str, str, str]]) -> str:
    widths = [max(map(len, column)) for column in zip(HEADS, *lines, strict=True)]
    written = [title]
    for name, *others in (HEADS, *lines):
        cells = [name.ljust(widths[0])]
        cells += [x.rjust(width) for x, width in zip(others, widths[1:], strict=True)]
        written.append("  ".join(cells).rstrip())
    return "\n".join(written)
