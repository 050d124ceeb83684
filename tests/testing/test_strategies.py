"""What Hypothesis draws: inside of domains, as Python that can be pasted, as small as it can be."""

import ast
import math as standard
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from miniflow import Value, grad, math, nn, ops
from miniflow.ops import TABLE
from miniflow.testing import inspect_grads, kinks
from miniflow.testing import strategies as kit
from miniflow.testing.drawn import DrawnFunction
from miniflow.testing.steps import Fork, Loop, RowStep, result_nodes, taken
from support import accuracy
from support.bits import bits
from support.profiles import examples, scaled

SEARCH = settings(max_examples=1000, database=None, deadline=None,
                  suppress_health_check=list(HealthCheck))  # fmt: skip


def pasted(text):
    """What a text is below the imports that are asked for."""
    return eval(text, {"math": math, "ops": ops, "Fraction": Fraction})


def defined(f):
    names = {"math": math, "ops": ops, "Fraction": Fraction}
    exec(f.source("g"), names)
    return names["g"]


def uses(f):
    """How often each node is taken."""
    found = Counter(x for k, step in enumerate(f.steps, f.count) for x in taken(step, k))
    found.update(result_nodes(f.result))
    return found


# --- functions --------------------------------------------------------------------------


@examples(60)
@given(kit.expressions(), st.data())
def test_expressions_are_what_their_text_says(f, data):
    xs = data.draw(kit.points(f))
    assert f.inside(xs)
    assert f.inside(f.witness)
    assert bits(pasted(repr(f))(*xs)) == bits(defined(f)(*xs)) == bits(f(*xs))
    everything = range(f.count)
    assert bits(grad(pasted(repr(f)), everything)(*xs)) == bits(grad(f, everything)(*xs))


@examples(60)
@given(kit.expressions(max_size=5, inputs=1))
def test_expressions_are_trees_of_smooth_rows(f):
    assert f.count == 1
    assert len(f.steps) <= 5
    assert all(kinks.smooth(TABLE[step.name]) for step in f.steps)
    assert all(uses(f)[node] == 1 for node in range(1, 1 + len(f.steps)))


@examples(60)
@given(kit.programs(smooth=False), st.data())
def test_programs_are_what_their_text_says(f, data):
    xs = data.draw(kit.points(f))
    assert f.inside(xs)
    assert bits(pasted(repr(f))(*xs)) == bits(defined(f)(*xs)) == bits(f(*xs))


@examples(100)
@given(kit.programs(wild=True), st.data())
def test_wild_programs_are_what_their_text_says(f, data):
    xs = [data.draw(kit.anything) for _ in range(f.count)]
    assert bits(pasted(repr(f))(*xs)) == bits(defined(f)(*xs)) == bits(f(*xs))


def test_nested_results_are_what_their_text_says():
    result = {"a": [2, (0,), (1, None)], "b": "text", "c": ()}
    f = DrawnFunction(2, [RowStep("sub", (0, 1))], result)
    assert pasted(repr(f))(3.0, 1.0) == f(3.0, 1.0)
    assert f(3.0, 1.0) == {"a": [2.0, (3.0,), (1.0, None)], "b": "text", "c": ()}


@pytest.mark.parametrize(
    ("strategy", "wanted", "smallest"),
    [
        (kit.expressions(), "math.exp(", "lambda x: math.exp(x)"),
        (kit.expressions(), "log(", "lambda x: math.log(x)"),
        (kit.expressions(ops=["mul", "asin"]), "asin(", "lambda x: math.asin(x)"),
        (kit.expressions(ops=["sin", "exp", "add"]), "sin(math.exp(",
         "lambda x: math.sin(math.exp(x))"),
        (kit.expressions(ops=["abs", "add"], smooth=False), "abs(", "lambda x: abs(x)"),
        (kit.programs(ops=["mul"]), "for _",
         "lambda x: (t1 := x, [t1 := t1 * t1 for _ in range(1)], t1)[-1]"),
    ],
)  # fmt: skip
def test_what_is_found_is_small(strategy, wanted, smallest):
    found = find(strategy, lambda f: wanted in repr(f), settings=SEARCH)
    assert len(repr(found)) <= len(smallest)
    assert wanted in repr(found)


def test_programs_share_branch_and_loop():
    met = set()

    @settings(SEARCH, max_examples=150, derandomize=True)
    @given(kit.programs())
    def look(f):
        met.update(type(step) for step in f.steps)
        met.update("shared" for node, count in uses(f).items() if count > 1 and node >= f.count)

    look()
    assert met == {RowStep, Fork, Loop, "shared"}


@given(kit.programs(branches=False, loops=False))
def test_branches_and_loops_can_be_left_out(f):
    assert {type(step) for step in f.steps} <= {RowStep}


