"""Source text of programs, run and compared with the eager answer."""

import ast
import builtins
import math

from miniflow import math as m
from miniflow.program.python import python_text

RAISES = (ArithmeticError, ValueError)  # what Python does where IEEE arithmetic goes on


def executed(source, **known):
    """The namespace of a text that is run where there is no miniflow."""

    def importing(name, *args):
        assert name in ("math", "fractions"), name
        return __import__(name, *args)

    allowed = {**vars(builtins), "__import__": importing}
    namespace = {"__builtins__": allowed, **known}
    exec(compile(source, "<source>", "exec"), namespace)
    return namespace


def last(source, **known):
    """The function that a text defines at its end."""
    return executed(source, **known)[ast.parse(source).body[-1].name]


def function(program, **known):
    f = last(program.source(), **known)
    assert f.__name__.rstrip("_") == program.name.rstrip("_")
    return f


def flat(program):
    """The function of a list that returns a list."""
    return last(python_text(program, flat=True))


def all_finite(program, xs):
    """Whether no number on the way is infinite or nan."""
    met = list(xs)

    def noted(op):
        def value(*operands):
            met.append(op.value(*operands))
            return met[-1]

        return value

    for whole in (program, program.expanded(())):  # a decomposition may need less
        met += whole.constants  # what it has computed already
        whole.run([*xs, *program.live()], noted)
    return all(map(math.isfinite, met))


def answered(f, program, xs):
    """The text's answer, or None where it may raise: where something is not finite."""
    try:
        return f(*xs)
    except RAISES:
        if all_finite(program, xs):
            raise
        return None


def defined(name, *parameters, body):
    """A function with any names in it."""
    namespace = {"m": m}
    exec(f"def {name}({', '.join(parameters)}):\n    {body}\n", namespace)
    return namespace[name]


def neuron(x, w, b):
    s = x * w + b
    if s > 4:
        return s
    activation = m.tanh(s)
    return activation**2
