"""`fit` is the loop that people write by hand: parameters, curves, metrics, order, weights."""

import random

import numpy
import pytest

from miniflow import math, nn, optim, train
from miniflow.train.metrics import METRICS
from miniflow.train.objectives import NAMED
from support.trained import KINDS

CLOSE = {"rtol": 1e-12, "atol": 1e-13}


def by_hand(model, x, y, loss, optimizer, epochs, size, order=None, weights=None):
    """A training written out, with `nn`'s losses; the loss of each epoch."""
    curve = []
    for epoch in range(epochs):
        chosen = list(range(len(x))) if order is None else order(epoch)
        total = 0.0
        for start in range(0, len(x), size):
            batch = chosen[start : start + size]
            terms = [loss([model(x[k])], [y[k]]) * (1 if weights is None else weights[k])
                     for k in batch]  # fmt: skip
            mean = math.sum(terms) / len(terms)
            optimizer.zero_grad()
            mean.backward()
            optimizer.step()
            total += mean.data * len(batch)
        curve.append(total / len(x))
    return curve


def numbers(model):
    return [p.data for p in model.parameters()]


@pytest.mark.parametrize("loss", KINDS)
def test_it_is_the_loop_by_hand(loss, five, small):
    outputs, y = KINDS[loss]
    model, other = small(outputs), small(outputs)
    found = model.fit(
        five, y, loss=loss, optimizer=optim.Adam(model.parameters(), lr=0.1), epochs=4,
        batch_size=2, shuffle=False, verbose=0,
    )  # fmt: skip
    adam = optim.Adam(other.parameters(), lr=0.1)
    curve = by_hand(other, five, y, getattr(nn, loss), adam, 4, 2)
    numpy.testing.assert_allclose(found.history["loss"], curve, **CLOSE)
    numpy.testing.assert_allclose(numbers(model), numbers(other), **CLOSE)
    assert found is model.history
    assert found.epoch == [0, 1, 2, 3]


def test_every_loss_is_compared():
    assert set(KINDS) == set(NAMED)


@pytest.mark.parametrize("loss", KINDS)
def test_a_function_of_nn_is_the_loss_of_that_name(loss, five, small):
    outputs, y = KINDS[loss]
    model = small(outputs)
    named, function = (model.evaluate(five, y, loss=x) for x in (loss, getattr(nn, loss)))
    assert named == function
    expected = getattr(nn, loss)([model(x) for x in five], y).data
    numpy.testing.assert_allclose(named["loss"], expected, **CLOSE)


def test_shuffled_weighted_and_with_branches(five, small):
    """Samples in the seed's order; a loss of one's own that branches; weights of both kinds."""
    y, model, other = [0.0, 1.0, 0.0, 2.0, 1.0], small(), small()

    def huber(p, t):
        d = abs(p - t)
        return d * d / 2 if d < 0.7 else 0.7 * (d - 0.35)

    found = model.fit(
        five, y, loss=huber, optimizer=optim.SGD(model.parameters(), lr=0.1, momentum=0.5),
        epochs=3, batch_size=3, seed=9, sample_weight=[1, 2, 0.5, 1, 1],
        class_weight={0: 3.0, 2: 0.5}, verbose=0,
    )  # fmt: skip

    def order(epoch):
        return numpy.random.default_rng([9, epoch]).permutation(5).tolist()

    sgd = optim.SGD(other.parameters(), lr=0.1, momentum=0.5)
    weights = [3.0, 2.0, 1.5, 0.5, 1.0]

    def one(ps, ts):
        return huber(ps[0], ts[0])

    curve = by_hand(other, five, y, one, sgd, 3, 3, order, weights)
    numpy.testing.assert_allclose(found.history["loss"], curve, **CLOSE)
    numpy.testing.assert_allclose(numbers(model), numbers(other), **CLOSE)


