"""What is refused: with the right exception, a culprit, a remedy, and nothing changed."""

import cmath
import datetime
import math
import operator
import statistics
import struct
from array import array
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Tape, Value, define, grad, jvp, ops, vjp
from miniflow import math as m
from miniflow.tape.core import here
from support.naming import label


@pytest.fixture(autouse=True)
def unchanged():
    """Whatever a test tries, the tape is afterwards as usable as before."""
    a = Value(3.0)
    y = a * a
    names = set(ops.TABLE)
    yield
    table = here.table
    assert (a.data, y.data, a.grad, y.grad) == (3.0, 9.0, 0.0, 0.0)
    assert table.idle()
    assert set(ops.TABLE) == names
    y.backward()
    assert a.grad == 6.0


def refused(error, words, f, *args):
    """Assert that f(*args) raises `error`, its message has all `words`, nothing is recorded."""
    values = [x for x in args if x.__class__ is Value]
    count, before = here.table.count, [(x.data, x.grad, x.label) for x in values]
    with pytest.raises(error) as caught:
        f(*args)
    message = str(caught.value)
    assert all(word in message for word in words.split()), message
    assert here.table.count <= count
    assert before == [(x.data, x.grad, x.label) for x in values]


# --- a gradient silently lost -------------------------------------------------

CONVERSIONS = {
    "float": float,
    "int": int,
    "complex": complex,
    "math.sin": math.sin,
    "math.sqrt": math.sqrt,
    "math.hypot": lambda v: math.hypot(v, 1.0),
    "math.fsum": lambda v: math.fsum([v]),
    "math.isnan": math.isnan,
    "cmath.exp": cmath.exp,
    "np.array float": lambda v: np.array([v], dtype=float),
    "np.array float32": lambda v: np.array([v], dtype=np.float32),
    "np.array int": lambda v: np.array([v], dtype=int),
    "np.array complex": lambda v: np.array([v], dtype=complex),
    "np.asarray": lambda v: np.asarray(v, dtype=float),
    "astype": lambda v: np.array([v]).astype(float),
    "np.float64": np.float64,
    "np setitem": lambda v: operator.setitem(np.zeros(2), 0, v),
    "percent": lambda v: "%.2f" % v,  # noqa: UP031 - it is what is tested
    "array": lambda v: array("d", [v]),
    "index": lambda v: [1, 2, 3][v],
    "range": range,
    "repeat": lambda v: bytearray(1).__mul__(v),
    "hex": hex,
    "math.factorial": math.factorial,
}


@pytest.mark.parametrize("convert", CONVERSIONS.values(), ids=CONVERSIONS)
@pytest.mark.parametrize("make", [Value, lambda x: Value(x) * 1, lambda x: Value(x).detach()])
def test_a_value_never_becomes_a_plain_number(convert, make):
    refused(TypeError, ".data miniflow.math", convert, make(1.0))


LOUD = {
    "statistics": lambda v: statistics.mean([v, v]),
    "Fraction": Fraction,
    "struct": lambda v: struct.pack("d", v),
    "bytes": bytes,
    "slice": lambda v: [1, 2][v:],
}


@pytest.mark.parametrize("convert", LOUD.values(), ids=LOUD)
def test_what_asks_in_its_own_way_is_refused_too(convert):
    with pytest.raises((TypeError, struct.error)):
        convert(Value(1.0))


# --- data ---------------------------------------------------------------------

BAD_NUMBERS = [
    ("3", "str float()"),
    (b"3", "bytes"),
    (1j, "complex .real"),
    (np.complex64(1), "complex64 .real"),
    (None, "NoneType"),
    ([1], "list one by one"),
    ((), "tuple one by one"),
    ({"a": 1}, "dict one by one"),
    (np.array(1.0), "ndarray .item()"),
    (np.array([1.0]), "ndarray one by one"),
    (np.str_("3"), "str_ float()"),
    (datetime.date(2020, 1, 1), "date"),
    (object(), "object"),
    (float, "type"),
    (math.sin, "builtin_function_or_method"),
    (lambda: 1, "function"),
]


