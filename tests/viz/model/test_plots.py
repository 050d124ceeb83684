"""Plots: what is on the axes, and that nothing else is touched."""

import builtins
import math
import random
from types import SimpleNamespace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex

import miniflow.math as mm
from miniflow import Value
from miniflow.native import machine
from miniflow.nn import MLP, Module, Neuron
from support.profiles import examples
from viz import plot_decision_boundary, plot_gradients, plot_history
from viz.model.plots import SERIES, _scores
from viz.output.palette import LIGHT

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def nothing_else_is_touched(monkeypatch):
    """No window, no changed settings, and no figure left open."""
    monkeypatch.setattr(plt, "show", lambda *_, **__: pytest.fail("show was called"))
    before = dict(matplotlib.rcParams)
    yield
    assert dict(matplotlib.rcParams) == before
    plt.close("all")


def drawn(ax):
    """Draw the figure: what cannot be drawn raises here."""
    ax.figure.canvas.draw()
    return ax


def curves(ax):
    return [(line.get_label(), line.get_ydata().tolist()) for line in ax.lines]


def words(ax):
    return [text.get_text() for text in ax.texts]


# --- history ------------------------------------------------------------------


class History:
    def __init__(self, losses):
        self.losses = losses


@pytest.mark.parametrize(
    "history",
    [
        [3.0, 2.0, 1.0],
        (3, 2, 1),
        np.array([3.0, 2.0, 1.0]),
        [Value(3.0), Value(2.0), 1.0],
        {"loss": [3.0, 2.0, 1.0]},
        History([3.0, 2.0, 1.0]),
        History({"loss": [3.0, 2.0, 1.0]}),
        iter([3.0, 2.0, 1.0]),
    ],
)
def test_a_history_of_any_kind_is_a_curve(history):
    ax = drawn(plot_history(history))
    assert curves(ax) == [("loss", [3.0, 2.0, 1.0])]
    assert ax.lines[0].get_xdata().tolist() == [1, 2, 3]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "loss")


def test_several_curves_have_a_legend():
    ax = drawn(plot_history({"train": [2.0, 1.0], "test": [3.0]}))
    assert curves(ax) == [("train", [2.0, 1.0]), ("test", [3.0])]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["train", "test"]
    assert len({line.get_color() for line in ax.lines}) == 2


def test_many_curves_can_be_told_apart():
    ax = plot_history({str(k): [1.0, 2.0] for k in range(24)})
    assert len({(line.get_color(), line.get_linestyle()) for line in ax.lines}) == 24


@pytest.mark.parametrize("name", ["_hidden", "$x^2$", "$\\frac{", "{", "\\", "a\nb", "", "<b>"])
@pytest.mark.parametrize("count", [1, 2])
def test_names_are_shown_as_written(name, count):
    ax = drawn(plot_history({key: [1.0, 2.0] for key in [name, "other"][:count]}))
    shown = ax.get_ylabel() if count == 1 else ax.get_legend().get_texts()[0].get_text()
    assert shown == name


def test_steps_that_are_not_finite_are_gaps_with_a_cross():
    ax = drawn(plot_history([1.0, math.nan, 3.0, math.inf, -math.inf]))
    assert [math.isnan(y) for y in ax.lines[0].get_ydata()] == [False, True, False, True, True]
    (crosses,) = ax.collections
    assert crosses.get_offsets()[:, 0].tolist() == [2, 4, 5]
    assert to_hex(crosses.get_edgecolor()[0]) == LIGHT.wrong
    assert words(ax) == ["nan, inf"]
    assert not plot_history([1.0, 2.0]).collections
    drawn(plot_history([math.nan, math.nan]))


def test_a_single_step_is_visible():
    assert plot_history([1.0]).lines[0].get_marker() == "o"
    assert plot_history([1.0, 2.0]).lines[0].get_marker() == ""


def test_the_axis_can_be_logarithmic():
    assert drawn(plot_history([1.0, 0.1], log=True)).get_yscale() == "log"
    assert plot_history([1.0, 0.1]).get_yscale() == "linear"


@pytest.mark.parametrize(
    ("history", "error", "message"),
    [
        (3.0, TypeError, r"history must be a sequence .*, got float 3\.0"),
        ("abc", TypeError, "got str 'abc'"),
        (None, TypeError, "None"),
        ({"a": 3.0}, TypeError, "float"),
        ([1.0, "2"], TypeError, "plot_history: loss: expected a real number, got str '2'"),
        ([], ValueError, "no numbers to draw"),
        ({}, ValueError, "no numbers to draw"),
        ({"a": []}, ValueError, "no numbers to draw"),
    ],
)
def test_what_is_no_history_is_refused(history, error, message):
    with pytest.raises(error, match=message):
        plot_history(history)
    assert not plt.get_fignums()