def test_a_part_of_the_model_and_what_is_outside(five, small):
    """The optimiser moves what it has, also a parameter of the loss; Values outside are live."""
    from miniflow import Value

    model, scale, outside = small(), Value(0.5), Value(2.0)
    before = numbers(model)
    moved = [*model.layers[1].parameters(), scale]

    def loss(p, t):
        return (p * scale - t) ** 2 * outside

    twin, twin_scale = small(), Value(0.5)
    twins = [*twin.layers[1].parameters(), twin_scale]
    train.fit(model, five, KINDS["mse"][1], loss=loss, optimizer=optim.SGD(moved, lr=0.1),
              epochs=2, batch_size=2, shuffle=False, verbose=0)  # fmt: skip
    by_hand(twin, five, KINDS["mse"][1],
            lambda ps, ts: (ps[0] * twin_scale - ts[0]) ** 2 * outside,
            optim.SGD(twins, lr=0.1), 2, 2)  # fmt: skip
    numpy.testing.assert_allclose(numbers(model), numbers(twin), **CLOSE)
    assert scale.data == pytest.approx(twin_scale.data, rel=1e-12)
    assert numbers(model)[:9] == before[:9]


@pytest.mark.parametrize("loss", ["cross_entropy"])
def test_sequences_and_shares(loss, five):
    class Tagger(nn.Module):
        """Two scores for each step of a sequence."""

        def __init__(self):
            self.layer = nn.Layer(1, 2, nonlin=False, seed=1)

        def __call__(self, xs):
            return [self.layer([x]) for x in xs]

    model, y = Tagger(), [[0, 1], [1, 1], [0, 0], [1, 0], [0, 1]]
    said = [model(x) for x in five]
    flat = [step for sample in said for step in sample]
    expected = nn.cross_entropy(flat, [k for sample in y for k in sample]).data
    right = [
        max((0, 1), key=lambda j: s[j].data) == k
        for s, k in zip(flat, [k for sample in y for k in sample], strict=True)
    ]
    found = model.evaluate(five, y, loss=loss, metrics=["accuracy"])
    numpy.testing.assert_allclose(found["loss"], expected, **CLOSE)
    assert found["accuracy"] == pytest.approx(numpy.mean(right))
    shares = numpy.eye(2)[numpy.array(y)]
    same = model.evaluate(five, shares, loss=loss, metrics=["accuracy"])
    numpy.testing.assert_allclose(list(same.values()), list(found.values()), **CLOSE)
    assert model.predict(five).shape == (5, 2, 2)


