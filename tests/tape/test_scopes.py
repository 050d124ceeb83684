"""Scopes: which names were open when an entry was recorded."""

import gc
import pickle

import pytest

from miniflow import Value, grad, no_grad, scope, trace
from miniflow.nn import MLP, Layer, Module, Neuron, parameter_names
from miniflow.tape.core import here


def names(v):
    return v._tape.scope_names([v._entry])[0]


def test_scopes_nest():
    x = Value(1.0)
    with scope("outer"):
        a = x + 1.0
        with scope("inner"):
            b = a * a
        c = b - a
    d = c + x
    assert [*map(names, (x, a, b, c, d))] == [(), ("outer",), ("outer", "inner"), ("outer",), ()]


def test_a_scope_can_be_entered_again_and_in_itself():
    again = scope("again")
    with again:
        a = Value(1.0)
    b = Value(1.0)
    with again, again:
        c = Value(1.0)
    assert [*map(names, (a, b, c))] == [("again",), (), ("again", "again")]


def test_a_function_can_be_decorated():
    @scope("twice")
    def twice(x):
        return x + x

    assert names(twice(Value(1.0))) == ("twice",)
    assert names(Value(1.0)) == ()


def test_an_exception_closes_a_scope():
    with pytest.raises(ZeroDivisionError), scope("outer"), scope("inner"):
        1 / 0  # noqa: B018 - it is to raise
    assert names(Value(1.0)) == ()


def test_names_of_another_thread_are_its_own(in_thread):
    with scope("here"):
        assert names(in_thread(lambda: Value(1.0))) == ()
        assert names(Value(1.0)) == ("here",)


def test_compaction_keeps_names(small_table):
    table = small_table(1 << 6)
    kept = []
    for k in range(500):
        with scope("outer"):
            with scope(f"inner{k % 7}"):
                v = Value(float(k))
                for _ in range(k % 5):
                    v = v + 1.0
                if k % 11 == 0:
                    kept.append((v, ("outer", f"inner{k % 7}")))
            w = v * 2.0
            if k % 13 == 0:
                kept.append((w, ("outer",)))
        if k % 17 == 0:
            kept.append((Value(1.0), ()))
        assert len(table.names) <= table.count + 1
    table.compact()
    assert [names(v) for v, _ in kept] == [path for _, path in kept]
    with scope("later"):
        table.compact()
        v = Value(1.0)
    assert names(v) == ("later",)


def test_scopes_without_entries_leave_nothing():
    table = here.table
    before = len(table.names)
    for _ in range(100):
        with scope("empty"):
            pass
    assert len(table.names) <= before + 1


def test_tracing_leaves_no_names_behind(small_table):
    table = small_table(1024)  # no finalizer of another test's Tape changes it meanwhile

    @scope("f")
    def f(x):
        with scope("square"):
            y = x * x
        return y + 1.0

    with scope("outside"):
        program = trace(f, 2.0)
        v = Value(1.0)
    assert names(v) == ("outside",)
    assert [place.scope[-1] for place in program.places] == ["square", "f"]
    assert len(table.names) <= 3


def test_the_reverse_sweep_has_the_names_of_what_it_is_the_reverse_of():
    def f(x, y):
        with scope("product"):
            z = x * y * x
        return z * y

    places = trace(grad(f), 2.0, 3.0).places
    found = {(place.sweep, place.scope) for place in places}
    assert found >= {(0, ("product",)), (1, ("product",))}


def test_within_no_grad_nothing_is_lost():
    with scope("quiet"), no_grad():
        v = Value(1.0) * 2.0
    assert names(v) == ("quiet",)


@pytest.mark.parametrize("name", [None, 3, b"x", Value(1.0)])
def test_names_are_strings(name):
    with pytest.raises(TypeError, match=r"scope: name must be a string, got"):
        scope(name)


def test_an_empty_name_is_refused():
    with pytest.raises(ValueError, match="scope: the name is empty"):
        scope("")


# --- modules ------------------------------------------------------------------


def paths(y):
    rows = y._tape.reached([y._entry])
    return set(y._tape.scope_names(rows))


def test_calls_of_modules_are_scopes():
    model = MLP(2, [3, 1], seed=1)
    assert paths(model([1.0, 2.0])) == {(), ("MLP", "layers.0"), ("MLP", "layers.1")}
    assert ("Layer",) in paths(Layer(1, 1, seed=1)([1.0]))
    assert paths(Neuron(1, seed=1)([1.0])) == {()}


class Twins(Module):
    def __init__(self):
        self.first = Layer(1, 1, seed=1)
        self.others = (Layer(1, 1, seed=2), Layer(1, 1, seed=3))
        self.again = self.first
        self.scale = {"by": Value(2.0)}

    def __call__(self, x):
        return self.others[1](self.others[0](self.first(x))) * self.scale["by"]


def test_modules_are_called_after_their_attributes():
    model = Twins()
    found = paths(model([Value(1.0)]))
    assert found == {(), ("Twins",)} | {("Twins", k) for k in ("first", "others.0", "others.1")}
    found = paths(pickle.loads(pickle.dumps(model))([1.0]))
    assert ("Twins", "others.1") in found
    assert len(model.parameters()) == 7


def test_an_exception_in_a_call_closes_its_scope():
    with pytest.raises(ValueError, match="got 3 inputs"):
        MLP(2, [1], seed=1)([1.0, 2.0, 3.0])
    assert names(Value(1.0)) == ()


def test_parameters_have_the_names_that_their_modules_give_them():
    model, plain = Twins(), Value(1.0)
    found = parameter_names()
    assert [found[p] for p in model.parameters()] == [name for name, _ in model.named_parameters()]
    assert plain not in found
    kept = model.first.neurons[0].b
    del model
    gc.collect()
    assert kept not in parameter_names()
