"""What jit.py asks of its peers: their names for mathematics, their gradients, rows of theirs."""

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from common import peer
from compiled.timing import Row


def jax_math() -> Any:
    """JAX's names for what the formulas need."""
    peer("jax")
    numpy, special = peer("jax.numpy"), peer("jax.scipy.special")
    return SimpleNamespace(
        log=numpy.log, exp=numpy.exp, sqrt=numpy.sqrt, erf=special.erf,
        relu=lambda x: numpy.maximum(x, 0), logsumexp=special.logsumexp,
    )  # fmt: skip


def autograd_math() -> Any:
    """The same of autograd's."""
    numpy, special = peer("autograd.numpy"), peer("autograd.scipy.special")
    return SimpleNamespace(
        log=numpy.log, exp=numpy.exp, sqrt=numpy.sqrt, erf=special.erf,
        relu=lambda x: numpy.maximum(x, 0), logsumexp=special.logsumexp,
    )  # fmt: skip


def casadi_math() -> Any:
    """The same of CasADi's."""
    casadi = peer("casadi")
    return SimpleNamespace(
        log=casadi.log, exp=casadi.exp, sqrt=casadi.sqrt, erf=casadi.erf,
        relu=lambda x: x * (x > 0),  # the fastest of three ways to write it
    )  # fmt: skip


def xad_math() -> Any:
    """The same of XAD's."""
    xad = peer("xad.math")
    return SimpleNamespace(
        log=xad.log, exp=xad.exp, sqrt=xad.sqrt, erf=xad.erf, relu=lambda x: xad.max(x, 0.0)
    )


def xad_gradient(f: Callable[[list[Any]], Any]) -> Callable[..., Any]:
    """The function with its gradient, from a tape that is recorded in each call."""
    xad = peer("xad.adj_1st")

    def gradient(*numbers: float) -> tuple[float, list[float]]:
        with xad.Tape() as tape:
            xs = [xad.Real(x) for x in numbers]
            tape.registerInputs(xs)
            tape.newRecording()
            y = f(xs)
            tape.registerOutput(y)
            y.setDerivative(1.0)
            tape.computeAdjoints()
            return y.getValue(), [x.getDerivative() for x in xs]

    return gradient


def micrograd_gradient(f: Callable[[list[Any]], Any]) -> Callable[..., Any]:
    """The same with micrograd."""
    value = peer("micrograd.engine").Value
    sys.setrecursionlimit(10**6)  # it walks its graph recursively

    def gradient(*numbers: float) -> tuple[float, list[float]]:
        xs = [value(x) for x in numbers]
        y = f(xs)
        y.backward()
        return y.data, [x.grad for x in xs]

    return gradient


def torch_gradient(f: Callable[..., Any], *args: Any) -> Callable[..., Any]:
    """The value of f at the tensors, and its gradient by those that want one."""
    torch = peer("torch")
    wanted = [x for x in args if x.requires_grad]

    def gradient() -> Any:
        y = f(*args)
        return y.detach(), *torch.autograd.grad(y, wanted)

    return gradient


def tensors(*arrays: Any, by: int) -> list[Any]:
    """Torch tensors, the first `by` of them to be differentiated by."""
    torch = peer("torch")
    return [torch.tensor(x, requires_grad=k < by) for k, x in enumerate(arrays)]


def jax_row(f: Callable[..., Any], *arrays: Any) -> Row:
    """A row for a function of JAX's, compiled."""
    jax = peer("jax")
    on_device = [jax.device_put(x) for x in arrays]
    compiled = jax.jit(f)
    return Row("JAX", lambda: jax.block_until_ready(compiled(*on_device)))
