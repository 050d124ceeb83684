"""The fastest arrangement of a loop over a batch: all answer alike, one is chosen and kept."""

import gc
import itertools
import math
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import miniflow.math as m
from miniflow import value_and_grad, vmap
from miniflow.native import machine, tuning
from miniflow.native.batch import Batch
from miniflow.native.tuning import Tuning
from miniflow.program.schedule import UNTUNED, Arrangement
from support.batches import assert_alike, scattered
from support.machine_code import at_the_bench, files
from support.random_functions import functions, points

ARRANGEMENTS = [Arrangement(*x) for x in itertools.product((True, False), (True, False), (1, 2))]


def network(p, x, y):
    """A loss with enough instructions."""
    hidden = [m.relu(p[k] * x + p[k + 1] * y + 0.5) for k in range(0, len(p) - 1, 2)]
    second = [m.relu(sum(h * w for h, w in zip(hidden, p, strict=False))) for _ in range(3)]
    return (sum(second) - y) ** 2 + sum(h * h for h in hidden)


COLUMNS = ([0.25 * k - 1.0 for k in range(40)], *scattered(100, 2))


def compiled_network(**options):
    return vmap(value_and_grad(network), in_axes=(None, 0, 0), reduce="sum", **options)


@pytest.fixture
def always(monkeypatch):
    """Short loops are tried, too; the named arrangement is the fastest."""

    def choose(chosen):
        tried, original = [], Batch.__init__

        def noted(batch, *args):
            original(batch, *args)
            tried.append(args[3] if len(args) > 3 else UNTUNED)

        monkeypatch.setattr(tuning, "TUNED_FROM", 1)
        monkeypatch.setattr(Batch, "__init__", noted)
        monkeypatch.setattr(Tuning, "is_faster", lambda *_: tried[-1] == chosen)
        return tried

    return choose


# --- the answers --------------------------------------------------------------


@pytest.mark.parametrize("chosen", ARRANGEMENTS)
@pytest.mark.parametrize("reduce", [None, "sum"])
def test_every_arrangement_answers_alike(chosen, reduce, monkeypatch, bench):
    """To the bit: sums and elements, special numbers, all lengths of a batch."""
    rng = np.random.default_rng(7)
    columns = rng.choice([0.0, -0.0, 1.0, -2.0, 0.5, math.inf, -math.inf, math.nan], (2, 131))

    def made():
        return vmap(value_and_grad(network), in_axes=(None, 0, 0), reduce=reduce)

    first = made()
    expected = [first(COLUMNS[0], *columns[:, :n]) for n in (1, 7, 8, 16, 17, 131)]
    original = Batch.__init__
    monkeypatch.setattr(Batch, "__init__", lambda batch, *args: original(batch, *args[:3], chosen))
    other = made()
    for n, (value, slopes) in zip((1, 7, 8, 16, 17, 131), expected, strict=True):
        got = other(COLUMNS[0], *columns[:, :n])
        assert_alike(got[0], value)
        assert_alike(got[1], slopes)


@given(functions(longest=20), st.sampled_from(ARRANGEMENTS), st.data())
def test_every_arrangement_of_a_random_function_answers_alike(f, chosen, data):
    xs = [data.draw(points(f)) for _ in range(5)]
    columns = np.array([[*x] for x in xs]).T
    with at_the_bench(), pytest.MonkeyPatch.context() as patch:
        expected = vmap(f, precise=True)(*columns)
        original = Batch.__init__
        patch.setattr(Batch, "__init__", lambda batch, *args: original(batch, *args[:3], chosen))
        assert_alike(vmap(f, precise=True)(*columns), expected)


def test_minus_zeros_are_summed_as_ever(bench):
    f = vmap(lambda x: x * 1.0, reduce="sum")
    for n in (1, 8, 16, 40):
        assert math.copysign(1.0, f(np.full(n, -0.0))) == 1.0


# --- the choice ---------------------------------------------------------------


@pytest.mark.parametrize("chosen", ARRANGEMENTS)
def test_the_fastest_is_taken_and_kept(chosen, always, bench, folder, built):
    tried = always(chosen)
    f = compiled_network()
    expected = f(*COLUMNS)
    assert not f.ready(0)
    bench.finish()
    assert f.ready(0)
    assert len(tried) == 5  # the first one, three orders, one register
    (code,) = [x for path in next(iter(f.caches.values())).specializations for x in path.codes()]
    assert code.search is None
    assert_alike(f(*COLUMNS)[1], expected[1])
    assert len(files(folder)) == 2
    before, built[:] = set(files(folder)), []
    again = compiled_network()
    assert_alike(again(*COLUMNS)[1], expected[1])
    assert again.ready(0)  # at once the fastest: nothing to be tried
    assert built == []
    assert set(files(folder)) == before


def test_one_that_was_not_tuned_is_tuned_when_it_is_found(always, bench, folder, built):
    always(UNTUNED)
    f = compiled_network()
    f(*COLUMNS)
    bench.jobs.pop(0)()  # optimised; then the process ends
    assert len(files(folder)) == 1
    bench.jobs.clear()
    built[:] = []
    again = compiled_network()
    expected = again(*COLUMNS)
    assert built == []
    assert not again.ready(0)
    bench.finish()
    assert again.ready(0)
    assert len(files(folder)) == 2
    assert_alike(again(*COLUMNS)[1], expected[1])


def test_short_loops_are_left_alone(bench, folder):
    f = vmap(lambda x: x * x)
    f(np.arange(9.0))
    bench.finish()
    assert f.ready(0)
    assert len(files(folder)) == 1


def test_what_is_dropped_is_not_tuned(always, bench):
    tried = always(UNTUNED)
    f = compiled_network()
    f(*COLUMNS)
    bench.jobs.pop(0)()
    count, gone = len(tried), weakref.ref(f)
    del f
    gc.collect()
    assert gone() is None
    bench.finish()
    assert len(tried) == count


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()])
def test_a_search_that_fails_leaves_what_there_is(error, always, bench, monkeypatch):
    always(UNTUNED)
    f = compiled_network()
    expected = f(*COLUMNS)
    bench.jobs.pop(0)()

    def broken(*_):
        raise error

    monkeypatch.setattr(machine, "compiled", broken)
    kind = RuntimeWarning if isinstance(error, Exception) else KeyboardInterrupt
    with pytest.warns(kind) if kind is RuntimeWarning else pytest.raises(kind):
        bench.finish()
    assert f.ready(0)
    assert_alike(f(*COLUMNS)[1], expected[1])


# --- measuring ----------------------------------------------------------------


@pytest.mark.parametrize("reduce", [None, "mean"])
def test_measuring_writes_nowhere_else(reduce, bench, monkeypatch):
    """The loop that is measured has the room that it needs, whatever its shape."""
    monkeypatch.setattr(tuning, "TUNED_FROM", 1)
    asked, original = [], Tuning.is_faster

    def faster(search, library, other):
        asked.append(original(search, library, other))
        return asked[-1]

    monkeypatch.setattr(Tuning, "is_faster", faster)
    f = vmap(value_and_grad(network), in_axes=(None, 0, 0), reduce=reduce)
    strided = np.repeat(COLUMNS[1], 3)[::3]
    expected = f(COLUMNS[0], strided, COLUMNS[2])
    bench.finish()
    assert len(asked) == 4
    assert_alike(f(COLUMNS[0], strided, COLUMNS[2])[1], expected[1])
