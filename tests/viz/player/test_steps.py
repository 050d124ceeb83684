"""The player's steps are the engine's, bit for bit."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import miniflow.math as mm
import viz
from miniflow import Value, define, jit, no_grad
from miniflow.ops import TABLE
from support.played import graphs
from support.profiles import examples
from viz.player import formula, scene
from viz.player import page as player
from viz.player.recording import record
from viz.player.steps import take_steps

same = repr  # of floats: equal for the same bits, and for any two NaNs


# --- random graphs ------------------------------------------------------------


@given(graphs())
def test_steps_are_the_engines(values):
    root = values[-1]
    before = [same(v.grad) for v in values]
    steps = take_steps(root)
    assert [same(v.grad) for v in values] == before  # it only looks
    for v in values:
        v.grad = 0.0
    root.backward()
    found = take_steps(root)
    for n, node in enumerate(found.nodes):
        if n in steps.gradients:
            leaf = not node.operands
            assert same(0.0 + steps.gradients[n] if leaf else steps.gradients[n]) == same(node.held)
        elif node.kind != "constant":
            assert node.held == 0.0


def selected(steps, node, k):
    """Whether an operand of a node gets anything."""
    op, xs = TABLE[node.op], [steps.nodes[x].value for x in node.operands]
    mixed = [
        value if steps.nodes[x].kind == "constant" else Value(value)
        for x, value in zip(node.operands, xs, strict=True)
    ]
    return op.condition(k, mixed, op.partial(k, xs, node.value)) != 0.0


@given(graphs())
def test_each_contribution_is_made_once_and_they_add_up(values):
    steps = take_steps(values[-1])
    reached, sums = {len(steps.nodes) - 1: 1.0}, {}
    for x in steps.contributions:
        assert same(x.upstream) == same(reached[x.result])
        assert same(x.amount) == same(x.upstream * x.local)
        assert (x.before is None) == (x.operand not in sums)
        assert x.before is None or same(x.before) == same(sums[x.operand])
        sums[x.operand] = x.amount if x.before is None else x.before + x.amount
        reached[x.operand] = sums[x.operand]
        assert same(x.after) == same(sums[x.operand])
    made = [(x.result, x.place) for x in steps.contributions]
    due = {
        (n, k)
        for n, node in enumerate(steps.nodes)
        for k, x in enumerate(node.operands)
        if n in reached
        and TABLE[node.op].follows(k)
        and steps.nodes[x].kind != "constant"
        and selected(steps, node, k)
    }
    assert len(made) == len(set(made))
    assert set(made) == due


@examples(25)
@given(graphs())
def test_every_number_of_a_page_is_the_engines(values):
    steps = take_steps(values[-1])
    data = scene.scene_of(steps)
    text = json.loads(player.embedded(data))
    numbers = [float(x) for x in text["numbers"]["values"]]
    run = text["runs"][0]
    assert [same(numbers[k]) for k in run["values"]] == [same(x.value) for x in steps.nodes]
    for row, x in zip(run["backward"], steps.contributions, strict=True):
        assert row[:3] == [x.result, x.place, x.operand]
        shown = [numbers[k] if k >= 0 else None for k in row[3:8]]
        wanted = [x.upstream, x.local, x.amount, x.before, x.after]
        assert [*map(same, shown)] == [*map(same, wanted)]


@given(st.lists(st.text(max_size=30), min_size=1, max_size=6))
def test_names_are_all_different(labels):
    values = [Value(1.0, label=label) for label in labels]
    steps = take_steps(mm.sum(values) * 2)
    names = [x.name for x in steps.nodes if x.kind != "constant"]
    assert len(set(names)) == len(names)
    assert all(names)


# --- steps --------------------------------------------------------------------


def test_a_step_says_what_the_issue_asks_for():
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    c = a * b
    c.label = "c"
    steps = take_steps(c)
    assert (steps.nodes[2].formula, steps.nodes[2].numbers) == ("a × b", "2.0000 × (-3.0000)")
    assert [x.rule for x in steps.contributions] == ["b", "a"]


def test_a_value_used_twice_accumulates():
    x = Value(0.5, label="x")
    steps = take_steps(x * 1.25 + x * 0.5)
    last = [c for c in steps.contributions if steps.nodes[c.operand].name == "x"][-1]
    assert (last.before, last.amount, last.after) == (0.5, 1.25, 1.75)


def test_the_seed_scales_everything():
    a = Value(3.0)
    assert take_steps(a * a, 0.5).gradients == {1: 0.5, 0: 3.0}


def test_a_leaf_alone_has_no_steps():
    steps = take_steps(Value(2.0, label="a"))
    assert (len(steps.nodes), steps.contributions, steps.gradients) == (1, (), {0: 1.0})


def test_constants_and_flat_operations_take_nothing():
    x = Value(1.5, label="x")
    steps = take_steps(x.floor() * 2 + x * 3)
    assert [steps.nodes[c.operand].op for c in steps.contributions] == ["mul", "mul", "", "floor"]


def test_leaves_of_other_threads_and_compiled_calls(in_thread):
    far = in_thread(lambda: Value(2.0, label="far"))
    f = jit(lambda x: mm.sin(x) * x)
    near = Value(0.5, label="near")
    y = f(near) * far
    steps = take_steps(y)
    y.backward()
    gradients = {steps.nodes[n].name: g for n, g in steps.gradients.items()}
    assert (gradients["near"], gradients["far"]) == (near.grad, far.grad)


def test_a_users_operation_needs_no_formula():
    cube = define("player_cube", lambda x: x**3, lambda x, y: 3 * x**2 if x > 0 else 0.0)
    try:
        (found,) = take_steps(cube(Value(2.0))).contributions
        assert (found.local, found.rule) == (12.0, "")
    finally:
        del TABLE["player_cube"]


@pytest.mark.parametrize("slope", [3, np.float64(3.0), True])
def test_a_users_formula_may_return_any_kind_of_number(row, slope, tmp_path):
    triple = row("player_triple", lambda x: x * float(slope), lambda x, y: slope)
    y = triple(triple(Value(2.0, label="x")))
    contributions = take_steps(y).contributions
    assert [repr(x.amount) for x in contributions] == [repr(float(slope) ** k) for k in (1, 2)]
    assert viz.play(y, tmp_path / "steps.html").exists()


@pytest.mark.parametrize("name", TABLE)
def test_every_row_can_be_written(name):
    op = TABLE[name]
    count = op.arity if op.arity > 0 else 4
    names = [*"abcd"][:count]
    assert formula.symbolic(op, names)
    assert formula.numeric(op, ["-1.0000", "2.0000", "3", "4"][:count])
    for k in range(count):
        if op.follows(k):
            assert len(formula.rule(op, k, names, "y")) <= formula.LONGEST_FORMULA


RULES = {
    "mul": ["b", "a"],
    "add": ["1", "1"],
    "sub": ["1", "-1"],
    "div": ["1 / b", "-(y / b)"],
    "pow": ["b × a ** (b - 1)", "y × log(a)"],
    "tanh": ["1 - y × y"],
    "relu": ["step(y)"],
    "exp": ["y"],
    "dot": ["c", "d", "a", "b"],
}


@pytest.mark.parametrize("name", RULES)
def test_derivatives_are_written_as_the_table_has_them(name):
    op = TABLE[name]
    names = [*"abcd"][: len(RULES[name])]
    assert [formula.rule(op, k, names, "y") for k in range(len(names))] == RULES[name]


def test_long_sums_are_written_short():
    values = [Value(1.0, label=f"v{k}") for k in range(50)]
    assert take_steps(mm.sum(values)).nodes[-1].formula == "v0 + v1 + v2 + v3 + … + v49"
    assert take_steps(mm.dot(values[:25], values[25:])).nodes[-1].formula.endswith("… + v24 × v49")


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (3.0, TypeError, "root must be a Value or a recording, got float"),
        (len, TypeError, "call it and play the result"),
        (None, TypeError, "compute it from Values"),
    ],
)
def test_what_cannot_be_played_is_refused(x, error, words, tmp_path):
    with pytest.raises(error, match=words):
        viz.play(x, tmp_path / "x.html")
    assert not list(tmp_path.iterdir())


def test_refusals_name_the_remedy(tmp_path):
    path = tmp_path / "x.html"
    a = Value(2.0)
    with no_grad():
        constant = a * 2
    with pytest.raises(ValueError, match="outside of no_grad"):
        viz.play(constant, path)
    with pytest.raises(ValueError, match="theme must be one of auto, light, dark, got 'pink'"):
        viz.play(a * 2, path, theme="pink")
    with pytest.raises(TypeError, match="play: limit must be a number, or None"):
        viz.play(a * 2, path, limit="many")
    with pytest.raises(TypeError, match="play: title must be a string, got int 3"):
        viz.play(a * 2, path, title=3)
    with pytest.raises(TypeError, match="record: limit must be a number, or None"):
        viz.record(limit="many")
    with pytest.raises(ValueError, match=r"501 entries, more than 400; .* limit=None"):
        viz.play(mm.sum([Value(1.0) for _ in range(500)]), path)
    with pytest.raises(ValueError, match=r"recording is empty; call backward\(\)"):
        viz.play(record(), path)
    with pytest.raises(TypeError, match="model must be a Module, got float"):
        record(3.0)
    assert not list(tmp_path.iterdir())
