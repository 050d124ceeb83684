"""What things are called in all pictures: diagrams, pages, networks, plots, tables.

A parameter's name is its path in the outermost module that holds it, as `named_parameters` has
it. In a frame that says how the path begins, its end is enough.
"""

import re
from collections.abc import Sequence
from itertools import accumulate

VALUE_WORD, GRADIENT_WORD = "value", "gradient"  # what the numbers of a box are
TIMES = "\u00d7"  # the sign of multiplication, and of how many there are


def shown_sign(symbol: str) -> str:
    """An operation's sign.

    Example:
        >>> shown_sign("*"), shown_sign("**"), shown_sign("tanh")
        ('×', '**', 'tanh')
    """
    return TIMES if symbol == "*" else symbol


def within(name: str, frame: Sequence[str]) -> str:
    """A name where it stands in a frame: without what the frame's own names say.

    Example:
        >>> within("layers.0.neurons.2.b", ("MLP", "layers.0")), within("layers.0.b", ())
        ('neurons.2.b', 'layers.0.b')
    """
    ends = accumulate(reversed(frame), lambda end, outer: f"{outer}.{end}")
    for end in sorted(ends, key=len, reverse=True):
        if name.startswith(f"{end}."):
            return name[len(end) + 1 :]
    return name


def neuron_of(name: str) -> str:
    """The path of the neuron whose weight or bias a parameter is; "" if it is none.

    Example:
        >>> neuron_of("layers.0.neurons.2.w.1"), neuron_of("neurons.0.b"), neuron_of("b")
        ('layers.0.neurons.2', 'neurons.0', '')
    """
    found = re.fullmatch(r"(.*?neurons\.\d+)\.(?:w\.\d+|b)", name)
    return found[1] if found else ""


def holder_of(name: str) -> str:
    """The path of what holds a parameter, a list of weights not counted; "" for a model's own.

    Example:
        >>> holder_of("layers.0.neurons.2.w.1"), holder_of("scale.by"), holder_of("w.0")
        ('layers.0.neurons.2', 'scale', '')
    """
    return re.sub(r"(^|\.)[^.]*$", "", re.sub(r"(\.\d+)+$", "", name))
