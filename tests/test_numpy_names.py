"""NumPy's functions for floats only: what the guide names in their place is the same for Values."""

import numpy as np
import pytest

from miniflow import Value, grad, math
from miniflow.linalg import cholesky, det, inv, norm, solve
from support.project import ROOT

GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
log2 = math.log(2.0)
ONE = {
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log": math.log,
    "sign": math.sign,
    "isnan": math.isnan,
    "isinf": math.isinf,
    "isfinite": math.isfinite,
}
TWO = {
    "logaddexp": math.logaddexp,
    "copysign": math.copysign,
    "nextafter": math.nextafter,
    "fmod": math.fmod,
    "hypot": math.hypot,
    "arctan2": math.atan2,
    "float_power": math.pow,
    "heaviside": lambda x, h: math.where(math.equal(x, 0.0), h, math.step(x)),
    "logaddexp2": lambda a, b: math.logaddexp(a * log2, b * log2) / log2,
}
POINTS = [0.5, 1.0, 2.5, -1.5, 1e-300, 1e300]


@pytest.mark.parametrize("name", [*ONE, *TWO])
@np.errstate(all="ignore")
def test_the_function_that_is_named_is_numpy_s(name):
    f = getattr(np, name)
    points = [*POINTS, float("nan")] if name.startswith("is") else POINTS
    points = [(x,) for x in points] if name in ONE else [(x, y) for x in points for y in points]
    ours = (ONE | TWO)[name]
    for xs in points:
        expected = pytest.approx(f(*xs), rel=1e-13, nan_ok=True)
        assert ours(*xs) == expected
        y = ours(*map(Value, xs))
        assert (y.data if isinstance(y, Value) else y) == expected


@pytest.mark.parametrize(
    "name", [*ONE, *TWO, "nan_to_num", "gradient", "solve", "det", "inv", "cholesky", "norm"]
)
def test_the_guide_names_it(name):
    starts = (f"`{name}", f"`np.{name}", f"`np.linalg.{name}")
    rows = [line for line in GUIDE.splitlines() if line.startswith("|")]
    assert any(start in row for row in rows for start in starts)


def test_arrays_of_values_element_by_element():
    xs = np.array([Value(0.5), Value(-2.0), 3.0], dtype=object)
    for f in (math.isnan, math.isfinite, math.isinf):
        assert f(xs).tolist() == [f(0.5), f(-2.0), f(3.0)]
    for f in (math.logaddexp, math.copysign, math.pow, math.fmod, math.hypot, math.atan2):
        found = [math.stop_gradient(y) for y in f(xs, 2.0)]
        assert [getattr(y, "data", y) for y in found] == [f(0.5, 2.0), f(-2.0, 2.0), f(3.0, 2.0)]
        assert grad(lambda x, f=f: f(np.array([x, 1.0], dtype=object), 2.0)[0])(0.5) == grad(
            lambda x, f=f: f(x, 2.0)
        )(0.5)


def test_systems_are_numpy_s():
    a, b = np.array([[4.0, 1.0], [1.0, 3.0]]), np.array([1.0, 2.0])
    for ours, name, args in [
        (solve, "solve", (a, b)), (det, "det", (a,)), (inv, "inv", (a,)),
        (cholesky, "cholesky", (a,)), (norm, "norm", (a,)),
    ]:  # fmt: skip
        assert np.array(ours(*args), float) == pytest.approx(getattr(np.linalg, name)(*args))


@pytest.mark.parametrize("ask", [lambda v: v.dtype, lambda v: v.astype(float)])
def test_what_numpy_asks_an_array_for_is_answered_by_how_to_make_one(ask):
    with pytest.raises(AttributeError, match=r"np\.array\(\[v\]\)"):
        ask(Value(0.5))
    assert np.sinc(np.array([Value(0.5)]))[0].data == np.sinc(0.5)