@pytest.mark.parametrize(("x", "words"), BAD_NUMBERS, ids=lambda x: type(x).__name__)
def test_data_is_a_real_number(x, words):
    refused(TypeError, "Value " + words, Value, x)
    a = Value(1.0)
    refused(TypeError, "Value.data " + words, setattr, a, "data", x)
    if x is not None:  # which clears it
        refused(TypeError, "Value.grad " + words, setattr, a, "grad", x)
    y = a * 2
    refused(TypeError, "backward " + words, y.backward, x)
    assert (a.data, a.grad) == (1.0, 0.0)


def test_data_is_no_value():
    a = Value(1.0)
    refused(TypeError, "Value .data", Value, a)
    refused(TypeError, "Value.data .data", setattr, a, "data", Value(2.0))
    refused(TypeError, "Value.grad .data", setattr, a, "grad", Value(2.0))
    refused(TypeError, "backward .data", (a * 2).backward, Value(2.0))


def test_data_is_no_tensor():
    torch = pytest.importorskip("torch")
    refused(TypeError, "Value Tensor", Value, torch.tensor(1.0))


@pytest.mark.parametrize("label", [1, None, b"x", ["x"], Value(1.0)], ids=repr)
def test_a_label_is_a_string(label):
    refused(TypeError, "label string", Value, 1.0, label)
    refused(TypeError, "label string", setattr, Value(1.0, "old"), "label", label)


def test_computed_data_cannot_be_set():
    a = Value(1.0)
    for y in (a * 2, -a, m.sum([a, a])):
        refused(AttributeError, "computed forward() detach()", setattr, y, "data", 5.0)


@pytest.mark.parametrize("name", ["op", "inputs", "_op", "_prev", "nothing"])
def test_other_attributes_cannot_be_set(name):
    with pytest.raises(AttributeError):
        setattr(Value(1.0), name, 1)


def test_unknown_attributes():
    for name in ("nothing", "backwards", "requires_grad", "__array__", "_grad"):
        refused(AttributeError, name, getattr, Value(1.0), name)
    refused(AttributeError, "nothing", getattr, m, "nothing")
    refused(AttributeError, "comb2", getattr, m, "comb2")


# --- operators ----------------------------------------------------------------

INFIX = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.mod,
    operator.floordiv, divmod,
]  # fmt: skip


@pytest.mark.parametrize("f", INFIX, ids=lambda f: f.__name__)
@pytest.mark.parametrize("x", ["x", None, [1], (1,), {}, 1j, object()], ids=label)
def test_operators_want_numbers(f, x):
    if f is operator.mod and isinstance(x, str):
        with pytest.raises(TypeError):
            f(x, Value(1.0))  # formatting
        return
    words = f"Value {type(x).__name__}" if type(x) is object else f"{type(x).__name__} real number"
    words += " numpy.array(xs)" if isinstance(x, (list, tuple)) else ""
    refused(TypeError, words, f, Value(1.0), x)
    refused(TypeError, words, f, x, Value(1.0))


@pytest.mark.parametrize("f", [operator.lt, operator.le, operator.gt, operator.ge])
@pytest.mark.parametrize("x", ["x", None, [1], 1j], ids=repr)
def test_comparisons_want_numbers(f, x):
    refused(TypeError, f"Value {type(x).__name__}", f, Value(1.0), x)


def test_what_numbers_cannot_do():
    a = Value(2.0)
    for f in (operator.matmul, operator.and_, operator.or_, operator.lshift):
        refused(TypeError, "Value", f, a, a)
    refused(TypeError, "Value", operator.invert, a)
    refused(TypeError, "", pow, a, 2, 3)
    refused(TypeError, "Value", operator.getitem, a, 0)
    refused(TypeError, "Value", len, a)
    refused(TypeError, "Value", iter, a)
    refused(TypeError, "Value", a)
    refused(TypeError, "", round, a, "2")
    refused(ValueError, "", format, a, "nonsense")


