"""Rules of micrograd and autograd, right and with a fault, as functions with their gradients.

micrograd's are a copy of its module, made from its source; autograd's are entries of its table of
rules, put back afterwards.
"""

import contextlib
import importlib.util
import types
from pathlib import Path

# Lines of micrograd's engine and what they become; each pair is one fault.
MICROGRAD = {
    "sign of a sum": ("other.grad += out.grad", "other.grad -= out.grad"),
    "sign of a product": ("self.grad += other.data *", "self.grad += -other.data *"),
    "factor of a power": ("(other * self.data**(other-1))", "(self.data**(other-1))"),
    "factor of a sum": ("self.grad += out.grad", "self.grad += 2 * out.grad"),
    "exponent of a power": ("self.data**(other-1)) *", "self.data**other) *"),
    "a term of a sum": ("self.grad += out.grad", "self.grad = out.grad"),
    "a term of a product": ("other.grad += self.data", "other.grad = self.data"),
    "swapped operands": ("self.grad += other.data *", "self.grad += self.data *"),
    "wrong branch": ("(out.data > 0)", "(out.data <= 0)"),
    "no branch": ("(out.data > 0)", "1"),
    "too few digits of a product": (
        "other.grad += self.data *", "other.grad += 1.000001 * self.data *"
    ),
    "too few digits of a power": ("(other * self", "(1.000001 * other * self"),
    "one orthant of a product": (
        "other.grad += self.data * out.grad",
        "other.grad += self.data * out.grad * (1.25 if self.data < 0 < other.data else 1)",
    ),
    "one orthant of a power": (
        "(other * self", "((1.5 if self.data < -0.5 else 1) * other * self"
    ),
}  # fmt: skip


def micrograd(fault=None):
    """A copy of micrograd's class Value, with one fault or none."""
    path = importlib.util.find_spec("micrograd").submodule_search_locations[0]
    text = (Path(path) / "engine.py").read_text(encoding="utf-8")
    old, new = MICROGRAD[fault] if fault else ("", "")
    assert old in text
    copy = types.ModuleType("micrograd_copy")
    exec(compile(text.replace(old, new, 1), "micrograd_copy", "exec"), vars(copy))
    return copy.Value


def with_micrograd(kind):
    """A function of three numbers in micrograd's operations, and its gradient."""

    def graph(a, b, c):
        d = a * b + b**3
        e = (d + c).relu() + (a - c).relu() * 0.5
        return (e - d * c) ** 2 / (a * a + 2.0) + c * b + e

    def gradient(*xs):
        leaves = [kind(x) for x in xs]
        graph(*leaves).backward()
        return tuple([v.grad for v in leaves])

    return graph_of_numbers(graph, kind), gradient


def graph_of_numbers(graph, kind):
    return lambda *xs: graph(*[kind(x) for x in xs]).data


# --- autograd -------------------------------------------------------------------

AUTOGRAD = {
    "sin": "sin", "exp": "exp", "tanh": "tanh", "log": "log", "sqrt": "sqrt", "product": "multiply",
    "quotient": "true_divide", "power": "power", "maximum": "maximum", "angle": "arctan2",
    "size": "abs",
}  # fmt: skip
KINDS = ("sign", "factor", "digits", "orthant", "swapped", "second")
ORDERED = ("quotient", "power", "angle")  # whose operands cannot change places
STRAIGHT = ("size", "maximum")  # whose slopes are constant
AUTOGRAD_FAULTS = [
    (rule, kind)
    for rule in AUTOGRAD
    for kind in KINDS
    if (kind != "swapped" or rule in ORDERED) and (kind != "second" or rule not in STRAIGHT)
]


def with_autograd(twice=False):
    """A function of two numbers in autograd's operations, and its gradient; or of its slope."""
    import autograd
    import autograd.numpy as anp

    def f(a, b):
        waves = anp.sin(a * b) + anp.tanh(a) * anp.exp(a - b * b)
        rest = anp.log(1 + a * a) / b + anp.power(2 + anp.abs(a), 1.5) * anp.sqrt(b + a * a)
        return waves + rest + anp.maximum(a, 0.3 * b) + anp.arctan2(a, b) * b

    if twice:
        f = autograd.grad(f)
    return (lambda a, b: float(f(a, b))), autograd.grad(f, (0, 1))


@contextlib.contextmanager
def spoilt_autograd(rule, kind):
    """Autograd with a fault in one of its rules."""
    import autograd.numpy as anp
    from autograd.core import primitive_vjps

    primitive = getattr(anp, AUTOGRAD[rule])
    right = primitive_vjps[primitive]
    primitive_vjps[primitive] = lambda *call: spoilt(kind, right, *call)
    try:
        yield
    finally:
        primitive_vjps[primitive] = right


def spoilt(kind, right, argnums, ans, args, kwargs):
    """A rule with a fault: what it hands back to its operands."""
    import autograd.numpy as anp
    from autograd.tracer import getval

    if kind == "second":  # right numbers, of which nothing is remembered
        return right(argnums, getval(ans), tuple(map(getval, args)), kwargs)
    if kind == "swapped":
        args = (*args[::-1],)
    pull = right(argnums, ans, args, kwargs)
    corner = float(getval(args[0]) > 0.25) if kind == "orthant" else 0.0
    factor = {"sign": -1.0, "factor": 1.5, "digits": 1 + 1e-6, "orthant": 1 + 0.25 * corner}
    return lambda g: tuple([anp.multiply(x, factor.get(kind, 1.0)) for x in pull(g)])
