"""What the tests of `jit` compare with.

Terms:
    eager   the function itself, called with Values
    path    one way through a function; it is recorded once, when a call first takes it
    flip    a change of inputs that leads to another path
"""

from fractions import Fraction

from miniflow import Value, jit
from miniflow import math as m

BACKENDS = ["native", "source"]


def plain(tree):
    """A structure with numbers in the place of Values."""
    if tree.__class__ is Value:
        return tree.data
    if isinstance(tree, (list, tuple)):
        return type(tree)([plain(x) for x in tree])
    return float(tree) if type(tree) is int else tree


def eager(f, *args):
    """The result of a call with Values, as plain numbers."""
    return plain(f(*[Value(x) for x in args]))


def slopes(f, *args):
    """What backward() adds to each argument of a call with Values; the entries' first."""
    values = [Value(x) for x in args]
    y = f(*values)
    if y.__class__ is Value:
        y.backward()
    return [x.grad for x in values]


def entries(tape):
    """The operations that were recorded: leaves and literal numbers are rows, too."""
    return [x.op for x in tape if x.op not in ("leaf", "constant")]


def nested(x, y):
    if x > 0:
        return x * y if y > 1 else x - y
    if not y <= x:
        return y / x
    return -x if x == y else x + 3


def halving(x, y):
    """A loop bounded by a Value."""
    steps = 0
    while abs(x) > 1 and steps < 6:
        x, steps = x / 3, steps + 1
    return x * y + steps


def newton(x, y):
    """The square root by steps until they are small."""
    a, root = abs(x) + 0.5, y
    for _ in range(6):
        step = (root * root - a) / (2 * root)
        root = root - step
        if abs(step) <= 1e-9 * abs(root):
            break
    return root


def classified(x, y):
    if m.isnan(x) or m.isnan(y):
        return "nan", 0.0
    if m.isinf(x):
        return "infinite", y
    return ("close" if m.isclose(x, y, abs_tol=0.5) else "apart"), x - y


def ordered(x, y):
    """Python's own sorting, extremes and membership."""
    xs = sorted([x, y, x * y, 0.5])
    return [*xs, max(x, y), min(x, y, 0.0), 1.0 if y in (0.0, 1.0, -0.0) else x]


def truth(x, y):
    """Answers that are no numbers, by truth values and chains of comparisons."""
    return bool(x), not y, -1 < x < y <= 2, x != y, (x and y), (x or y)


def bisected(x, y):
    """A search in a table of Python numbers."""
    table, low, high = [-4, 0, 0.25, 1, 7], 0, 5
    while low < high:
        middle = (low + high) // 2
        if table[middle] < x:
            low = middle + 1
        else:
            high = middle
    return y * low + x


def whole(x, y):
    """Comparisons with ints and fractions that no float equals."""
    third, huge = Fraction(1, 3), 10**400
    return x * (x < third) + y * (y >= 2**53 + 1) + 2 * (x == third) + 4 * (-huge < y < huge)


def again(x, y):
    """The same comparison many times, and its opposite; the path is one of two."""
    z = x
    for _ in range(6):
        z = z + y if x < y else z - y
        z = z * 2 if not x < y else z
    return z


FUNCTIONS = [nested, halving, newton, classified, ordered, truth, bisected, whole, again]
COMPILED = {
    (f, backend): jit(f, backend=backend) for f in FUNCTIONS for backend in BACKENDS
}  # they keep their paths from example to example


def smooth(x, y):
    return m.sin(x * y) + x / (1.5 + y * y) - m.exp(-x)
