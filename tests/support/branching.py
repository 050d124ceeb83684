"""Random functions with branches, and whether `jit` and `vmap` answer as they do eagerly."""

import random

import numpy as np

import miniflow.math as m
from miniflow import Value, grad, jit, jvp, value_and_grad, vmap
from support.batches import total
from support.machine_code import bits

NUMBERS = [
    0.0, -0.0, 1.0, 1.0, 2.0, -1.0, 0.5, 3.5, -2.25, 1e-9, 1e300, float("inf"), -float("inf"),
    float("nan"),
]  # fmt: skip
SIMPLE = [
    "{a} + {b}", "{a} - {b}", "{a} * {b}", "{a} / {b}", "-{a}", "{a} * 0.5", "{a} * 2", "3 - {a}",
    "{a} ** 2", "m.tanh({a})", "m.sqrt({a})", "m.where({a}, {b}, {c})", "m.maximum({a}, {b})",
]  # fmt: skip
PICKED = [
    "max({a}, {b}, {c})", "min({a}, {b}, {c})", "max([{a}, {b}])", "min({a}, 0.5)", "max({a}, 0)",
    "max(x * {a} for x in [{b}, 0.5, {c}])", "min(max({a}, 0.0), 1)", "max(-1, min({a}, 2))",
    "max({a}, {b}, key=lambda v: -v)", "min([{a}, {b}], default={c})", "max([], default={a})",
    "{a} if {b} < {c} else {b}", "sorted([{a}, {b}, {c}])[1]", "abs({a})", "larger({a}, {b})",
    "clipped({a}, {b})", "xs[xs.index(max(xs[1:])) - 1]", "sum(v for v in xs if v is not max(xs))",
    "round(max({a}, 0.5)) * {b}", "1.0 / max({a}, {b})",
]  # fmt: skip
TESTS = [
    "{a} < {b}", "{a} >= {b}", "{a} == {b}", "{a} != {b}", "{a} > 0.5", "{a} <= 1", "{a} == 2",
    "not {a} <= {b} < {c}", "{a}", "max({a}, {b}) > {c}", "{a} in xs", "-1 < min({a}, 3)",
]  # fmt: skip
HELPERS = """
def larger(a, b):
    if a > b:
        return a
    return max(b, 0.25)

def clipped(a, b):
    low, high = min(a, b), max(a, b)
    for step in (0.5, 2):
        if high - low > step:
            return low + step
    return high
"""


class Writer:
    """Writes the text of a function of x, y and z, by a source of random numbers."""

    def __init__(self, source):
        self.source = source
        self.names = ["x", "y", "z"]
        self.lines = ["def f(x, y, z):", "    xs = [x, y, z]"]
        self.count = 0

    def filled(self, patterns):
        a, b, c = self.source.choices(self.names, k=3)
        return self.source.choice(patterns).format(a=a, b=b, c=c)

    def line(self, text, depth):
        self.lines.append("    " * depth + text)

    def assignment(self, depth, *, new=True):
        """To a new variable, or to one that there is."""
        value = self.filled(self.source.choice([SIMPLE, PICKED]))
        name = f"v{self.count}" if new else self.source.choice(self.names)
        self.line(f"{name} = {value}", depth)
        if new:
            self.count += 1
            self.names.append(name)

    def branch(self, depth):
        """Variables change in it, or the function returns."""
        self.line(f"if {self.filled(TESTS)}:", depth)
        self.inside(depth + 1)
        if self.source.random() < 0.4:
            self.line("else:", depth)
            self.inside(depth + 1)

    def inside(self, depth):
        kind = self.source.random()
        if kind < 0.25 and depth < 4:
            self.branch(depth)
        elif kind < 0.45:
            self.line(f"return {self.filled(SIMPLE + PICKED)}", depth)
        else:
            self.assignment(depth, new=False)

    def loop(self, depth):
        """It ends when a number says so, or after a few steps."""
        self.line(f"for k in range({self.source.randint(1, 4)}):", depth)
        self.line(f"if {self.filled(TESTS)}:", depth + 1)
        self.line(self.source.choice(["break", "continue"]), depth + 2)
        self.assignment(depth + 1, new=False)

    def text(self):
        for _ in range(self.source.randint(2, 7)):
            step = self.source.choice([self.assignment, self.assignment, self.branch, self.loop])
            step(1)
        results = [self.names[-1] + " * {b}", "{a}", "{a} + {b} * {c}", "max({a}, {b})"]
        self.line(f"return {self.filled(results)}", 1)
        return HELPERS + "\n" + "\n".join(self.lines)


