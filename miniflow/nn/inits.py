"""How the weights of a layer begin: by name, or by a function of one's own.

An initialisation draws one number, given how many numbers go into the layer and how many come
out of it. Biases begin as 0, but for "torch", which draws them, too.
"""

from collections.abc import Callable
from math import sqrt
from typing import Any

from miniflow import ops
from miniflow.tape.core import Value
from miniflow.util.habits import advice
from miniflow.util.words import shown

Init = str | Callable[[int, int, Any], float]


def he(nin: int, nout: int, rng: Any) -> float:
    """Normal, of variance 2/nin: numbers keep their size through layers of relu.

    Source: He et al., Delving Deep into Rectifiers (2015), equation 10.
    """
    return _normal(rng, sqrt(2 / nin))


def glorot(nin: int, nout: int, rng: Any) -> float:
    """Uniform, of variance 2/(nin + nout): a compromise between both directions.

    Source: Glorot & Bengio, Understanding the difficulty of training deep feedforward neural
    networks (2010), equation 16.
    """
    bound = sqrt(6 / (nin + nout))
    return float(rng.uniform(-bound, bound))


def lecun(nin: int, nout: int, rng: Any) -> float:
    """Normal, of variance 1/nin: sums of inputs of variance 1 have variance 1.

    Source: LeCun et al., Efficient BackProp (1998), equation 16.
    """
    return _normal(rng, sqrt(1 / nin))


def uniform(nin: int, nout: int, rng: Any) -> float:
    """Uniform in [-1, 1]. Source: micrograd's Neuron."""
    return float(rng.uniform(-1, 1))


def normal(nin: int, nout: int, rng: Any) -> float:
    """Normal, of variance 1. Source: the default of PyTorch's Embedding."""
    return _normal(rng, 1.0)


def torch(nin: int, nout: int, rng: Any) -> float:
    """Uniform, of variance 1/(3 nin). Source: the default of PyTorch's Linear."""
    bound = sqrt(1 / nin)
    return float(rng.uniform(-bound, bound))


INITS = {f.__name__: f for f in (he, glorot, lecun, uniform, normal, torch)}


def _normal(rng: Any, spread: float) -> float:
    """A normal number from a generator of Python's or NumPy's."""
    return float((rng.gauss if hasattr(rng, "gauss") else rng.normal)(0.0, spread))


def init_of(init: Init) -> Callable[[int, int, Any], float]:
    """The function that is meant.

    Raises:
        ValueError: there is no initialisation of that name.
    """
    found = INITS.get(init) if isinstance(init, str) else init
    if not callable(found):
        remedy = advice(init, {}, INITS) if isinstance(init, str) else ""
        raise ValueError(
            f"init must be one of {', '.join(map(repr, INITS))}, or a function of nin, nout and a "
            f"generator of random numbers, got {shown(init)}{remedy}"
        )
    return found


def drawn_weights(init: Init, nin: int, nout: int, rng: Any, fan: int = 0) -> list[Value]:
    """The weights of one neuron: `nin` of them, drawn as if `fan` numbers went in, if given."""
    draw = init_of(init)
    return [Value(ops.real(draw(fan or nin, nout, rng), "init")) for _ in range(nin)]


def made_for(init: Init, nout: int) -> Callable[[int, int, Any], float]:
    """The initialisation of neurons that stand in a layer of `nout`."""
    draw = init_of(init)
    return lambda nin, _, rng: draw(nin, nout, rng)


def biases(init: Init, nin: int, nout: int, rng: Any) -> list[Value]:
    """The biases of a layer."""
    return [Value(torch(nin, nout, rng) if init == "torch" else 0.0) for _ in range(nout)]