def test_metrics_are_numpys(many, small):
    x, classes = many(37)
    model = small(3)
    scores = model.predict(x)
    eager = [[s.data for s in model(sample)] for sample in x.tolist()]
    numpy.testing.assert_allclose(scores, eager, rtol=1e-13)

    def own(p, t):
        return math.where(math.equal(t, 1.0), p[1], 0.0)

    found = model.evaluate(
        x, classes, loss="cross_entropy", metrics=["accuracy", own], batch_size=8
    )
    assert found["accuracy"] == numpy.mean(scores.argmax(axis=1) == classes)
    assert found["own"] == pytest.approx(numpy.where(classes == 1, scores[:, 1], 0).mean())
    y = scores + numpy.random.default_rng(1).normal(size=scores.shape) + 1e6
    found = model.evaluate(x, y, loss="mse", metrics=["mae", "mse", "r2"], batch_size=8)
    assert found["mae"] == pytest.approx(abs(scores - y).mean())
    assert found["mse"] == found["loss"] == pytest.approx(((scores - y) ** 2).mean())
    r2 = 1 - ((scores - y) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    assert found["r2"] == pytest.approx(r2, rel=1e-9)
    model, t = small(), (classes > 0).astype(int)
    z = model.predict(x)
    for loss, y, right in (
        ("bce_with_logits", t, (z > 0) == t), ("hinge", 2 * t - 1, (z > 0) == t),
        ("mse", t, (z > 0.5) == t),
    ):  # fmt: skip
        for metric in ("accuracy", "binary_accuracy"):
            assert model.evaluate(x, y, loss=loss, metrics=[metric])[metric] == right.mean()


def test_every_metric_is_compared():
    assert set(METRICS) == {"accuracy", "binary_accuracy", "mae", "mse", "r2"}


def test_ties_and_nan_in_accuracy():
    """Of equal scores the first counts, as NumPy's argmax; a NaN is never right."""
    from miniflow.train.metrics import _right

    rng = random.Random(1)
    for _ in range(200):
        scores = [rng.choice([0.0, 1.0, -1.0]) for _ in range(4)]
        for k in range(4):
            assert _right(scores, float(k)) == (numpy.argmax(scores) == k)
    assert all(_right([float("nan"), 1.0], k) == 0 for k in (0.0, 1.0))


def test_batches_that_come(many, small):
    x, y = many(12)
    options = {"loss": "cross_entropy", "optimizer": "sgd", "verbose": 0, "epochs": 2}
    whole, model = small(3), small(3)
    whole.fit(x, y, batch_size=5, shuffle=False, validation_data=(x, y), **options)

    def batches():
        return ((x[k : k + 5], y[k : k + 5]) for k in range(0, 12, 5))

    found = model.fit(batches, validation_data=batches, **options)
    assert numbers(model) == numbers(whole)
    numpy.testing.assert_allclose(found.history["val_loss"], whole.history.history["val_loss"])
    listed, endless = small(3), small(3)
    listed.fit(list(batches()).__iter__(), **{**options, "epochs": 1})
    forever = (b for _ in iter(int, 1) for b in batches())
    endless.fit(forever, steps_per_epoch=3, **options)
    assert numbers(endless) == numbers(whole)
    with pytest.raises(ValueError, match="exhausted; give a function"):
        listed.fit(batches(), **options)
    assert model.evaluate(batches)["loss"] == pytest.approx(model.evaluate(x, y)["loss"])
    assert model.predict(lambda: (b for b, _ in batches())).shape == (12, 3)


@pytest.mark.skipif(not hasattr(nn.Module, "training"), reason="modules have no modes")
def test_dropout_is_drawn_anew_for_each_batch_and_off_in_validation(many):
    """In machine code, the same by the same seed; the mode is as it was."""
    x, y = many(40)
    results = []
    for seed in (1, 1, 2):
        model = nn.Sequential(nn.Linear(2, 8, seed=1), nn.Dropout(0.5), nn.Linear(8, 3, seed=2))
        model.eval()
        history = model.fit(
            x, y, loss="cross_entropy", optimizer="sgd", epochs=2, batch_size=10, shuffle=False,
            seed=seed, validation_data=(x, y), verbose=0,
        )  # fmt: skip
        results.append(numbers(model))
        assert not any(part.training for part in model.modules())
        last = nn.cross_entropy([model(sample) for sample in x.tolist()], y.tolist()).data
        assert history.history["val_loss"][-1] == pytest.approx(last, rel=1e-12)
    assert results[0] == results[1] != results[2]


def test_what_is_shown(many, small, capsys):
    x, y = many(10)
    model = small(3)
    options = {"loss": "cross_entropy", "optimizer": "adam", "epochs": 2, "seed": 1}
    history = model.fit(x, y, **options)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"epoch {k + 1}/2: loss {loss:.4f}" for k, loss in enumerate(history.history["loss"])
    ]
    small(3).fit(x, y, verbose=0, **options)
    assert capsys.readouterr() == ("", "")
    assert repr(history).startswith("History(2 epochs: loss ")
    assert history._repr_html_().count("<tr>") == 2
    train.summary(model)
    assert capsys.readouterr().out.splitlines()[-1].split() == ["total", "21"]


def test_a_bar_on_a_terminal(many, small, capsys, monkeypatch):
    monkeypatch.setattr("miniflow.train.progress._terminal", lambda: True)
    x, y = many(64)
    small(3).fit(x, y, loss="cross_entropy", optimizer="adam", epochs=2, metrics=["accuracy"])
    out, shown = capsys.readouterr()
    assert out == ""
    assert "epoch 2/2: 100%" in shown
    assert "accuracy=" in shown


def test_the_plot_has_the_epochs(many, small):
    pytest.importorskip("matplotlib").use("Agg")
    x, y = many(10)
    history = small(3).fit(
        x, y, loss="cross_entropy", optimizer="adam", epochs=5, validation_split=0.2,
        validation_freq=2, verbose=0,
    )  # fmt: skip
    axes = history.plot()
    drawn = {line.get_label(): line.get_xdata() for line in axes.get_lines()}
    assert list(drawn["loss"]) == [1, 2, 3, 4, 5]
    assert list(drawn["val_loss"]) == [2, 4]
    assert axes.get_xlabel() == "epoch"
    with pytest.raises(KeyError, match="no 'acc'"):
        history.plot("acc")
