"""Two recordings in one diagram: what is new, gone, moved, or of another sign."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import miniflow.math as mm
from miniflow import Tape, Value, trace
from miniflow.nn import MLP
from miniflow.optim import SGD
from support.diagrams import line, texts
from support.drawn import graphs
from support.profiles import examples
from viz import Diagram, diff, snapshot
from viz.diagram.compare import compared, matching


def became(before, after):
    """What became of the entries: how many of each."""
    return Counter(compared(snapshot(before), snapshot(after)).status.values())


def by_name(before, after):
    both = compared(snapshot(before), snapshot(after))
    return {both.names[n]: status for n, status in both.status.items() if n in both.names}


def model(x, w, b, activation=mm.tanh, square=2.0):
    y = activation(w * x + b)
    y.label = "y"
    loss = (y - 1.0) ** square
    loss.label = "loss"
    loss.backward()
    return loss


def leaves(x=2.0, w=-0.5, b=0.3):
    return Value(x, label="x"), Value(w, label="w"), Value(b, label="b")


def test_the_same_graph_is_as_before():
    assert became(model(*leaves()), model(*leaves())) == {"same": 10}


def test_moved_values_and_flipped_signs():
    found = by_name(model(*leaves()), model(*leaves(w=0.25)))
    assert found == {"x": "flipped", "w": "flipped", "b": "moved", "y": "flipped", "loss": "moved"}


def test_the_old_and_the_new_number_are_shown():
    picture = diff(model(*leaves()), model(*leaves(w=0.25)))
    assert isinstance(picture, Diagram)
    drawn = texts(picture.pipe("svg"))
    assert drawn["v1"][:4] == ["w", "flipped", "value", "-0.5000 → 0.2500"]
    assert "→" not in " ".join(drawn["v4"][:2])
    assert drawn["v8"][0] != "same"


def test_what_is_new_and_what_is_gone():
    x, w, b = leaves()
    before, after = model(x, w, b), model(x, w, b) + 0.1 * w * w
    after.label = "total"
    found = became(before, after)
    assert (found["new"], found["gone"]) == (4, 0)
    found = became(after, before)
    assert (found["new"], found["gone"]) == (0, 4)


def test_another_operation_in_between_changes_nothing_around_it():
    x, w, b = leaves()
    before, after = model(x, w, b), model(x, w, b, mm.sin)
    both = compared(snapshot(before), snapshot(after))
    found = Counter(both.status.values())
    assert (found["new"], found["gone"]) == (1, 1)
    (gone,) = [n for n, status in both.status.items() if status == "gone"]
    assert both.ops[gone].name == "tanh"
    (edge,) = both.former
    assert edge[0] == gone
    source = diff(before, after).source
    assert re.search(rf"^\tv{gone} -> op{edge[1]} \[style=\"dashed\"\]$", source, re.M)


def test_a_constant_that_has_changed_is_moved():
    x, w, b = leaves()
    found = became(model(x, w, b), model(x, w, b, square=4.0))
    assert (found["new"], found["gone"]) == (0, 0)


def test_nameless_leaves_match_in_their_order():
    def f(*numbers):
        a, b, c = map(Value, numbers)
        return a * b + c

    graphs = snapshot(f(1.0, 2.0, 3.0)), snapshot(f(1.0, 5.0, 3.0))
    assert matching(*graphs) == {n: n for n in range(5)}
    assert Counter(compared(*graphs).status.values()) == {"same": 2, "moved": 3}


def test_a_leaf_more_does_not_put_the_others_out_of_place():
    a, b, c = Value(1.0), Value(2.0), Value(3.0)
    found = became(mm.sin(a * b), mm.sin((a + c) * b))
    assert found["gone"] == 0
    assert found["new"] == 2


def test_renamed_leaves_are_others():
    found = by_name(Value(1.0, label="a") * 2.0, Value(1.0, label="b") * 2.0)
    assert found == {"a": "gone", "b": "new"}


def test_a_step_of_training():
    network = MLP(2, [4, 1], seed=1)
    optimizer = SGD(network.parameters(), lr=0.1)

    def loss():
        y = (network([1.0, -2.0]) - 1.0) ** 2
        y.backward()
        return y

    before = snapshot(loss())
    optimizer.step()
    network.zero_grad()
    found = became(before, loss())
    assert found["new"] == found["gone"] == 0
    assert found["moved"] + found["flipped"] >= 9
    folded = diff(before, loss(), fold=True)
    assert re.search(r">\d+ moved<", folded.source)


def test_programs_and_tapes_are_compared():
    def f(x, y):
        return mm.tanh(x * y) + x if x > 0 else x

    def g(x, y):
        return mm.tanh(x * y) - x if x > 1 else x

    found = became(trace(f, 2.0, 3.0), trace(g, 2.0, 3.0))
    assert found["same"] >= 4
    source = diff(trace(f, 2.0, 3.0), trace(g, 2.0, 3.0)).source
    assert 'label="gone: x \\> 0.0"' in source
    assert 'label="x \\> 1.0"' in source
    assert "gone" not in diff(trace(f, 2.0, 3.0), trace(f, 4.0, 5.0)).source
    with Tape() as tape:
        y = Value(2.0, label="x") * 3.0
    assert became(tape, y) == {"same": 3}


def test_what_a_status_is_can_be_seen_without_colours():
    x, w, b = leaves()
    picture = diff(model(x, w, b), model(x, Value(0.5, label="w"), b, mm.sin))
    tags = {lines[1] for lines in texts(picture.pipe("svg")).values() if len(lines) > 1}
    assert {"moved", "flipped"} <= tags
    (gone,) = [n for n, lines in texts(picture.pipe("svg")).items() if "gone" in lines]
    assert "dashed" in line(picture, gone)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("compact", [False, True])
def test_every_look(theme, compact):
    x, w, b = leaves()
    picture = diff(
        model(x, w, b), model(x, w, b, mm.sin), theme=theme, compact=compact, detail="full"
    )
    assert {"tanh", "sin"} <= {x for lines in texts(picture.pipe("svg")).values() for x in lines}
    assert "as before" in picture.graph_attr["label"]


@examples(50)
@given(graphs())
def test_a_graph_is_what_it_is(roots):
    assert set(became(roots, roots)) == {"same"}


@examples(100)
@given(graphs(), graphs(), st.booleans())
def test_every_entry_of_both_is_drawn_once(first, second, fold):
    before, after = snapshot(first), snapshot(second)
    partner = matching(before, after)
    assert len(set(partner.values())) == len(partner)
    assert all(after.ops[n] is before.ops[m] for n, m in partner.items())
    both = compared(before, after)
    assert len(both) == len(after) + len(before) - len(partner)
    found = Counter(both.status.values())
    assert found["new"] == len(after) - len(partner)
    assert found["gone"] == len(before) - len(partner)
    picture = diff(first, second, limit=None, fold=fold)
    assert picture.source == diff(first, second, limit=None, fold=fold).source


def test_refusals_are_in_its_name():
    with pytest.raises(TypeError, match=r"diff: after must be made of Values, got float 3\.0"):
        diff(Value(1.0), 3.0)
    with pytest.raises(ValueError, match="diff: theme must be one of"):
        diff(Value(1.0), Value(1.0), theme="red")
    with pytest.raises(ValueError, match="diff: rankdir must be one of"):
        diff(Value(1.0), Value(1.0), rankdir="up")
