"""What the likelihood of a mixture of Gaussians and its gradient cost."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

import miniflow
from common import peer
from compiled.c_code import c_rows
from compiled.ours import flow, miniflow_ready
from compiled.peers import autograd_math, jax_math, jax_row, tensors, torch_gradient
from compiled.timing import Maker, Row, Settings, compare

LOG_2PI = math.log(2 * math.pi)
# per component: ADBench's Wishart prior with gamma = 1, m = 0, in two dimensions
PRIOR = 3 * math.log(2) + 0.5 * math.log(math.pi) + math.lgamma(1.5)


def logsumexp(xs: Sequence[Any], m: Any) -> Any:
    """The logarithm of the sum of the exponentials, as array libraries have it."""
    # its derivative does not depend on the shift
    biggest = getattr(m, "stop_gradient", lambda x: x)(m.max(xs))
    return biggest + m.log(sum(m.exp(x - biggest) for x in xs))


def likelihood(alphas: Any, means: Any, icf: Any, x: Any, m: Any = miniflow.math) -> Any:
    """One point's logarithmic likelihood in the mixture, up to what `prior` adds for all."""
    terms = []
    for alpha, mean, (log0, log1, low) in zip(alphas, means, icf, strict=True):
        u0, u1 = x[0] - mean[0], x[1] - mean[1]
        y0, y1 = m.exp(log0) * u0, m.exp(log1) * u1 + low * u0
        terms.append(alpha + log0 + log1 - 0.5 * (y0 * y0 + y1 * y1))
    return logsumexp(terms, m)


def prior(alphas: Any, icf: Any, n: float, m: Any = miniflow.math) -> Any:
    """What does not depend on the n points: the weights' normalisation, Wishart's prior."""
    squares = sum(m.exp(a) ** 2 + m.exp(b) ** 2 + low * low for a, b, low in icf)
    return 0.5 * squares + len(alphas) * PRIOR - n * (LOG_2PI + logsumexp(alphas, m))


def mixture_of_arrays(alphas: Any, means: Any, icf: Any, x: Any, m: Any) -> Any:
    """The whole objective for array libraries; the points are the columns of x."""
    q, low = m.exp(icf[:, :2]), icf[:, 2:]
    u0, u1 = x[0] - means[:, :1], x[1] - means[:, 1:]
    y0, y1 = q[:, :1] * u0, q[:, 1:] * u1 + low * u0
    terms = alphas[:, None] + icf[:, :1] + icf[:, 1:2] - 0.5 * (y0 * y0 + y1 * y1)
    squares, (k, n) = (q * q).sum() + (low * low).sum(), terms.shape
    total = m.logsumexp(terms, 0).sum() + 0.5 * squares + k * PRIOR
    return total - n * (LOG_2PI + m.logsumexp(alphas, 0))


class Mixture:
    """ADBench's GMM: n points in 2 dimensions, 5 components."""

    def __init__(self, n: int) -> None:
        random, self.n = np.random.default_rng(4), n
        self.alphas, self.means = random.normal(size=5), random.normal(size=(5, 2))
        self.icf, self.x = random.normal(size=(5, 3)) * 0.5, 2 * random.normal(size=(n, 2))
        self.parameters = (self.alphas, self.means, self.icf)
        self.columns = np.ascontiguousarray(self.x.T)

    def combined(self, points: Any, rest: Any) -> Callable[..., Any]:
        """The objective and its gradient, from those of the points and of the rest."""
        n = float(self.n)

        def objective(alphas: Any, means: Any, icf: Any, x: Any) -> Any:
            value, (by_alphas, by_means, by_icf) = points(alphas, means, icf, x)
            constant, (more_by_alphas, more_by_icf) = rest(alphas, icf, n)
            return value + constant, by_alphas + more_by_alphas, by_means, by_icf + more_by_icf

        return objective

    def expected(self) -> Any:
        """By miniflow without compiling."""
        each = miniflow.value_and_grad(likelihood, (0, 1, 2))

        def points(alphas: Any, means: Any, icf: Any, x: Any) -> Any:
            parts = [each(alphas, means, icf, row) for row in x]
            slopes = zip(*[slopes for _, slopes in parts], strict=True)
            return sum(value for value, _ in parts), [sum(part) for part in slopes]

        rest = miniflow.value_and_grad(prior, (0, 1))
        return self.combined(points, rest)(*self.parameters, self.x)

    def miniflow(self) -> list[Row]:
        each, args = flow.value_and_grad(likelihood, (0, 1, 2)), (*self.parameters, self.x)
        points = flow.vmap(each, in_axes=(None, None, None, 0), reduce="sum", threads=1)
        rest = flow.jit(flow.value_and_grad(prior, (0, 1)))
        miniflow_ready(points, *args)
        miniflow_ready(rest, self.alphas, self.icf, float(self.n))
        return [Row("miniflow", self.combined(points, rest), args)]

    def c(self) -> list[Row]:
        outputs = [np.empty(1), *[np.empty_like(x) for x in self.parameters]]
        return c_rows("C", "gmm.c", ["-Ofast"], self.n, (*self.parameters, self.x), outputs)

    def jax(self) -> list[Row]:
        m = jax_math()
        both = peer("jax").value_and_grad(partial(mixture_of_arrays, m=m), (0, 1, 2))
        row = jax_row(both, *self.parameters, self.columns)
        return [Row(row.name, row.call, (), lambda y: [y[0], *y[1]])]

    def torch(self) -> list[Row]:
        torch, args = peer("torch"), tensors(*self.parameters, self.columns, by=3)
        return [Row("torch", torch_gradient(partial(mixture_of_arrays, m=torch), *args))]

    def autograd(self) -> list[Row]:
        m = autograd_math()
        both = peer("autograd").value_and_grad(partial(mixture_of_arrays, m=m), (0, 1, 2))
        args = (*self.parameters, self.columns)
        return [Row("autograd", both, args, lambda y: [y[0], *y[1]])]

    def makers(self, settings: Settings) -> list[Maker]:
        makers = [] if settings.peers else [self.miniflow]
        return [*makers, self.c, self.jax, self.torch, self.autograd]


def case_d(settings: Settings) -> list[dict[str, Any]]:
    """ADBench's GMM."""
    data = Mixture(1_000)
    title = "(d) ADBench's GMM, d = 2, k = 5, n = 1,000, objective and gradient"
    return [compare(title, data.makers(settings), data.expected(), settings)]
