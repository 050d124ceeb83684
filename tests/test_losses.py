"""Losses and their gradients, to fifty digits, and PyTorch's."""

import math as std
import random

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value, nn


def exact_bce(z, t):
    return mpmath.log1p(mpmath.exp(z)) - t * z, 1 / (1 + mpmath.exp(-z)) - t


LOSSES = {
    "mse": (lambda p, t: ((p - t) ** 2, 2 * (p - t)), st.floats(-1e3, 1e3)),
    "mae": (lambda p, t: (abs(p - t), mpmath.sign(p - t)), st.floats(-1e3, 1e3)),
    "hinge": (
        lambda s, t: (1 - t * s, -t) if t * s < 1 else (mpmath.mpf(0), mpmath.mpf(0)),
        st.sampled_from([-1, 1]),
    ),
    "bce_with_logits": (exact_bce, st.sampled_from([0, 1, True, 0.5, 0.25])),
}
PREDICTION = st.floats(-100, 100) | st.sampled_from([0.0, 1.0, -1.0, 1e3, -1e3])


@pytest.mark.parametrize("name", LOSSES)
@given(data=st.data())
def test_losses_and_gradients_to_the_last_digits(name, data):
    exact, targets = LOSSES[name]
    pairs = data.draw(st.lists(st.tuples(PREDICTION, targets), min_size=1, max_size=5))
    ps, ts = [Value(p) for p, _ in pairs], [t for _, t in pairs]
    loss = getattr(nn, name)(ps, ts)
    loss.backward()
    with mpmath.workdps(500):  # exp(-1000) beside 1 takes 435 digits
        terms = [exact(mpmath.mpf(p), mpmath.mpf(t)) for p, t in pairs]
        n = len(pairs)
        assert loss.data == pytest.approx(
            float(sum(y for y, _ in terms) / n), rel=1e-14, abs=1e-300
        )
        for p, (_, slope) in zip(ps, terms, strict=True):
            # soft labels cancel in the slope, as 0.5 - sigmoid(z) must
            room = 1e-16 if set(ts) & {0.5, 0.25} else 1e-300
            assert p.grad == pytest.approx(float(slope / n), rel=1e-14, abs=room)
    assert getattr(nn, name)([p for p, _ in pairs], ts) == loss.data
    assert isinstance(getattr(nn, name)([p for p, _ in pairs], ts), float)


ROW = st.lists(PREDICTION, min_size=2, max_size=5)


@given(rows=st.lists(ROW, min_size=1, max_size=4), data=st.data())
def test_cross_entropy_to_the_last_digits(rows, data):
    classes = [data.draw(st.integers(0, len(row) - 1)) for row in rows]
    values = [[Value(x) for x in row] for row in rows]
    loss = nn.cross_entropy(values, classes)
    loss.backward()
    with mpmath.workdps(1000):
        shares = []
        for row in rows:
            powers = [mpmath.exp(mpmath.mpf(x)) for x in row]
            shares.append([p / sum(powers) for p in powers])
        chosen = [-mpmath.log(share[k]) for share, k in zip(shares, classes, strict=True)]
        expected = float(sum(chosen) / len(rows))
        assert loss.data == pytest.approx(expected, rel=1e-13, abs=1e-300)
        for row, share, k in zip(values, shares, classes, strict=True):
            for j, v in enumerate(row):
                slope = float((share[j] - (j == k)) / len(rows))
                # ulps of a logit of 1000 are 1e-13 of its exponential
                assert v.grad == pytest.approx(slope, rel=1e-12, abs=1e-300)
    assert nn.cross_entropy(rows, classes) == loss.data


@given(x=st.floats(-1e300, 1e300), n=st.integers(2, 6), data=st.data())
def test_equal_logits_share_equally(x, n, data):
    k = data.draw(st.integers(0, n - 1))
    row = [Value(x) for _ in range(n)]
    loss = nn.cross_entropy([row], [k])
    loss.backward()
    assert loss.data == pytest.approx(std.log(n), rel=1e-15)
    assert [v.grad for v in row] == pytest.approx([1 / n - (j == k) for j in range(n)], rel=1e-15)


INF = std.inf


@pytest.mark.parametrize(
    ("row", "k", "expected", "slopes"),
    [
        ([-INF, 0.0], 1, 0.0, [0.0, 0.0]),
        ([-INF, 0.0], 0, INF, [-1.0, 1.0]),
        ([-INF, 1.0, 1.0], 1, std.log(2), [0.0, -0.5, 0.5]),
        ([INF, 0.0], 0, 0.0, [0.0, 0.0]),
        ([INF, 0.0], 1, INF, [1.0, -1.0]),
        ([1e308, -1e308], 0, 0.0, [0.0, 0.0]),
        ([-1000.0, 1000.0], 0, 2000.0, [-1.0, 1.0]),
        ([std.nan, 0.0], 0, std.nan, [std.nan, std.nan]),
    ],
)
def test_extreme_logits_of_classes(row, k, expected, slopes):
    values = [Value(x) for x in row]
    loss = nn.cross_entropy([values], [k])
    loss.backward()
    assert loss.data == pytest.approx(expected, nan_ok=True)
    assert [v.grad for v in values] == pytest.approx(slopes, nan_ok=True)