# --- decision boundary --------------------------------------------------------

X = [[0.0, 0.0], [1.0, 0.5], [2.0, 1.0], [-1.0, 3.0]]


def image(ax):
    (picture,) = ax.images
    return picture.get_array()


def test_the_picture_is_the_models_score():
    ax = drawn(plot_decision_boundary(lambda p: p[0] - 0.5, X, [-1, 1, 1, -1], resolution=9))
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert left < -1 < 2 < right
    assert bottom < 0 < 3 < top
    expected = [left + (right - left) * k / 8 - 0.5 for k in range(9)]
    for row in image(ax).tolist():
        assert [x > 0 for x in row] == [x > 0 for x in expected]
        assert row[2:-2] == pytest.approx(expected[2:-2])
    (contour,) = [c for c in ax.collections if hasattr(c, "levels")]
    (path,) = contour.get_paths()
    assert path.vertices[:, 0] == pytest.approx(0.5)


def test_the_picture_is_the_right_way_up():
    ax = plot_decision_boundary(lambda p: p[1] - 1.0, X, [-1, 1, 1, -1], resolution=5)
    assert image(ax)[0, 0] < 0 < image(ax)[-1, 0]
    assert ax.images[0].origin == "lower"


def test_a_threshold_moves_the_boundary():
    ax = plot_decision_boundary(lambda p: p[0], X, [0, 1, 1, 0], resolution=30, threshold=0.5)
    (contour,) = [c for c in ax.collections if hasattr(c, "levels")]
    assert contour.get_paths()[0].vertices[:, 0] == pytest.approx(0.5)


def test_samples_have_their_classs_colour_and_marker():
    ax = drawn(plot_decision_boundary(lambda p: p[0] - 0.5, X, [-1, 1, 1, -1], resolution=5))
    low, high = [c for c in ax.collections if not hasattr(c, "levels")]
    assert low.get_offsets().tolist() == [X[0], X[3]]
    assert high.get_offsets().tolist() == [X[1], X[2]]
    assert [to_hex(c.get_facecolor()[0]) for c in (low, high)] == SERIES[:2]
    assert low.get_paths()[0].vertices.shape != high.get_paths()[0].vertices.shape
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["-1", "1"]


@pytest.mark.parametrize(("label", "colour"), [(1, SERIES[1]), (0, SERIES[0]), (-1, SERIES[0])])
def test_a_label_alone_has_its_side(label, colour):
    ax = plot_decision_boundary(lambda p: p[0], X, [label] * 4, resolution=3)
    (dots,) = [c for c in ax.collections if not hasattr(c, "levels")]
    assert to_hex(dots.get_facecolor()[0]) == colour


def test_of_several_scores_the_largest_wins():
    ax = drawn(
        plot_decision_boundary(lambda p: [p[0], -p[0], p[0] - 9], X, [0, 0, 1, 2], resolution=8)
    )
    picture = np.asarray(image(ax))
    assert picture.shape == (8, 8, 3)
    assert picture[:, 0].tolist() != picture[:, -1].tolist()
    assert np.ptp(picture, axis=0).max() == 0  # the second feature does not count
    assert len({tuple(pixel) for pixel in picture.reshape(-1, 3)}) == 2
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0", "1", "2"]


def test_a_boundarys_legend_covers_no_point():
    ax = drawn(plot_decision_boundary(lambda p: p[0], X, [0, 1, 1, 0], resolution=10))
    highest = max(ax.transData.transform(x)[1] for x in X)
    assert ax.get_legend().get_window_extent().y0 > highest + 4


