"""Whether all modes agree to the last bit: value, gradient and second order of one function."""

import numpy as np

from miniflow import Value, grad, hessian, jit, trace, vmap
from miniflow.util.trees import tree_map
from support.bits import bits
from support.modes import number

CALLS = 4  # until code is compiled, with backend "source"


def derived(f):
    """A function's last output, its gradient and its Hessian, as one function."""
    everything = tuple(range(f.count))

    def last(*xs):
        return f(*xs)[-1]

    def all_orders(*xs):
        return last(*xs), grad(last, everything)(*xs), hessian(last, everything)(*xs)

    return all_orders


def element(tree, k):
    """One element of what a batch answers; what does not depend on it is a number."""
    if isinstance(tree, tuple):
        return tuple(element(part, k) for part in tree)
    return tree[k] if isinstance(tree, np.ndarray) and tree.ndim else tree


def traced(g, xs):
    """By a program of that path."""
    return trace(g, *xs)(*xs)


def recorded(g, xs):
    """With Values, so that the sweeps are recorded, too."""
    return tree_map(number, g(*map(Value, xs)))


def modes(f, points):
    """The answers of each mode at each point, to the last bit."""
    g = derived(f)
    native, source = jit(g, backend="native"), jit(g, backend="source")
    for _ in range(CALLS):
        for xs in points:
            source(*xs)
    several = vmap(g, precise=True)(*map(np.array, zip(*points, strict=True)))
    found = {
        "eager": [g(*xs) for xs in points],
        "recorded": [recorded(g, xs) for xs in points],
        "trace": [traced(g, xs) for xs in points],
        "native": [native(*xs) for xs in points],
        "source": [source(*xs) for xs in points],
        "precise": [element(several, k) for k in range(len(points))],
    }
    return {name: bits(answers) for name, answers in found.items()}


def disagreeing(f, points, there=None):
    """The modes that do not answer as the eager one does here, with the answers; on both engines.

    Args:
        f: a random function.
        points: where to look.
        there: the other engine.
    """
    found = {f"here, {name}": x for name, x in modes(f, points).items()}
    if there is not None:
        found |= {f"there, {name}": x for name, x in there(modes, f, points).items()}
    right = found["here, eager"]
    return {name: (right, x) for name, x in found.items() if x != right}