@pytest.mark.parametrize(
    ("z", "t", "expected", "slope"),
    [
        (1000.0, 1, 0.0, 0.0), (1000.0, 0, 1000.0, 1.0), (-1000.0, 1, 1000.0, -1.0),
        (-1000.0, 0, 0.0, 0.0), (INF, 1, 0.0, 0.0), (INF, 0, INF, 1.0), (-INF, 1, INF, -1.0),
        (-INF, 0, 0.0, 0.0), (INF, 0.5, INF, 0.5), (40.0, 1, 4.248354255291589e-18, None),
        (-40.0, 0, 4.248354255291589e-18, None), (std.nan, 1, std.nan, std.nan),
    ],
)  # fmt: skip
def test_extreme_logits_of_two_classes(z, t, expected, slope):
    v = Value(z)
    loss = nn.bce_with_logits([v], [t])
    loss.backward()
    assert loss.data == pytest.approx(expected, rel=1e-15, abs=0, nan_ok=True)
    if slope is not None:
        assert v.grad == pytest.approx(slope, nan_ok=True)


@pytest.mark.parametrize("name", [*LOSSES, "cross_entropy"])
def test_losses_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    rng = random.Random(name)
    rows = [[rng.gauss(0, 3) for _ in range(4)] for _ in range(6)]
    flat, values = [row[0] for row in rows], [[Value(x) for x in row] for row in rows]
    bits = [rng.randint(0, 1) for _ in rows]
    x = torch.tensor(rows if name == "cross_entropy" else flat, dtype=torch.float64)
    x.requires_grad_()
    t = torch.tensor(bits, dtype=torch.float64)
    theirs = {
        "mse": lambda: f.mse_loss(x, t),
        "mae": lambda: f.l1_loss(x, t),
        "hinge": lambda: f.relu(1 - (2 * t - 1) * x).mean(),
        "bce_with_logits": lambda: f.binary_cross_entropy_with_logits(x, t),
        "cross_entropy": lambda: f.cross_entropy(x, torch.tensor(bits)),
    }[name]()
    theirs.backward()
    predictions = values if name == "cross_entropy" else [row[0] for row in values]
    ours = getattr(nn, name)(predictions, [2 * b - 1 for b in bits] if name == "hinge" else bits)
    ours.backward()
    found = [v.grad for row in values for v in (row if name == "cross_entropy" else row[:1])]
    assert ours.data == pytest.approx(theirs.item(), rel=1e-13)
    assert found == pytest.approx(x.grad.flatten().tolist(), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", LOSSES)
def test_one_sample_stands_for_itself(name):
    loss, p = getattr(nn, name), Value(0.25)
    expected = loss([p], [1]).data
    assert loss(p, 1).data == loss(p, [1]).data == loss([p], 1).data == expected
    assert loss(0.25, 1) == loss(np.float64(0.25), np.int64(1)) == expected
    assert loss(np.array([0.25]), np.array([1])) == expected


def test_one_sample_of_classes_stands_for_itself():
    row = [Value(0.25), 1.0, Value(-2.0)]
    assert nn.cross_entropy(row, 2).data == nn.cross_entropy([row], [2]).data
    assert nn.cross_entropy([0.25, 1.0, -2.0], np.int64(2)) == nn.cross_entropy([row], (2,)).data
    rows = np.array([[0.25, 1.0, -2.0], [0.0, 0.0, 0.0]])
    assert nn.cross_entropy(rows, np.array([2, 0])) == pytest.approx(
        (nn.cross_entropy(row, 2).data + std.log(3)) / 2
    )


@pytest.mark.parametrize("name", LOSSES)
def test_targets_may_be_values(name):
    p, t = Value(0.25), Value(1.0)
    loss = getattr(nn, name)([p], [t])
    loss.backward()
    assert loss.data == getattr(nn, name)([0.25], [1.0])
    slope = {"mse": 1.5, "mae": 1.0, "hinge": -0.25, "bce_with_logits": -0.25}[name]
    assert t.grad == pytest.approx(slope)
    assert getattr(nn, name)([0.25], [t]).data == loss.data


@pytest.mark.parametrize("name", [*LOSSES, "cross_entropy"])
def test_wrong_lengths_are_named(name):
    loss = getattr(nn, name)
    samples = [[Value(1.0), Value(2.0)]] * 2 if name == "cross_entropy" else [Value(1.0), 2.0]
    with pytest.raises(ValueError, match=f"{name}: 2 predictions for 3 targets"):
        loss(samples, [1, 1, 1])
    with pytest.raises(ValueError, match=f"{name}: 2 predictions for 1 targets"):
        loss(samples, (1,))
    with pytest.raises(ValueError, match=f"{name}: 0 predictions for 0 targets"):
        loss([], [])


@pytest.mark.parametrize("k", [2, -1, 10**9])
def test_a_class_that_does_not_exist_is_named(k):
    with pytest.raises(ValueError, match=f"cross_entropy: class {k} is not among 2 logits"):
        nn.cross_entropy([[Value(1.0), Value(2.0)]], [k])


@pytest.mark.parametrize("k", [1.0, "1", None, Value(1.0), np.float64(1), [1]])
def test_a_class_that_is_no_integer_is_named(k):
    with pytest.raises(TypeError, match=r"cross_entropy: a class must be an integer, got "):
        nn.cross_entropy([[Value(1.0), Value(2.0)]], [k])


def test_no_logits():
    with pytest.raises(ValueError, match="cross_entropy: class 0 is not among 0 logits"):
        nn.cross_entropy([[]], [0])


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("bad", ["x", None, 1j, [1.0]])
def test_what_is_no_number_is_a_type_error(name, bad):
    with pytest.raises(TypeError):
        getattr(nn, name)([Value(1.0)], [bad])
    with pytest.raises(TypeError):
        getattr(nn, name)([bad], [Value(1.0)])