def test_a_users_row_is_drawn(row):
    own = row("shifted", lambda x: x + 1, 1.0, domain=((0.0, standard.inf),))
    f = find(kit.expressions(ops=[own]), lambda f: f.steps, settings=SEARCH)
    assert repr(f).endswith("shifted(x)")
    assert pasted(repr(f))(2.0) == 3.0
    assert f.witness[0] > 0


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: kit.expressions(ops=["sinus"]), "no row 'sinus'"),
        (lambda: kit.expressions(ops=["abs"]), "no row is left"),
        (lambda: kit.programs(ops=[]), "no row is left"),
        (lambda: kit.expressions(max_size=1.5), "max_size must be a whole number"),
        (lambda: kit.programs(inputs=0), "inputs must be a whole number of at least 1, got int 0"),
        (lambda: kit.models(inputs=0), "inputs"),
        (lambda: kit.training_data(classes="two"), "classes"),
        (lambda: kit.floats((2, 1)), "holds no number"),
        (lambda: kit.points("x"), "expected an interval"),
        (lambda: kit.points(math.sin, (0, 1), (0, 1)), "takes 1 arguments, got 2 domains"),
        (lambda: kit.points(lambda x, *, y: x), "y can only be given by name"),
        (lambda: kit.points(lambda x="a": x), "takes no numbers"),
    ],
)
def test_refusals(call, said):
    with pytest.raises((ValueError, TypeError)) as error:
        call()
    assert said in str(error.value)


# --- points -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TABLE)
def test_rows_can_be_judged_where_points_are(name):
    op = TABLE[name]

    @settings(SEARCH, max_examples=scaled(5))
    @given(kit.points(op))
    def judge(xs):
        assert kinks.distance_to_kink(op, xs) > 0
        if kinks.smooth(op):
            assert inspect_grads(op, xs).verdict == "right"

    judge()


@pytest.mark.parametrize("name", accuracy.POLES)
def test_poles_are_at_no_distance(name):
    op, pole = TABLE[name], accuracy.POLES[name]
    size = op.arity if op.arity > 0 else 3
    grid = [-3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0]
    tried = [
        tuple(grid[(k + j * step) % 8] for j in range(size)) for k in range(8) for step in (0, 1, 3)
    ]
    found = [xs for xs in tried if pole(*xs)]
    assert found
    assert [xs for xs in found if kinks.distance_to_kink(op, xs) > 0] == []


@dataclass
class Pair:
    a: float
    b: float


def structured(x, ys: list[float], pair: Pair, rate=(0.5, 1.0)):
    return math.log(x) + math.dot(ys, ys) * pair.a / pair.b * rate[0]


@given(kit.points(structured))
def test_points_have_the_structure_that_a_signature_says(point):
    x, ys, pair, rate = point
    assert x > 0
    assert pair.b != 0
    assert [type(part) for part in point] == [float, list, Pair, tuple]
    assert standard.isfinite(structured(x, ys, pair, rate))


@given(kit.points(lambda x, y: x * y, (0, 1), st.sampled_from([3.0, 4.0])))
def test_domains_are_kept(point):
    x, y = point
    assert 0 < x < 1
    assert y in (3.0, 4.0)


@given(kit.points({"w": [(0, 1), (100, 101)], "b": (-standard.inf, standard.inf)}))
def test_a_domain_may_be_any_structure(point):
    assert 0 < point["w"][0] < 1
    assert 100 < point["w"][1] < 101
    assert abs(point["b"]) <= 10


def test_no_point_is_an_error():
    with pytest.raises(ValueError, match="no point is found at which nowhere"):
        find(kit.points(nowhere), lambda xs: True, settings=SEARCH)


def nowhere(x):
    return math.log(-x * x)


@given(kit.points(lambda x, y: math.sqrt(x - 5) / math.log(y)))
def test_points_are_pulled_to_where_a_function_is_finite(point):
    x, y = point
    assert x > 5
    assert 0 < y != 1


# --- numbers, models, data -----------------------------------------------------------------


@given(kit.values((1, 2)))
def test_values_are_leaves(x):
    assert isinstance(x, Value)
    assert x.op == "leaf"
    assert 1 < x.data < 2


@given(kit.models(inputs=2, outputs=1), kit.training_data())
def test_models_learn_from_data(model, data):
    loss = math.sum([(model(x) - y) ** 2 for x, y in data])
    loss.backward()
    assert isinstance(model, nn.MLP)
    assert all(standard.isfinite(p.grad) for p in model.parameters())


@given(kit.training_data(3, 2, max_size=2), kit.training_data(classes=3))
def test_data_have_the_sizes_that_are_asked_for(data, classes):
    assert 1 <= len(data) <= 2
    assert {(len(x), len(y)) for x, y in data} == {(3, 2)}
    assert {y for _, y in classes} <= {0, 1, 2}
    assert ast.literal_eval(repr(data)) == data


def test_models_and_values_are_shown_as_calls():
    @settings(SEARCH, max_examples=1, phases=[Phase.generate, Phase.shrink])
    @given(kit.models(), kit.values())
    def fail(model, x):
        raise ArithmeticError

    with pytest.raises(ArithmeticError) as error:
        fail()
    shown = "".join(error.value.__notes__).replace("  # or any other generated value", "")
    shown = "".join(shown.split())
    assert "model=MLP(1,[1],activation='tanh',seed=0)" in shown
    assert "x=Value(0.0)" in shown