def made(text):
    """The function of a text."""
    names = {"m": m}
    exec(compile(text, "<branching>", "exec"), names)
    return names["f"]


def random_points(source, count):
    """Points where sides of comparisons are often equal, infinite or NaN."""
    return [tuple(source.choice(NUMBERS) for _ in range(3)) for _ in range(count)]


def plain(tree):
    """A result with numbers in the place of Values; ints stay ints."""
    if isinstance(tree, (list, tuple)):
        return type(tree)([plain(x) for x in tree])
    return tree.data if tree.__class__ is Value else tree


def answer(f, xs):
    """What a call gives, to the last bit and with its types; or the type of its error."""
    try:
        return bits(plain(f(*xs)))
    except Exception as error:
        return type(error)


def twice(f):
    """A gradient of a gradient."""
    slopes = grad(f, argnums=(0, 1, 2))
    return grad(lambda *xs: m.dot(slopes(*xs), [1.0, 0.5, -2.0]), argnums=(0, 1, 2))


def forward(f):
    """The derivative along a direction."""
    return lambda *xs: jvp(f, xs, (1.0, -0.5, 2.0))


def mixed(f):
    """The gradient of such a derivative."""
    return grad(lambda *xs: forward(f)(*xs)[1], argnums=(0, 1, 2))


def ways(f):
    """Functions to be compiled, and what they are to answer."""

    def on_values(*xs):
        return f(*map(Value, xs))

    slopes = value_and_grad(f, argnums=(0, 1, 2))
    yield "value", f, on_values
    yield "slopes", slopes, slopes
    yield "twice", twice(f), twice(f)
    yield "forward", forward(f), forward(f)
    yield "mixed", mixed(f), mixed(f)


def wrong_answers(f, points, *, batch=False, backend="tape", ways=ways):
    """Where the answers of compiled functions, or of a batch, are not the eager ones."""
    wrong = []
    for name, function, expected in ways(f):
        compiled = jit(function, backend=backend)
        for again in range(1 if backend == "tape" else 3):
            for xs in points:
                if answer(compiled, xs) != answer(expected, xs):
                    wrong.append((name, xs))
            if again == 0 and backend != "tape":
                compiled.ready()
    return wrong + (wrong_elements(f, points * 4) if batch else [])


def wrong_elements(f, points):
    """The elements of a batch whose answers are not the eager ones."""

    def expected(*xs):
        return float(plain(f(*map(Value, xs))))

    given = [(xs, y) for xs in points if isinstance(y := answer(expected, xs), str)]
    if not given:
        return []
    g, summed, wrong = vmap(f, precise=True), vmap(f, reduce="sum", precise=True), []
    for _ in range(4):  # side exits become known, guards choices
        given = [*given[5:], *given[:5]]  # another element is the first
        columns = np.array([xs for xs, _ in given]).T
        found = g(*columns).tolist()
        wrong += [
            ("vmap", x) for (x, y), z in zip(given, found, strict=True) if bits(float(z)) != y
        ]
        if bits(float(summed(*columns))) != bits(total([*map(float, found)])):
            wrong.append(("sum", given))
    return wrong


def of_seed(seed, *, batch=False, backend="tape"):
    """The text of random function number `seed`, and where its answers are wrong."""
    source = random.Random(seed)
    text = Writer(source).text()
    f, points = made(text), random_points(source, 12)
    return text, wrong_answers(f, points, batch=batch, backend=backend)
