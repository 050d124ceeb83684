"""The first NaN raises, with the chain that leads to it; what is no NaN that counts does not."""

import math
import sys
import threading

import numpy as np
import pytest

from miniflow import Tape, Value, grad, jit, linalg, nn, optim, value_and_grad, vmap
from miniflow import math as mm
from miniflow.debug import NanError, lines, nans
from miniflow.micrograd.engine import Value as Micro
from support.classics import CLASSICS, CURES, autopsy, cured, golden_path

inf, nan = math.inf, math.nan


def raised(f, infs=False):
    """The error that a function raises in a block."""
    with pytest.raises(NanError) as caught, nans(infs=infs):
        f()
    return caught.value


# --- twelve classics -----------------------------------------------------------


@pytest.mark.parametrize("name", CLASSICS)
def test_an_autopsy_is_the_golden_text(name):
    assert f"{autopsy(name)}\n" == golden_path(name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CURES)
def test_what_an_autopsy_advises_helps(name):
    x, y, results = cured(name)
    with nans():
        for result in results:
            x.grad = y.grad = 0.0
            result.backward()
            assert math.isfinite(result.data)
            assert not math.isnan(x.grad)


def test_there_are_twelve_and_each_has_a_remedy():
    assert len(CLASSICS) == 12
    assert all("\nInstead: " in golden_path(name).read_text("utf-8") for name in CLASSICS)


# --- forward -------------------------------------------------------------------


def test_it_raises_before_the_next_line():
    done = []

    def f():
        x = Value(-1.0)
        y = mm.log(x)
        done.append(y)

    error = raised(f)
    assert done == []
    assert error.steps[-1].line.source == "y = mm.log(x)"
    assert error.head.startswith("nan in y, at ")


def test_the_last_line_of_a_block_counts():
    with pytest.raises(NanError), nans():
        y = mm.sqrt(Value(-1.0))
    assert math.isnan(y.data)


def test_what_one_line_does_not_select_is_no_nan():
    x = Value(-1.0)
    with nans():
        y = mm.where(x > 0.0, mm.log(x), 0.0)
        z = mm.where(mm.step(x), mm.log(x) * 2.0, x)
        (y + z).backward()
    assert x.grad == 1.0


def test_what_nobody_keeps_is_no_nan():
    with nans():
        mm.log(Value(-1.0))


def test_a_nan_that_was_given_is_named():
    w = Value(nan, label="w")
    error = raised(lambda: [w * 2.0])
    assert error.reason == "w was set to nan: no operation has computed it"
    assert "look where w was set" in error.remedy
    error = raised(lambda: [Value(1.0) + nan])
    assert error.reason.startswith("a plain number was set to nan")


def test_infinities_only_if_asked():
    def f():
        return [mm.exp(Value(1000.0))]

    with nans():
        f()
    assert raised(f, infs=True).reason == "exp(1000.0) is beyond the largest float, 1.8e+308"


REASONS = {
    "infinity minus infinity": lambda x: mm.exp(x * 1000.0) - mm.exp(x * 2000.0),
    "log takes numbers from 0 up, and -1.0 is below": lambda x: mm.log(-x),
    "log1p takes numbers from -1 up": lambda x: mm.log1p(-3.0 * x),
    "acosh takes numbers from 1 up": lambda x: mm.acosh(x - 1.0),
    "atanh takes numbers from -1 to 1": lambda x: mm.atanh(2.0 * x),
    "there is no remainder of a division by 0": lambda x: x % (x - 1.0),
    "sin has no value at inf": lambda x: mm.sin(x / (x - 1.0)),
    "0 times infinity has no value": lambda x: mm.dot([x - 1.0, x], [1.0 / (x - 1.0), x]),
    "the compiled function <lambda> returned nan": jit(lambda x: mm.log(-x)),
}


@pytest.mark.parametrize("words", REASONS)
def test_each_reason_is_said(words):
    assert words in raised(lambda: [REASONS[words](Value(1.0))]).text


def test_a_chain_goes_over_lines_and_functions():
    def scaled(x):
        size = mm.exp(x)
        return size * 2.0

    def loss(x):
        top = scaled(x)
        return top / (top + 1.0)

    error = raised(lambda: [loss(Value(1000.0))])
    shown = [step.line.source for step in error.steps]
    assert shown[0] == "size = mm.exp(x)"
    assert set(shown[1:]) == {"return size * 2.0", "return top / (top + 1.0)"}
    assert [step.text for step in error.steps][-1] == "inf / inf -> nan"


# --- backward ------------------------------------------------------------------


def test_it_raises_before_a_gradient_has_changed():
    x, other = Value(0.0, label="x"), Value(3.0)
    y = mm.sqrt(x * x) + other
    other.grad = 5.0
    error = raised(y.backward)
    assert (x.grad, other.grad) == (0.0, 5.0)
    assert error.head == "nan in a gradient: d(y)/d(x)"
    y.backward()  # outside of the block it is as it was
    assert math.isnan(x.grad)


