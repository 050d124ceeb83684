"""Graphs that several tests draw."""

from hypothesis import strategies as st

import miniflow.math as mm
from miniflow import Value, no_grad, trace
from miniflow.nn import MLP
from miniflow.ops import TABLE
from support.expressions import micrograd_readme
from viz import draw_dot

AWKWARD = [
    *r"<>{}|\&'`~!@#$%^*()-_=+[];:,./?" '"',
    *("<b>bold</b>", "<<b>x</b>>", "<", "<>", "<f0> x", "{a|b}", "{", "}|{", "a|b"),
    *(r"\N", r"\G", r"\E", r"\T", r"\H", r"\L", r"\l", r"\r", r"\n", "\\", r"\\", r"\\\N", "a\\"),
    *('"', '""', '\\"', '"\\', '"];', "a -> b", "// no comment", "/*", "#", 'charset="latin-1"'),
    *("&amp;", "&lt;", "&#60;", "&nbsp;", "& ", "&nosuch;", "%s %d %%", "-->", "a--b", "]]>"),
    *(" ", "  ", " a", "a ", "  a   b  ", "a\nb", "\na", "a\n", "a\n\nb", "\n", " \n ", "<\n>"),
    *(
        "é",
        "θ₁",
        "Σ·∂",
        "日本語",
        "😀",
        "👩‍👩‍👧",
        "e\u0301",
        "שלום",
        "a\xa0b",
        "digraph",
        "node",
        "x" * 200,
    ),
]
OPERATIONS = [op for op in TABLE.values() if op.name != "round_to"]  # its digits are no NaN


def leaf():
    return Value(3.0, label="x")


def double():
    a = Value(2.0, label="a")
    y = a + a
    y.backward()
    return y


def neuron():
    """The neuron of micrograd's lecture."""
    x1, x2 = Value(2.0, label="x1"), Value(0.0, label="x2")
    w1, w2 = Value(-3.0, label="w1"), Value(1.0, label="w2")
    b = Value(6.8813735870195432, label="b")
    terms = x1 * w1, x2 * w2
    for term, label in zip(terms, ("x1*w1", "x2*w2"), strict=True):
        term.label = label
    total = terms[0] + terms[1]
    total.label = "x1*w1 + x2*w2"
    n = total + b
    n.label = "n"
    o = n.tanh()
    o.label = "o"
    o.backward()
    return o


def readme():
    """The expression of micrograd's README."""
    a = Value(-4.0, label="a")
    b = Value(2.0, label="b")
    g = micrograd_readme(a, b)
    g.label = "g"
    g.backward()
    return g


def choice():
    x, z = Value(3.0, label="x"), Value(0.5, label="z")
    y = mm.where(x - z, x * x, z / x)
    y.backward()
    return y


def dot_product():
    w = [Value(-3.0, label="w1"), Value(1.0, label="w2")]
    x = [Value(2.0, label="x1"), Value(0.0, label="x2")]
    return mm.dot(w, x)


def awkward():
    a = Value(1e-9, label='<b>{x|y}</b> "q" \\N & &lt;')
    b = Value(float("inf"), label="two\nlines")
    with no_grad():
        c = a * 1e30
    c.label = "  "
    y = a * b + c
    y.label = "\\"
    y.backward()
    return y


def program():
    w = Value(2.0, label="w")

    def f(x, y):
        sum_of_both = w * x + y
        if sum_of_both > 1.0 and x != y:
            return mm.tanh(sum_of_both) ** 2, sum_of_both, 3.0
        return x, y, w

    return trace(f, 2.0, 3.0)


GRAPHS = {
    f.__name__: f for f in (leaf, double, neuron, readme, choice, dot_product, awkward, program)
}


@st.composite
def graphs(draw):
    """A few of the Values of a random graph: any operations on any operands."""
    values = [Value(draw(st.floats(-2, 2))) for _ in range(draw(st.integers(1, 3)))]
    ops = st.sampled_from(OPERATIONS)
    for _ in range(draw(st.integers(0, 12))):
        op = draw(ops)
        count = op.arity if op.arity > 0 else 2 * draw(st.integers(1, 3))
        operands = [draw(st.sampled_from(values) | st.floats(-2, 2)) for _ in range(count)]
        y = op(*operands)
        if isinstance(y, Value):
            values.append(y)
    return draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))


def chain(length):
    y = Value(1.0)
    for _ in range(length):
        y = -y
    return y


def several():
    """Diagrams of a network, folded and not."""
    model = MLP(2, [3, 1], seed=1)
    x = [[Value(float(i + j), label=f"x{j}") for j in range(2)] for i in range(40)]
    loss = mm.sum([(model(row) - 1.0) ** 2 for row in x])
    loss.backward()
    options = [{"limit": None}, {"fold": True}, {"theme": "dark", "compact": True}]
    return "".join(draw_dot(loss, **kwargs).source for kwargs in options)