# --- operations ---------------------------------------------------------------


@pytest.mark.parametrize("op", list(ops.TABLE.values()), ids=lambda op: op.name)
def test_operations_want_so_many_numbers(op):
    a = Value(0.5)
    refused(TypeError, op.name, op)
    if op.arity > 0:
        refused(TypeError, f"{op.name} {op.arity} {op.arity + 1}", op, *[a] * (op.arity + 1))
        refused(TypeError, op.name, getattr(a, op.name), *[a] * op.arity)
    for x in ("x", None, [1.0], 1j):
        size = max(op.arity, 2 if op.arity < 0 else 1)
        for k in range(size):
            operands = [a] * size
            operands[k] = x
            if size > 1:
                refused(TypeError, f"{op.name} {type(x).__name__}", op, *operands)
            plain = [0.5] * size
            plain[k] = x
            if op.name != "where" or k < 2:  # what is not chosen is not looked at
                refused(TypeError, f"{op.name} {type(x).__name__}", op, *plain)


def test_lists_of_numbers():
    a = Value(1.0)
    for name in ("max", "min"):
        f = getattr(m, name)
        refused(ValueError, f"{name} at least one", f)
        refused(ValueError, f"{name} at least one", f, [])
        refused(TypeError, "str", f, [a, "x"])
    refused(ValueError, "dist lengths 2 1", m.dist, [a, a], [a])
    refused(ValueError, "dot lengths 0 1", m.dot, [], [a])
    refused(TypeError, "str", m.sum, [a, "x"])
    refused(TypeError, "NoneType", m.dot, [a, None], [a, a])
    refused(TypeError, "", m.sum, a)
    refused(TypeError, "", m.ldexp, a, 1.5)
    refused(TypeError, ".data", m.ldexp, a, a)


@given(st.text(max_size=3))
def test_define_wants_a_new_identifier(name):
    if not name.isidentifier() or name in ops.TABLE:
        refused(ValueError, "define identifier", define, name, math.sin, math.cos)


def test_define_wants_partials():
    refused(ValueError, "define sin taken", define, "sin", math.sin, math.cos)
    refused(ValueError, "define new partial each=", define, "new", math.sin)
    for partial in ("1.0", 1j, [1.0]):
        refused(TypeError, "define new partial", define, "new", math.sin, partial)


# --- sweeps, tapes and transforms ---------------------------------------------


def test_backward_of_a_constant():
    refused(RuntimeError, "constant no_grad() detach()", Value(1.0).detach().backward)


def test_tape_gradient_wants_values():
    a = Value(1.0)
    y = a * 2
    with Tape() as tape:
        pass
    for x in (1.0, None, "a"):
        refused(TypeError, f"Tape.gradient {type(x).__name__}", tape.gradient, y, [a, x])
        refused(TypeError, f"Tape.gradient {type(x).__name__}", tape.gradient, x, a)
    refused(TypeError, "Tape.gradient list", tape.gradient, [y], a)


@pytest.mark.parametrize("result", [None, "x", 1j, object(), {1, 2}], ids=label)
def test_transforms_want_numbers_back(result):
    words = f"f must return got {type(result).__name__}"
    with pytest.raises(TypeError) as caught:
        grad(lambda x: result)(1.0)
    assert all(word in str(caught.value) for word in words.split())
    with pytest.raises(TypeError, match=type(result).__name__):
        vjp(lambda x: [x, result], 1.0)
    with pytest.raises(TypeError, match=type(result).__name__):
        jvp(lambda x: (x, result), (1.0,), (1.0,))


@pytest.mark.parametrize("result", [[1.0], (1.0,), {"a": 1.0}, [], np.ones(1)], ids=repr)
def test_grad_wants_one_number(result):
    with pytest.raises(TypeError, match=rf"{type(result).__name__}.*jacobian"):
        grad(lambda x: result)(1.0)