WAYS = {
    "grad": lambda f: grad(f)(0.0),
    "value_and_grad": lambda f: value_and_grad(f)([0.0, 1.0][0]),
    "Tape": lambda f: (lambda x: Tape.gradient(Tape(), f(x), x))(Value(0.0)),
    "recorded": lambda f: grad(grad(f))(0.0),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_a_gradient_is_watched(way):
    assert "sqrt" in raised(lambda: WAYS[way](lambda x: mm.sqrt(x * x))).text


def test_a_slope_that_is_no_number():
    x, b = Value(-2.0), Value(2.0, label="b")
    error = raised(lambda: (x**b).backward())
    assert "has no slope" in error.reason
    assert "give the exponent as a plain number, 2.0" in error.remedy


def test_contributions_that_have_no_sum():
    x = Value(0.0, label="x")
    error = raised(lambda: (mm.sqrt(x) - mm.sqrt(x)).backward())
    assert "have no sum" in error.reason


def test_infinite_gradients_only_if_asked():
    x = Value(0.0)
    with nans():
        mm.sqrt(x).backward()
    assert raised(lambda: mm.sqrt(x).backward(), infs=True).reason.endswith("is infinite")


def test_a_jitted_gradient_that_is_none():
    f = jit(lambda x: mm.sqrt(x * x))
    x = Value(0.0, label="x")
    error = raised(lambda: f(x).backward())
    assert "call <lambda> itself, without jit" in error.remedy


def test_a_batch_is_one_operation():
    f = vmap(lambda x, w: mm.log(x * w), in_axes=(0, None), reduce="sum")
    assert "vmap" in raised(lambda: [f(np.array([1.0, 2.0]), Value(-1.0))]).text


# --- blocks --------------------------------------------------------------------


def test_a_training_runs_in_flat_memory():
    model = nn.MLP(2, [4, 1], seed=1)
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    table = Tape().table
    with nans():
        for _ in range(600):
            loss = (model([1.0, 2.0]) - 1.0) ** 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert table.count < 1 << 15
    assert len(table.places) <= table.count + 1


def test_a_compaction_keeps_the_lines():
    table = Tape().table
    with lines() as block:
        kept = Value(2.0) * 3.0
        for _ in range(20_000):
            Value(1.0) * 2.0
        table.compact()
        last = kept * 2.0
    from miniflow.debug.noted import lines_of
    from miniflow.tape.reading import located

    found = lines_of(table, [located(kept)[1], located(last)[1]])
    assert [x.source for x in found] == ["kept = Value(2.0) * 3.0", "last = kept * 2.0"]
    assert block


def test_outside_of_a_block_nothing_is_noted():
    table = Tape().table
    with lines():
        pass
    assert sys.gettrace() is None
    assert table.watch is None
    places = len(table.places)
    for _ in range(10):
        Value(1.0) * 2.0
    assert len(table.places) == places


def test_blocks_nest_in_any_order():
    table = Tape().table
    outer, inner = lines(), nans()
    outer.__enter__()
    inner.__enter__()
    outer.__exit__(None, None, None)
    assert table.watch is not None
    inner.__exit__(None, None, None)
    assert sys.gettrace() is None
    assert table.watch is None


def test_an_error_ends_a_block_like_any_other():
    with pytest.raises(ZeroDivisionError), nans():
        1 / 0  # noqa: B018
    assert sys.gettrace() is None
    y = mm.log(Value(-1.0))
    assert math.isnan(y.data)


def test_a_block_is_for_its_thread():
    found = []

    def work():
        found.append(mm.log(Value(-1.0)).data)

    with nans():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert math.isnan(found[0])


def test_another_thread_has_blocks_of_its_own():
    found = []
    leaf = Value(-1.0, label="shared")

    def work():
        try:
            with nans():
                y = mm.log(leaf)
                found.append(y)
        except NanError as error:
            found.append(error.reason)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == ["log takes numbers from 0 up, and -1.0 is below"]


def test_another_tracer_goes_first():
    def tracer(frame, event, argument):
        return None

    sys.settrace(tracer)
    try:
        error = raised(lambda: [mm.log(Value(-1.0))][0].backward())
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(None)
    assert "log(-1.0) -> nan" in error.text


def test_a_program_keeps_its_lines_in_a_block():
    with lines():
        f = jit(lambda x: x * 2.0 + 1.0)
        assert f(3.0) == 7.0


def test_micrograds_values_are_watched_forward():
    error = raised(lambda: [Micro(-1.0) ** 0.5])
    assert "-1.0" in error.text


def test_an_error_can_be_copied_and_drawn():
    error = raised(lambda: [mm.log(Value(-1.0, label="x")) * 2.0])
    kind, arguments = error.__reduce__()
    assert str(kind(*arguments)) == error.text == repr(error)
    assert "marked" in error.draw().source
    assert error._repr_html_().count("log takes numbers") == 1


def test_what_is_no_flag_is_refused():
    with pytest.raises(TypeError, match="infs must be True or False, got 1"):
        nans(infs=1)


REMEDIES = {
    "math.log_softmax(xs)": lambda x: (-mm.log(mm.softmax([x - 800.0, x])[0])).backward(),
    "for the logarithm of a sigmoid": lambda x: [mm.log(1.0 - mm.sigmoid(x + 40.0)) * 0.0],
    "math.log_softmax(xs) where": lambda x: [(e := mm.exp(x + 1000.0)) / (e + mm.exp(x + 1.0))],
    "has no direction": lambda x: [x / linalg.norm([x, x])],
    "call <lambda> itself, without jit": lambda x: [jit(lambda z: mm.log(z - 1.0))(x)],
    "rounding has left it just below 0": lambda x: [mm.sqrt(x - 1e-17)],
    "write it inside of that": lambda x: [mm.log(x - 1.0)],
    "keep the exponent of exp below 709": lambda x: [mm.exp(x + 800.0) - mm.exp(x + 900.0)],
}


@pytest.mark.parametrize("words", REMEDIES)
def test_each_remedy_is_named(words):
    s = Value(0.0, label="s")
    assert words in raised(lambda: REMEDIES[words](s)).remedy