def test_scores_that_are_nan_are_red_and_in_the_legend():
    for model in (lambda p: mm.sqrt(p[0]), lambda p: [mm.sqrt(p[0]), 1.0]):
        ax = drawn(plot_decision_boundary(model, X, [0, 1, 1, 0], resolution=6))
        assert ax.get_legend().get_texts()[-1].get_text() == "nan"
        shown = ax.images[0].to_rgba(ax.images[0].get_array())
        assert to_hex(shown[0, 0]) == LIGHT.wrong
        assert to_hex(shown[0, -1]) != LIGHT.wrong
    ax = plot_decision_boundary(lambda p: p[0], X, [0, 1, 1, 0], resolution=6)
    assert "nan" not in [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize(
    "model",
    [
        lambda p: 1.0,
        lambda p: 0.0 * p[0],
        lambda p: p[0] * math.inf,
        lambda p: mm.nan * p[0],
        lambda p: [p[0], math.inf],
        lambda p: 1e308 * p[0],
        lambda p: 1e-320 * p[0],
        lambda p: [1e308 * p[0], -1e308 * p[0]],
    ],
)
def test_odd_scores_are_drawn(model):
    drawn(plot_decision_boundary(model, X, [0, 1, 1, 0], resolution=5))


@pytest.mark.parametrize("x", [[[1.0, 2.0]], [[1.0, 2.0]] * 3, [[1e9, 0.0], [1e9, 1.0]]])
def test_samples_in_one_place_have_room_around_them(x):
    ax = drawn(plot_decision_boundary(lambda p: p[0], x, [1] * len(x), resolution=3))
    assert np.ptp(ax.get_xlim()) > 0
    assert np.ptp(ax.get_ylim()) > 0


def untraceable(p):
    """Reads numbers out of Values: it cannot be compiled."""
    return float(mm.stop_gradient(p[0]).data if isinstance(p[0], Value) else p[0]) - 0.5


@pytest.mark.parametrize("model", [untraceable, lambda p: np.float64(p[0]) - 0.5 if p[0] else -0.5])
def test_a_model_that_cannot_be_compiled_is_called(model):
    ax = plot_decision_boundary(model, X, [0, 1, 1, 0], resolution=7)
    same = plot_decision_boundary(lambda p: p[0] - 0.5, X, [0, 1, 1, 0], resolution=7)
    assert np.array_equal(image(ax), image(same))


@examples(5)
@given(st.integers(0, 99), st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_compiled_scores_are_the_models_own(seed, sizes):
    model = MLP(2, sizes, activation="tanh", seed=seed)
    points = [[random.Random(k).uniform(-3, 3), k / 7] for k in range(20)]
    together = _scores(model, points)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "available", lambda: False)
        alone = _scores(model, points)
    assert together.shape == (sizes[-1], 20)
    assert np.array_equal(together, alone)


def test_a_large_model_is_asked_quickly():
    if not machine.available():
        pytest.skip("llvmlite is missing")

    class Counting(MLP):
        calls = 0

        def __call__(self, x):
            Counting.calls += 1
            return super().__call__(x)

    drawn(plot_decision_boundary(Counting(2, [16, 16, 1], seed=1), X, [0, 1, 1, 0]))
    assert 0 < Counting.calls < 10


def test_evaluating_leaves_gradients_alone():
    model = MLP(2, [2, 1], seed=1)
    model([1.0, 2.0]).backward()
    before = [p.grad for p in model.parameters()]
    plot_decision_boundary(model, X, [0, 1, 1, 0], resolution=3)
    assert [p.grad for p in model.parameters()] == before


@pytest.mark.parametrize(
    ("x", "y", "options", "error", "message"),
    [
        (X, [1], {}, ValueError, "as many labels, .*, got 4 and 1"),
        ([], [], {}, ValueError, "at least one, got 0 and 0"),
        ([[1.0, 2.0, 3.0]], [1], {}, ValueError, r"two finite numbers, got \[1.0, 2.0, 3.0\]"),
        ([1.0, 2.0], [1, 0], {}, ValueError, "must be two finite numbers"),
        ([[1.0, math.nan]], [1], {}, ValueError, "two finite numbers, got"),
        ([["1", "2"]], [1], {}, TypeError, "plot_decision_boundary: x: expected .*, got str '1'"),
        (X, list("abcd"), {}, TypeError, "plot_decision_boundary: y: expected .*, got str 'a'"),
        (
            X,
            [0, 1, 2, 1],
            {},
            ValueError,
            "two different labels where .* got 3",
        ),
        (X, [0, 1, 1, 0], {"resolution": 1}, ValueError, "resolution must be an int, 2 .*, got 1"),
        (X, [0, 1, 1, 0], {"resolution": 2.5}, ValueError, r"resolution must be .*, got 2\.5"),
    ],
)
def test_samples_that_do_not_fit_are_refused(x, y, options, error, message):
    with pytest.raises(error, match=message):
        plot_decision_boundary(lambda p: p[0], x, y, **{"resolution": 3, **options})


@pytest.mark.parametrize("label", [-1, 2, 0.5])
def test_labels_that_are_no_classes_are_refused(label):
    with pytest.raises(ValueError, match=f"an int from 0 to 1, .*, got {label:g}"):
        plot_decision_boundary(lambda p: [p[0], p[1]], X, [0, 1, 1, label], resolution=3)


def test_the_models_own_error_is_shown():
    with pytest.raises(ValueError, match="got 2 inputs, it has 3 weights"):
        plot_decision_boundary(Neuron(3, seed=1), X, [0, 1, 1, 0], resolution=3)
    with pytest.raises(TypeError, match=r"score: expected .*, got str 'x'"):
        plot_decision_boundary(lambda p: "x", X, [0, 1, 1, 0], resolution=3)


# --- gradients ----------------------------------------------------------------


def trained():
    model = MLP(2, [4, 3, 1], activation="tanh", seed=1)
    model([1.0, -2.0]).backward()
    return model


def dots(ax):
    """The dots as pairs (column, size), and their colours."""
    return [
        (round(x), y, to_hex(colour))
        for strip in ax.collections
        if hasattr(strip, "get_offsets") and len(strip.get_offsets())
        for (x, y), colour in zip(strip.get_offsets(), strip.get_facecolor(), strict=False)
        if len(strip.get_facecolor())
    ]


def test_every_gradient_is_a_dot_in_its_layer():
    model = trained()
    ax = drawn(plot_gradients(model))
    assert ax.get_yscale() == "log"
    assert [t.get_text() for t in ax.get_xticklabels()] == ["layers.0", "layers.1", "layers.2"]
    colour = {False: LIGHT.positive, True: LIGHT.negative}
    expected = [
        (n, abs(p.grad), colour[p.grad < 0])
        for n, layer in enumerate(model.layers)
        for p in layer.parameters()
    ]
    found = dots(ax)
    assert sorted(found) == [(n, pytest.approx(y), c) for n, y, c in sorted(expected)]
    low, high = ax.get_ylim()
    assert low < min(y for _, y, _ in found) <= max(y for _, y, _ in found) < high


def test_zero_and_nan_gradients_are_counted():
    model = trained()
    for p in model.layers[0].parameters():
        p.grad = 0.0
    for p, x in zip(model.layers[1].parameters(), (math.nan, math.inf, -math.inf), strict=False):
        p.grad = x
    ax = drawn(plot_gradients(model))
    assert words(ax) == ["12 zero", "3 nan, inf"]
    assert {n for n, *_ in dots(ax)} == {1, 2}
    assert [text.get_position()[0] for text in ax.texts] == [0, 1]
    assert words(plot_gradients(trained())) == []


def test_a_model_without_gradients_is_drawn():
    assert words(drawn(plot_gradients(MLP(2, [2, 1], seed=1)))) == ["6 zero", "3 zero"]


@pytest.mark.parametrize("x", [5e-324, 1e-200, 1e200])
def test_tiny_and_huge_gradients_are_drawn(x):
    model = Neuron(2, seed=1)
    model.w[0].grad = x
    model.w[1].grad = -1.0
    drawn(plot_gradients(model))


def test_of_very_many_gradients_a_sample_is_drawn():
    model = Neuron(9_999, seed=1)
    for k, p in enumerate(model.parameters()):
        p.grad = 1.0 + k
    found = dots(plot_gradients(model))
    assert 1000 < len(found) <= 2000
    assert min(found)[1] == 1.0


def test_layers_are_named_by_their_place():
    model = Module()
    model.encoder, model.out = MLP(2, [2, 2], seed=1), Neuron(2, seed=1)
    model.gain, model.__dict__["$a$ {"] = Value(1.0), Value(2.0)
    ax = drawn(plot_gradients(model))
    names = [text.get_text() for text in ax.get_xticklabels()]
    assert names == ["encoder.layers.0", "encoder.layers.1", "out", "gain", "$a$ {"]
    assert [t.get_text() for t in plot_gradients(Neuron(2)).get_xticklabels()] == ["Neuron"]


def test_what_has_no_gradients_is_refused():
    with pytest.raises(TypeError, match=r"model must be a Module, got list .*; give the model"):
        plot_gradients(trained().parameters())
    with pytest.raises(ValueError, match="this Module has no parameters"):
        plot_gradients(Module())


# --- all of them --------------------------------------------------------------

PLOTS = [
    lambda ax=None: plot_history({"a": [1.0, 2.0], "b": [1.0]}, ax),
    lambda ax=None: plot_decision_boundary(lambda p: p[0], X, [0, 1, 1, 0], ax, resolution=3),
    lambda ax=None: plot_gradients(trained(), ax),
]


@pytest.mark.parametrize("plot", PLOTS)
def test_it_draws_on_the_axes_that_it_is_given(plot):
    _, (left, right) = plt.subplots(1, 2)
    assert plot(right) is right
    assert len(plt.get_fignums()) == 1
    assert not left.has_data()
    assert right.has_data()


@pytest.mark.parametrize("plot", PLOTS)
def test_without_axes_it_makes_a_figure(plot):
    assert plot().figure is plt.gcf()
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize("plot", PLOTS)
def test_without_matplotlib_the_remedy_is_named(plot, monkeypatch):
    def missing(name, *args, **options):
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return importing(name, *args, **options)

    importing = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r"^plot_\w+: .*pip install 'miniflow\[plot\]'$"):
        plot()


def test_a_history_may_be_any_object_with_losses():
    assert curves(plot_history(SimpleNamespace(losses=[1.0]))) == [("loss", [1.0])]
