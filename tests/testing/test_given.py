"""Gradients from elsewhere, through grad=: NumPy, C, PyTorch, autograd."""

import ctypes
import math
import shutil
import subprocess

import numpy as np
import pytest

from miniflow.testing import inspect_grads

# --- NumPy ----------------------------------------------------------------------


def energy(x):
    return np.sum(np.sin(x) * np.exp(-x * x))


def energy_slope(x):
    return (np.cos(x) - 2 * x * np.sin(x)) * np.exp(-x * x)


X = np.array([[0.3, -1.2], [0.8, 2.0]])


def test_numpy():
    report = inspect_grads(energy, (X,), grad=energy_slope)
    assert report
    assert {x.judge for x in report.comparisons} == {"complex step"}
    assert len(report.comparisons) == 4


@pytest.mark.parametrize("wrong", [
    lambda x: energy_slope(x) * (1 + 1e-6),
    lambda x: -energy_slope(x),
    lambda x: energy_slope(x).T,
    lambda x: np.where(x < 0, 0.0, energy_slope(x)),
])  # fmt: skip
def test_numpy_with_a_fault(wrong):
    report = inspect_grads(energy, (X,), grad=wrong)
    assert report.verdict == "wrong"
    assert "∂energy/∂x[" in str(report)


def test_several_outputs_have_a_jacobian():
    assert inspect_grads(np.sin, (X[0],), grad=lambda x: np.diag(np.cos(x)))
    assert not inspect_grads(
        lambda x, y: (x * y, x), (2.0, 3.0), grad=lambda x, y: ([y, 1], [x, 1])
    )
    assert inspect_grads(
        lambda x, y: (x * y, x), (2.0, 3.0), grad=lambda x, y: ([y, 1.0], [x, 0.0])
    )


def test_nested_arguments():
    def f(d, name):
        return d["p"] ** 2 * d["q"][0] if name == "f" else 0.0

    grad = lambda d, name: ({"q": [d["p"] ** 2], "p": 2 * d["p"] * d["q"][0]}, name)  # noqa: E731
    assert inspect_grads(f, ({"p": 3.0, "q": [2.0]}, "f"), grad=grad).verdict == "right"


def test_plain_python_is_judged_without_numpy():
    grad = lambda x, y: (math.exp(y), x * math.exp(y))  # noqa: E731
    assert inspect_grads(lambda x, y: x * math.exp(y), (0.3, 0.4), grad=grad)
    assert inspect_grads(lambda x: x**3 / (1 + x), (2.0,), grad=lambda x: 28 / 9)


@pytest.mark.parametrize(("f", "point", "verdict"), [
    (abs, 0.0, "inconclusive"),
    (lambda x: float(np.float32(x) ** 2), 0.3, "inconclusive"),
    (lambda x: math.sqrt(x), 0.0, "inconclusive"),
    (lambda x: 3.0, 0.3, "right"),
])  # fmt: skip
def test_what_cannot_be_judged_is_said(f, point, verdict):
    assert inspect_grads(f, (point,), grad=lambda x: 0.0).verdict == verdict


@pytest.mark.parametrize(("grad", "message"), [
    (lambda x, y: 1.0, "must return a tuple with the gradient by each of the 2 arguments"),
    (lambda x, y: (1.0,), "must return a tuple"),
    (lambda x, y: ([1.0, 2.0], 1.0), "must return 1 numbers"),
    (lambda x, y: ("a", 1.0), "expected a real number"),
])  # fmt: skip
def test_gradients_of_another_form_are_refused(grad, message):
    with pytest.raises(TypeError, match=message):
        inspect_grads(lambda x, y: x * y, (1.0, 2.0), grad=grad)


# --- C --------------------------------------------------------------------------

SOURCE = """
#include <math.h>
double f(double x, double y) { return exp(x * y) + log(1 + y * y); }
void slopes(double x, double y, double factor, double *out) {
    out[0] = factor * y * exp(x * y);
    out[1] = x * exp(x * y) + 2 * y / (1 + y * y);
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("c")
    (folder / "f.c").write_text(SOURCE)
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", folder / "f.so", folder / "f.c", "-lm"]
    subprocess.run(command, check=True)
    found = ctypes.CDLL(str(folder / "f.so"))
    found.f.restype = ctypes.c_double
    found.f.argtypes = [ctypes.c_double] * 2
    found.slopes.argtypes = [ctypes.c_double] * 3 + [ctypes.POINTER(ctypes.c_double)]
    return found


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (1 + 1e-6, "wrong")])
def test_c_through_ctypes(library, factor, verdict):
    def grad(x, y):
        out = (ctypes.c_double * 2)()
        library.slopes(x, y, factor, out)
        return tuple(out)

    assert inspect_grads(library.f, (0.3, 1.2), grad=grad).verdict == verdict


# --- PyTorch and autograd -------------------------------------------------------


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (1 + 1e-6, "wrong")])
def test_a_function_of_torch(factor, verdict):
    torch = pytest.importorskip("torch")

    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 3 * x**2 * factor

    def f(x):
        return float(Cube.apply(torch.tensor(x, dtype=torch.float64)))

    def grad(x):
        leaf = torch.tensor(x, dtype=torch.float64, requires_grad=True)
        Cube.apply(leaf).backward()
        return float(leaf.grad)

    assert inspect_grads(f, (1.5,), grad=grad).verdict == verdict


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (1 + 1e-6, "wrong")])
def test_a_primitive_of_autograd(factor, verdict):
    autograd = pytest.importorskip("autograd")
    from autograd.extend import defvjp, primitive

    @primitive
    def cube(x):
        return x**3

    defvjp(cube, lambda ans, x: lambda g: g * 3 * x**2 * factor)
    report = inspect_grads(lambda x: float(cube(x)), (1.5,), grad=autograd.grad(cube))
    assert report.verdict == verdict
