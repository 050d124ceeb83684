"""What compiled functions cost: small networks, option prices, mixtures, compiling, calls.

    python benchmarks/jit.py [--quick] [--only a,b] [--peers] [--json FILE]

Each case is one function in plain scalar Python, and the same by peers and by C written
by hand. Contenders share one process and one thread and take turns in each repeat; their
results are checked equal before they are timed. Ratios within one run count: absolute
times depend on the machine. Peers are measured where they are installed
(`pip install -r benchmarks/requirements.txt`), C where there is gcc.
"""

import os
import sys

# before the imports: one thread everywhere, and nothing compiled by earlier runs
os.environ.update(
    {name + "_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")},
    XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    NPROC="1",
)
if "--child" not in sys.argv:
    os.environ["MINIFLOW_CACHE_DIR"] = ""

import argparse
import ctypes
import gc
import importlib
import json
import math
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from itertools import count, pairwise
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory, mkdtemp
from timeit import Timer
from types import SimpleNamespace
from typing import Any

import numpy as np

import miniflow

flow: Any = miniflow
SOURCES = Path(__file__).parent / "c"
TOLERANCE = 1e-9  # of the largest number in a result
READY = 600.0  # seconds to wait for optimised code


class MissingError(Exception):
    """A contender that cannot run here, and why."""


@dataclass
class Row:
    """A contender: a function, what it is called with, how to read its result."""

    name: str
    call: Callable[..., Any]
    args: tuple[Any, ...] = ()
    result: Callable[[Any], Any] = lambda result: result
    per: int = 1  # evaluations in one call


@dataclass
class Settings:
    """How long to measure."""

    quick: bool
    peers: bool

    @property
    def repeats(self) -> int:
        return 5 if self.quick else 15

    @property
    def seconds(self) -> float:
        return 0.004 if self.quick else 0.05


Maker = Callable[[], list[Row]]


# --- timing -------------------------------------------------------------------


def plain(tree: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """All numbers of a result, one after another."""
    if isinstance(tree, (tuple, list)):
        return np.concatenate([plain(part) for part in tree])
    return np.asarray(tree, dtype=np.float64).ravel()


def check(row: Row, expected: Any) -> None:
    """One call, compared part by part with what is expected."""
    found = row.result(row.call(*row.args))
    if isinstance(expected, float):
        found, expected = [found], [expected]
    for k, (part, wanted) in enumerate(zip(found, expected, strict=True)):
        a, b = plain(part), plain(wanted)
        error = np.max(np.abs(a - b)) / np.max(np.abs(b))
        if not error <= TOLERANCE:
            raise SystemExit(f"{row.name}: part {k} of the result is off by {error:.1e}")


def timer(row: Row) -> Timer:
    """A loop of calls with as little around them as there can be."""
    names = [f"x{k}" for k in range(len(row.args))]
    variables = dict(zip(names, row.args, strict=True))
    return Timer(
        f"f({', '.join(names)})", "gc.enable()", globals=globals() | variables | {"f": row.call}
    )


def calls(loop: Timer, seconds: float) -> int:
    """How many calls take about that long."""
    number = 1
    while (took := loop.timeit(number)) < seconds / 4 and number < 10**6:
        number *= 4
    return max(1, int(number * seconds / took))


def timed(loop: Timer, number: int, name: str) -> float:
    """Seconds for that many calls."""
    cpu, start = time.process_time(), time.perf_counter()
    took = loop.timeit(number)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - start
    if cpu > 1.3 * wall + 0.002:
        print(f"  ({name} used {cpu / wall:.1f} threads)")
    return took


def scaled(seconds: float) -> str:
    """A time with its unit."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * factor >= 1:
            return f"{digits(seconds * factor)} {unit}"
    return f"{digits(seconds * 1e9)} ns"


def digits(x: float) -> str:
    """A number with three digits, or all before the point."""
    return f"{x:.3g}" if x < 999.5 else f"{x:,.0f}"


def gathered(makers: Iterable[Maker]) -> list[Row]:
    """The rows of all the contenders that can run here."""
    rows: list[Row] = []
    reasons: dict[str, None] = {}
    for maker in makers:
        try:
            rows += maker()
        except MissingError as reason:
            reasons[str(reason)] = None
    for text in reasons:
        print(f"  (left out: {text})")
    return rows


def compare(
    title: str, makers: Iterable[Maker], expected: Any, settings: Settings
) -> dict[str, Any]:
    """Check all the rows, time them in turns, print and return the figures."""
    print(f"\n{title}\n")
    rows = gathered(makers)
    for row in rows:
        check(row, expected)
    loops = [timer(row) for row in rows]
    gc.collect()
    gc.freeze()  # what the peers have loaded slows nobody's collections
    numbers = [calls(loop, settings.seconds) for loop in loops]
    seconds: list[list[float]] = [[] for _ in rows]
    for _ in range(settings.repeats):
        for row, loop, number, found in zip(rows, loops, numbers, seconds, strict=True):
            found.append(timed(loop, number, row.name) / (number * row.per))
    return {"title": title, "rows": table([row.name for row in rows], seconds)}


def table(names: Sequence[str], seconds: list[list[float]]) -> list[dict[str, Any]]:
    """Print and return medians, and medians of the ratios to the first contender."""
    print(f"  {'contender':<34} {'median':>9}  {'ratio':>8}  range")
    rows = []
    for name, times in zip(names, seconds, strict=True):
        ratio = statistics.median(t / first for t, first in zip(times, seconds[0], strict=True))
        median = statistics.median(times)
        rows.append({"name": name, "median": median, "ratio": ratio, "seconds": times})
        spread = f"{scaled(min(times))}..{scaled(max(times))}"
        print(f"  {name:<34} {scaled(median):>9}  {digits(ratio):>7}x  {spread}")
    return rows


# --- peers --------------------------------------------------------------------


@cache
def peer(name: str) -> Any:
    """A peer's module, set to doubles and to one thread."""
    package = name.partition(".")[0]
    if find_spec(package) is None:
        raise MissingError(f"{package} is not installed")
    module = importlib.import_module(name)
    if name == "jax":
        module.config.update("jax_enable_x64", True)
        module.config.update("jax_cpu_enable_async_dispatch", False)  # faster for small ones
    if name == "torch":
        module.set_num_threads(1)
    if name == "drjit":
        if not module.has_backend(module.JitBackend.LLVM):
            raise MissingError("Dr.Jit finds no LLVM")
        module.set_thread_count(1)
    return module


def miniflow_ready(f: Any, *args: Any) -> Any:
    """A compiled function with its optimised code in place."""
    f(*args)
    if not f.ready(READY):
        raise SystemExit(f"miniflow: not optimised after {READY} seconds")
    return f


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


# --- C ------------------------------------------------------------------------


@cache
def folder() -> TemporaryDirectory[str]:
    """Where compiled code is kept until the end."""
    return TemporaryDirectory(prefix="miniflow-bench-")


def shared(source: Path, flag: str) -> Path:
    """A C source as a shared library."""
    if which("gcc") is None:
        raise MissingError("there is no gcc")
    made = Path(mkdtemp(dir=folder().name)) / f"{source.stem}.o"
    library = made.with_suffix(".so")
    options = ["-march=native", "-fopenmp-simd", "-fPIC"]
    subprocess.run(["gcc", flag, *options, "-c", source, "-o", made], check=True)
    # without -Ofast: where that links, denormals become 0 in the whole process
    subprocess.run(["gcc", "-shared", made, "-o", library, "-lm"], check=True)
    return library


def pointers(arrays: Sequence[Any]) -> Any:
    """The arrays' addresses, as C takes them."""
    if not all(x.dtype == np.float64 and x.flags.c_contiguous for x in arrays):
        raise TypeError("C takes contiguous arrays of doubles")
    return (ctypes.c_void_p * len(arrays))(*[x.ctypes.data for x in arrays])


def c_rows(
    name: str, source: str, flag: str, n: int, inputs: Sequence[Any], outputs: Sequence[Any],
    net: int = 0,
) -> list[Row]:  # fmt: skip
    """C called through ctypes with all its buffers bound; also without the call if `net`."""
    library = ctypes.CDLL(str(shared(SOURCES / source, flag)))
    library.kernel.restype = library.repeat.restype = None
    args = (ctypes.c_long(n), pointers(inputs), pointers(outputs))
    kept = (inputs, outputs)  # alive as long as the row is
    rows = [Row(name, library.kernel, args, lambda _: kept[1])]
    if net:
        looped = (ctypes.c_long(net), *args)
        rows.append(Row(f"{name}, net of the call", library.repeat, looped, lambda _: kept[1], net))
    return rows


def generated(function: Any, flag: str) -> Any:
    """A function of CasADi's as compiled C."""
    casadi, where = peer("casadi"), Path(folder().name)
    code = casadi.CodeGenerator(f"{function.name()}.c")
    code.add(function)
    code.generate(f"{where}/")
    return casadi.external(function.name(), str(shared(where / f"{function.name()}.c", flag)))


def casadi_rows(function: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> list[Row]:
    """A function of CasADi's, called through its buffers."""
    buffer, call = function.buffer()
    for k, x in enumerate(inputs):
        buffer.set_arg(k, memoryview(x))
    for k, y in enumerate(outputs):
        buffer.set_res(k, memoryview(y))
    kept = (function, buffer, inputs, outputs)
    return [Row("CasADi", call, (), lambda _: kept[3])]


# --- (a) a small network ------------------------------------------------------

HIDDEN = (16, 16)
PARAMETERS = 337


def layer(p: Any, start: int, xs: list[Any], width: int) -> list[Any]:
    """The weighted sums of a layer: its parameters are weights, a row a neuron, then biases."""
    n = len(xs)
    rows, biases = [p[start + j * n : start + (j + 1) * n] for j in range(width)], start + width * n
    return [
        sum((w * x for w, x in zip(row, xs, strict=True)), p[biases + j])
        for j, row in enumerate(rows)
    ]


def hinge(p: Any, a: Any, b: Any, label: Any, m: Any = miniflow.math) -> Any:
    """The loss of MLP(2, [16, 16, 1]) at the point (a, b), whose label is +1 or -1."""
    xs, start = [a, b], 0
    for width in HIDDEN:
        zs = layer(p, start, xs, width)
        start += (len(xs) + 1) * width
        xs = [m.relu(z) for z in zs]
    (score,) = layer(p, start, xs, 1)
    return m.relu(1 - label * score)


def hinge_of_arrays(p: Any, x: Any, label: Any, m: Any) -> Any:
    """The sum of the losses at all points, the columns of x."""
    h = m.relu(p[:32].reshape(16, 2) @ x + p[32:48, None])
    h = m.relu(p[48:304].reshape(16, 16) @ h + p[304:320, None])
    return m.relu(1 - label * (p[320:336] @ h + p[336])).sum()


def hinge_by_hand(p: Any, x: Any, label: Any) -> tuple[Any, Any]:
    """The same and its gradient, in NumPy."""
    w2, w3 = p[48:304].reshape(16, 16), p[320:336]
    h1 = np.maximum(p[:32].reshape(16, 2) @ x + p[32:48, None], 0)
    h2 = np.maximum(w2 @ h1 + p[304:320, None], 0)
    margin = 1 - label * (w3 @ h2 + p[336])
    d3 = np.where(margin > 0, -label, 0.0)
    d2 = np.outer(w3, d3) * (h2 > 0)
    d1 = (w2.T @ d2) * (h1 > 0)
    parts = (d1 @ x.T, d1.sum(1), d2 @ h1.T, d2.sum(1), h2 @ d3, d3.sum())
    return np.maximum(margin, 0).sum(), np.concatenate([part.ravel() for part in parts])


def hinge_in_loops(p: Any, xs: Any, ys: Any, labels: Any) -> tuple[Any, Any]:
    """The same in scalar loops, for Numba."""
    g = np.zeros(337)
    w1, b1, w2, b2, w3 = p[:32], p[32:48], p[48:304], p[304:320], p[320:336]
    g1, gb1, g2, gb2, g3 = g[:32], g[32:48], g[48:304], g[304:320], g[320:336]
    h1, h2, d1 = np.empty(16), np.empty(16), np.empty(16)
    loss = 0.0
    for k in range(len(xs)):
        x, y, label, score = xs[k], ys[k], labels[k], p[336]
        for j in range(16):
            h1[j] = max(b1[j] + w1[2 * j] * x + w1[2 * j + 1] * y, 0.0)
            d1[j] = 0.0
        for j in range(16):
            z = b2[j]
            for i in range(16):
                z += w2[16 * j + i] * h1[i]
            h2[j] = max(z, 0.0)
            score += w3[j] * h2[j]
        margin = 1.0 - label * score
        if margin <= 0.0:
            continue
        loss += margin
        g[336] -= label
        for j in range(16):
            g3[j] -= label * h2[j]
            if h2[j] > 0.0:
                d = -label * w3[j]
                gb2[j] += d
                for i in range(16):
                    g2[16 * j + i] += d * h1[i]
                    d1[i] += d * w2[16 * j + i]
        for j in range(16):
            if h1[j] > 0.0:
                gb1[j] += d1[j]
                g1[2 * j] += d1[j] * x
                g1[2 * j + 1] += d1[j] * y
    return loss, g


class Points:
    """A network's parameters, and labelled points."""

    def __init__(self, batch: int) -> None:
        random, self.batch = np.random.default_rng(1), batch
        self.p = random.normal(size=PARAMETERS) * 0.3
        self.x = random.normal(size=(2, batch))
        self.label = np.where(random.random(batch) < 0.5, -1.0, 1.0)
        self.columns = (self.x[0].copy(), self.x[1].copy(), self.label)

    def outputs(self) -> list[Any]:
        return [np.empty(1), np.empty(PARAMETERS)]

    def each(self) -> list[tuple[float, float, float]]:
        """The points, one by one."""
        return list(zip(*[column.tolist() for column in self.columns], strict=True))

    def expected(self) -> Any:
        """By miniflow without compiling, or by hand where that takes long."""
        if self.batch > 100:
            return hinge_by_hand(self.p, self.x, self.label)
        parts = [miniflow.value_and_grad(hinge)(self.p, *point) for point in self.each()]
        return sum(value for value, _ in parts), sum(gradient for _, gradient in parts)

    def miniflow(self) -> list[Row]:
        both, args = flow.value_and_grad(hinge), (self.p, *self.columns)
        f = flow.vmap(both, in_axes=(None, 0, 0, 0), reduce="sum", threads=1)
        return [Row("miniflow", miniflow_ready(f, *args), args)]

    def miniflow_point(self) -> list[Row]:
        f, args = flow.jit(flow.value_and_grad(hinge)), (self.p, *self.each()[0])
        return [Row("miniflow", miniflow_ready(f, *args), args)]

    def c(self) -> list[Row]:
        inputs, net = (self.p, *self.columns), 1000 if self.batch == 1 else 0
        name = "C, point by point"
        return c_rows(name, "mlp.c", "-O3", self.batch, inputs, self.outputs(), net)

    def c_lanes(self) -> list[Row]:
        inputs, name = (self.p, *self.columns), "C, 8 points to a vector"
        return c_rows(name, "mlp_lanes.c", "-O3", self.batch, inputs, self.outputs())

    def numpy(self) -> list[Row]:
        return [Row("NumPy by hand", hinge_by_hand, (self.p, self.x, self.label))]

    def jax(self) -> list[Row]:
        m = jax_math()
        both = peer("jax").value_and_grad(partial(hinge_of_arrays, m=m))
        return [jax_row(both, self.p, self.x, self.label)]

    def torch(self) -> list[Row]:
        torch = peer("torch")
        args = tensors(self.p, self.x, self.label, by=1)
        return [Row("torch", torch_gradient(partial(hinge_of_arrays, m=torch), *args))]

    def autograd(self) -> list[Row]:
        m = autograd_math()
        both = peer("autograd").value_and_grad(partial(hinge_of_arrays, m=m))
        return [Row("autograd", both, (self.p, self.x, self.label))]

    def numba(self) -> list[Row]:
        f = peer("numba").njit(fastmath=True, error_model="numpy")(hinge_in_loops)
        return [Row("Numba by hand", f, (self.p, *self.columns))]

    def casadi(self) -> list[Row]:
        casadi, m = peer("casadi"), casadi_math()
        p, point = casadi.SX.sym("p", PARAMETERS), [casadi.SX.sym(name) for name in "abc"]
        loss = partial(hinge, m=m)(casadi.vertsplit(p), *point)
        f = casadi.Function("hinge", [p, *point], [loss, casadi.gradient(loss, p)])
        left = self.batch
        while left > 1:  # in hundreds: the results of one map are kept until they are added
            f = f.map(f"hinge{self.batch}_{left}", "serial", min(left, 100), [0], [0, 1])
            left = -(-left // 100)
        return casadi_rows(generated(f, "-O3"), (self.p, *self.columns), self.outputs())

    def total(self, m: Any) -> Callable[[list[Any]], Any]:
        """The loss as a function of the parameters, for those that record each number."""
        points, loss = self.each(), partial(hinge, m=m)
        return lambda p: sum(loss(p, *point) for point in points)

    def xad(self) -> list[Row]:
        return [Row("XAD", xad_gradient(self.total(xad_math())), tuple(self.p.tolist()))]

    def micrograd(self) -> list[Row]:
        m = SimpleNamespace(relu=lambda x: x.relu())
        return [Row("micrograd", micrograd_gradient(self.total(m)), tuple(self.p.tolist()))]

    def makers(self, settings: Settings) -> list[Maker]:
        one = self.batch == 1
        makers = [] if settings.peers else [self.miniflow_point if one else self.miniflow]
        makers += [self.c] if one else [self.c_lanes, self.c]
        makers += [self.numpy, self.numba, self.jax, self.torch, self.autograd, self.casadi]
        return makers + ([self.xad, self.micrograd] if self.batch <= 100 else [])


def case_a(settings: Settings) -> list[dict[str, Any]]:
    """MLP(2, [16, 16, 1]): hinge loss and gradient."""
    figures = []
    for batch in (1, 100, 1_000 if settings.quick else 10_000):
        data = Points(batch)
        title = (
            f"(a) MLP(2, [16, 16, 1]), hinge loss and gradient by 337 parameters, batch {batch:,}"
        )
        figures.append(compare(title, data.makers(settings), data.expected(), settings))
    return figures


# --- (b) the price of an option -----------------------------------------------

SQRT2 = math.sqrt(2.0)


def price(
    spot: Any, strike: Any, rate: Any, volatility: Any, t: Any, m: Any = miniflow.math
) -> Any:
    """Black and Scholes' price of a call option that matures after time t."""

    def cdf(x: Any) -> Any:
        return 0.5 * (1 + m.erf(x / SQRT2))

    deviation = volatility * m.sqrt(t)
    d1 = (m.log(spot / strike) + (rate + 0.5 * volatility * volatility) * t) / deviation
    return spot * cdf(d1) - strike * m.exp(-rate * t) * cdf(d1 - deviation)


def greeks(spot: Any, strike: Any, rate: Any, volatility: Any, t: Any) -> Any:
    """The price and its five derivatives by hand, for Numba."""
    root = math.sqrt(t)
    deviation = volatility * root
    d1 = (math.log(spot / strike) + rate * t) / deviation + 0.5 * deviation
    p1 = 0.5 * (1.0 + math.erf(d1 / SQRT2))
    p2 = 0.5 * (1.0 + math.erf((d1 - deviation) / SQRT2)) * math.exp(-rate * t)
    slope = spot * math.exp(-0.5 * d1 * d1) / math.sqrt(2.0 * math.pi)
    present = strike * p2
    by_t = 0.5 * slope * volatility / root + rate * present
    return spot * p1 - present, p1, -p2, t * present, slope * root, by_t


class Options:
    """Options: one, or n of them as five columns."""

    def __init__(self, n: int) -> None:
        random, self.n = np.random.default_rng(2), n
        ranges = ((50.0, 150.0), (50.0, 150.0), (0.0, 0.1), (0.1, 0.6), (0.1, 3.0))
        self.columns = tuple(random.uniform(*limits, n) for limits in ranges)
        self.point = tuple(float(column[0]) for column in self.columns)

    def outputs(self) -> list[Any]:
        return list(np.empty((6, self.n)))

    def expected(self) -> Any:
        """By miniflow without compiling for one, by hand for more."""
        if self.n == 1:
            value, slopes = miniflow.value_and_grad(price, range(5))(*self.point)
            return [value, *slopes]
        rows = zip(*[column.tolist() for column in self.columns], strict=True)
        return list(np.array([greeks(*row) for row in rows]).T)

    def miniflow(self) -> list[Row]:
        both = flow.value_and_grad(price, (0, 1, 2, 3, 4))
        f = flow.jit(both) if self.n == 1 else flow.vmap(both, threads=1)
        args = self.point if self.n == 1 else self.columns
        return [Row("miniflow", miniflow_ready(f, *args), args, lambda y: [y[0], *y[1]])]

    def c(self) -> list[Row]:
        if self.n == 1:
            return self.c_point()
        return c_rows("C", "black_scholes.c", "-Ofast", self.n, self.columns, self.outputs())

    def with_numbers(self, row: Row, inputs: Any, outputs: Any) -> Row:
        """The row with its buffers filled from numbers, and read into numbers, in each call."""
        x: Any = memoryview(inputs[:, 0])
        y, call, args = outputs[:, 0], row.call, row.args

        def called(*numbers: float) -> Any:
            x[0], x[1], x[2], x[3], x[4] = numbers
            call(*args)
            return y.tolist()

        kept = (row, inputs, outputs)
        return Row(row.name, called, self.point, lambda y: (y, kept)[0])

    def c_point(self) -> list[Row]:
        """C called with numbers for numbers; and net of the call."""
        x, y = np.array(self.point)[:, None], np.empty((6, 1))
        row, net = c_rows("C", "black_scholes.c", "-Ofast", 1, [*x], [*y], 1000)
        return [self.with_numbers(row, x, y), net]

    def jax(self) -> list[Row]:
        jax, m = peer("jax"), jax_math()
        both = jax.value_and_grad(partial(price, m=m), range(5))
        if self.n > 1:
            row = jax_row(jax.vmap(both), *self.columns)
            return [Row(row.name, row.call, (), lambda y: [y[0], *y[1]])]
        f = jax.jit(lambda *xs: peer("jax.numpy").stack(jax.tree.leaves(both(*xs))))
        return [Row("JAX", lambda *xs: f(*xs).tolist(), self.point)]

    def drjit(self) -> list[Row]:
        drjit, number = peer("drjit"), peer("drjit.llvm.ad").Float64

        def both(*columns: Any) -> Any:
            xs = [number(x) for x in columns]
            for x in xs:
                drjit.enable_grad(x)
            y = partial(price, m=drjit)(*xs)
            drjit.backward(y)
            return drjit.detach(y), *[drjit.grad(x) for x in xs]

        frozen = drjit.freeze(both)
        columns = [number(x) for x in self.columns]

        def call() -> Any:
            ys = frozen(*columns)
            drjit.eval(*ys)
            drjit.sync_thread()
            return ys

        call()
        return [Row("Dr.Jit", call)]

    def torch(self) -> list[Row]:
        torch = peer("torch")
        if self.n > 1:
            args = tensors(*self.columns, by=5)
            return [Row("torch", torch_columns(args))]

        def call(*numbers: float) -> list[float]:
            x = torch.tensor(numbers, dtype=torch.float64, requires_grad=True)
            y = partial(price, m=torch)(*x.unbind())
            return [y.item(), *torch.autograd.grad(y, x)[0].tolist()]

        return [Row("torch", call, self.point)]

    def autograd(self) -> list[Row]:
        m, make_vjp = autograd_math(), peer("autograd").make_vjp

        def call(*xs: Any) -> Any:
            pullback, y = make_vjp(lambda xs: partial(price, m=m)(*xs))(xs)
            return y, *pullback(np.ones_like(y))

        return [Row("autograd", call, self.point if self.n == 1 else self.columns)]

    def numba(self) -> list[Row]:
        compiled = peer("numba").njit(fastmath=True, error_model="numpy")
        one = compiled(greeks)
        if self.n == 1:
            return [Row("Numba by hand", one, self.point)]

        def many(out: Any, a: Any, b: Any, c: Any, d: Any, e: Any) -> Any:
            for i in range(len(a)):
                y = one(a[i], b[i], c[i], d[i], e[i])
                out[0, i], out[1, i], out[2, i], out[3, i], out[4, i], out[5, i] = y
            return out

        out = np.empty((6, self.n))
        return [Row("Numba by hand", compiled(many), (out, *self.columns))]

    def casadi(self) -> list[Row]:
        casadi, m = peer("casadi"), casadi_math()
        xs = [casadi.SX.sym(name) for name in "abcde"]
        y = partial(price, m=m)(*xs)
        slopes = casadi.vertsplit(casadi.gradient(y, casadi.vertcat(*xs)))
        f = casadi.Function("price", xs, [y, *slopes])
        if self.n > 1:
            f = f.map(self.n, "serial")
            return casadi_rows(generated(f, "-Ofast"), self.columns, self.outputs())
        inputs, outputs = np.array(self.point)[:, None], np.empty((6, 1))
        (row,) = casadi_rows(generated(f, "-Ofast"), [*inputs], [*outputs])
        return [self.with_numbers(row, inputs, outputs)]

    def xad(self) -> list[Row]:
        m = xad_math()
        f = xad_gradient(lambda xs: partial(price, m=m)(*xs))
        return [Row("XAD", f, self.point, lambda y: [y[0], *y[1]])]

    def makers(self, settings: Settings) -> list[Maker]:
        makers = [] if settings.peers else [self.miniflow]
        makers += [self.c, self.numba, self.jax, self.torch, self.autograd, self.casadi]
        return [*makers, self.xad if self.n == 1 else self.drjit]


def torch_columns(args: list[Any]) -> Callable[[], Any]:
    """Prices of many options and their derivatives, by torch."""
    torch = peer("torch")

    def call() -> Any:
        y = partial(price, m=torch)(*args)
        return y.detach(), *torch.autograd.grad(y, args, torch.ones_like(y))

    return call


def case_b(settings: Settings) -> list[dict[str, Any]]:
    """Black and Scholes: price and five derivatives."""
    figures = []
    for n in (1, 10_000 if settings.quick else 100_000):
        data = Options(n)
        title = f"(b) Black-Scholes, price and five derivatives, {n:,} point{'s' * (n > 1)}"
        figures.append(compare(title, data.makers(settings), data.expected(), settings))
    print(f"\n  C calls {', '.join(vector_functions()) or 'no vector functions of libmvec'}")
    return figures


def vector_functions() -> list[str]:
    """The functions of glibc's libmvec that the compiled C calls."""
    if which("gcc") is None or which("nm") is None:
        return []
    library = shared(SOURCES / "black_scholes.c", "-Ofast")
    symbols = subprocess.run(["nm", "-D", library], capture_output=True, text=True, check=True)
    return [word.partition("@")[0] for word in symbols.stdout.split() if word.startswith("_ZGV")]


# --- (c) Rosenbrock's function ------------------------------------------------


def rosenbrock(x: Any, steepness: float = 100.0) -> Any:
    """Rosenbrock's function of the numbers x."""
    return sum(steepness * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in pairwise(x))


def rosenbrock_of_arrays(x: Any) -> Any:
    """The same for array libraries."""
    a, b = x[:-1], x[1:]
    return (100 * (b - a * a) ** 2 + (1 - a) ** 2).sum()


def rosenbrock_in_loops(x: Any) -> Any:
    """The same and its gradient in scalar loops, for Numba."""
    n, g, value = len(x), np.empty(len(x)), 0.0
    for i in range(n - 1):
        a, b = x[i + 1] - x[i] * x[i], 1.0 - x[i]
        value += 100.0 * a * a + b * b
        g[i] = -400.0 * a * x[i] - 2.0 * b
    g[n - 1] = 0.0
    for i in range(1, n):
        g[i] += 200.0 * (x[i] - x[i - 1] * x[i - 1])
    return value, g


class Valley:
    """A point of Rosenbrock's function, and ways to compile it."""

    def __init__(self, n: int) -> None:
        self.n, self.x = n, np.random.default_rng(3).normal(size=n)
        self.steepness = count(101.0)  # each program is new, and in no cache

    def expected(self) -> Any:
        return miniflow.value_and_grad(rosenbrock)(self.x)

    def miniflow(self) -> list[Row]:
        f = miniflow_ready(flow.jit(flow.value_and_grad(rosenbrock)), self.x)
        return [Row("miniflow", f, (self.x,))]

    def c(self) -> list[Row]:
        outputs = [np.empty(1), np.empty(self.n)]
        return c_rows("C", "rosenbrock.c", "-O3", self.n, [self.x], outputs, 1000)

    def casadi_function(self) -> Any:
        casadi = peer("casadi")
        x = casadi.SX.sym("x", self.n)
        y = rosenbrock(casadi.vertsplit(x))
        return generated(casadi.Function("rosenbrock", [x], [y, casadi.gradient(y, x)]), "-O3")

    def casadi(self) -> list[Row]:
        outputs = [np.empty(1), np.empty(self.n)]
        return casadi_rows(self.casadi_function(), [self.x], outputs)

    def jax(self) -> list[Row]:
        return [jax_row(peer("jax").value_and_grad(rosenbrock_of_arrays), self.x)]

    def numba_function(self) -> Any:
        return peer("numba").njit(fastmath=True, error_model="numpy")(rosenbrock_in_loops)

    def numba(self) -> list[Row]:
        return [Row("Numba by hand", self.numba_function(), (self.x,))]

    def xad(self) -> list[Row]:
        peer("xad")
        return [Row("XAD", xad_gradient(rosenbrock), tuple(self.x.tolist()))]

    def micrograd(self) -> list[Row]:
        return [Row("micrograd", micrograd_gradient(rosenbrock), tuple(self.x.tolist()))]

    def makers(self, settings: Settings) -> list[Maker]:
        makers = [] if settings.peers else [self.miniflow]
        makers += [self.c, self.numba, self.jax, self.casadi, self.xad, self.micrograd]
        return makers

    def compile_miniflow(self) -> list[tuple[str, float]]:
        steepness = next(self.steepness)
        start = time.perf_counter()
        f = flow.jit(flow.value_and_grad(lambda x: rosenbrock(x, steepness)))
        f(self.x)
        first = time.perf_counter() - start
        miniflow_ready(f, self.x)
        return [("miniflow, optimised", time.perf_counter() - start), ("miniflow, first", first)]

    def compile_c(self) -> list[tuple[str, float]]:
        return elapsed("C: gcc", lambda: shared(SOURCES / "rosenbrock.c", "-O3"))

    def compile_casadi(self) -> list[tuple[str, float]]:
        peer("casadi")
        return elapsed("CasADi: code and gcc", self.casadi_function)

    def compile_jax(self) -> list[tuple[str, float]]:
        jax = peer("jax")
        f = jax.value_and_grad(lambda x: rosenbrock_of_arrays(x))  # new to its cache
        return elapsed("JAX, first call", lambda: jax.block_until_ready(jax.jit(f)(self.x)))

    def compile_numba(self) -> list[tuple[str, float]]:
        peer("numba")
        return elapsed("Numba, first call", lambda: self.numba_function()(self.x))

    def compilers(self, settings: Settings) -> list[Callable[[], list[tuple[str, float]]]]:
        makers = [] if settings.peers else [self.compile_miniflow]
        return [*makers, self.compile_casadi, self.compile_c, self.compile_jax, self.compile_numba]


def elapsed(name: str, call: Callable[[], object]) -> list[tuple[str, float]]:
    """How long one call takes."""
    start = time.perf_counter()
    call()
    return [(name, time.perf_counter() - start)]


def compile_times(title: str, makers: Sequence[Any], repeats: int) -> dict[str, Any]:
    """The contenders' times to compile, in turns."""
    print(f"\n{title}\n")
    times: dict[str, list[float]] = {}
    for _ in range(repeats):
        for maker in makers:
            try:
                for name, seconds in maker():
                    times.setdefault(name, []).append(seconds)
            except MissingError as reason:
                print(f"  (left out: {reason})")
    return {"title": title, "rows": table(list(times), list(times.values()))}


def case_c(settings: Settings) -> list[dict[str, Any]]:
    """Rosenbrock's function of 1,000 numbers."""
    data = Valley(1_000)
    title = "(c) Rosenbrock, n = 1,000, value and gradient"
    figures = compare(title, data.makers(settings), data.expected(), settings)
    title = "(c) Rosenbrock, n = 1,000, time to compile value and gradient"
    compilers = data.compilers(settings)
    return [figures, compile_times(title, compilers, 1 if settings.quick else 3)]


# --- (d) a mixture of Gaussians -----------------------------------------------

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
        return c_rows("C", "gmm.c", "-Ofast", self.n, (*self.parameters, self.x), outputs)

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


# --- (e) compiling against length ---------------------------------------------

START = (0.3, 0.7, 1.1, -0.4)


def straight(instructions: int) -> Callable[..., Any]:
    """A chain of about that many instructions, whose numbers stay between -3 and 3."""

    def f(a: Any, b: Any, c: Any, d: Any) -> Any:
        y, sin, exp = a, miniflow.math.sin, miniflow.math.exp
        for _ in range(instructions // 11):
            y = sin(y * b + c) + a * y
            y = exp(-(y * y)) * d + c * y
        return y

    return f


def lengths_timed(length: int) -> dict[str, float]:
    """Seconds to trace, to the first answer and until optimised; and the length."""
    small = flow.jit(straight(11))
    miniflow_ready(small, *START)  # what compiles is loaded
    gc.collect()  # or the collection that loading makes due may come while we measure
    f, start = straight(length), time.perf_counter()
    instructions = len(flow.trace(f, *START))
    traced = time.perf_counter()
    compiled = flow.jit(f)
    compiled(*START)
    first = time.perf_counter()
    miniflow_ready(compiled, *START)
    ready = time.perf_counter()
    return {
        "instructions": instructions,
        "trace": traced - start,
        "first": first - traced,
        "loading": first - traced - (traced - start),
        "ready": ready - traced,
    }


def child(length: int, folder: str) -> dict[str, float]:
    """`lengths_timed` in a new process, with that folder as the cache."""
    command = [sys.executable, __file__, "--child", str(length)]
    environment = os.environ | {"MINIFLOW_CACHE_DIR": folder}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"compiling {length:,} instructions failed:\n{done.stderr}")
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def lengths_row(length: int, repeats: int) -> dict[str, Any]:
    """Medians over pairs of processes: one with an empty cache, one with what that left."""
    pairs = []
    for _ in range(repeats):
        with TemporaryDirectory() as folder:
            pairs.append((child(length, folder), child(length, folder)))
    cold, warm = [
        {key: statistics.median(pair[k][key] for pair in pairs) for key in pairs[0][0]}
        for k in (0, 1)
    ]
    return {
        "length": length,
        "cold": cold,
        "warm": warm,
        "pairs": pairs,
        "again/ready": statistics.median(b["first"] / a["ready"] for a, b in pairs),
        "loading/ready": statistics.median(b["loading"] / a["ready"] for a, b in pairs),
    }


HEADING = """
(e) Compiling a straight line: us per instruction, after a small jit in the same process

    trace, first, ready: to record it; from jit to the first answer; to optimised code
    again, loading: to the first answer in a second process, with the disk cache of the
    first; that without tracing; both also as parts of the first process's time to ready

    length    trace    first    ready    again  loading  again/ready  loading/ready"""


def case_e(settings: Settings) -> list[dict[str, Any]]:
    """The time to compile against the number of instructions."""
    if settings.peers:
        return []
    print(HEADING)
    rows: list[dict[str, Any]] = []
    for length in (100, 1_000) if settings.quick else (100, 1_000, 10_000, 100_000):
        row = lengths_row(length, 1 if settings.quick else 3 if length == 100_000 else 5)
        cold, warm = row["cold"], row["warm"]
        times = [cold["trace"], cold["first"], cold["ready"], warm["first"], warm["loading"]]
        us = "".join(f"  {seconds / cold['instructions'] * 1e6:>7.3g}" for seconds in times)
        print(
            f"  {cold['instructions']:>8,.0f}{us}  "
            f"{row['again/ready']:>11.1%}  {row['loading/ready']:>13.1%}"
        )
        rows.append(row)
    return rows


# --- (f) one call -------------------------------------------------------------


def multiply_add(x: Any, y: Any) -> Any:
    """The smallest function."""
    return x * y + x


class Call:
    """Callers of the smallest function."""

    args, answer = (1.5, 2.5), 5.25

    def miniflow(self) -> list[Row]:
        return [Row("miniflow", miniflow_ready(flow.jit(multiply_add), *self.args), self.args)]

    def python(self) -> list[Row]:
        return [
            Row("math.hypot: another function", math.hypot, self.args, lambda _: self.answer),
            Row("plain Python", multiply_add, self.args),
        ]

    def c(self) -> list[Row]:
        f = ctypes.CDLL(str(shared(SOURCES / "call.c", "-O3"))).f
        f.argtypes, f.restype = [ctypes.c_double] * 2, ctypes.c_double
        return [Row("C through ctypes", f, self.args)]

    def numba(self) -> list[Row]:
        return [Row("Numba", peer("numba").njit(multiply_add), self.args)]

    def jax(self) -> list[Row]:
        return [Row("JAX", peer("jax").jit(multiply_add), self.args)]

    def makers(self, settings: Settings) -> list[Maker]:
        makers = [] if settings.peers else [self.miniflow]
        return [*makers, self.python, self.c, self.numba, self.jax]


def case_f(settings: Settings) -> list[dict[str, Any]]:
    """The cost of a call."""
    title = "(f) One call of x*y + x with floats, from Python"
    return [compare(title, Call().makers(settings), Call.answer, settings)]


CASES = {"a": case_a, "b": case_b, "c": case_c, "d": case_d, "e": case_e, "f": case_f}


def main() -> None:
    parser = argparse.ArgumentParser(description="What compiled functions cost.")
    parser.add_argument("--quick", action="store_true", help="fewer, smaller and shorter runs")
    parser.add_argument("--only", default="a,b,c,d,e,f", help="cases to run, e.g. a,c")
    parser.add_argument("--peers", action="store_true", help="leave miniflow out")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(lengths_timed(arguments.child)))
        return
    chosen = arguments.only.split(",")
    if not set(chosen) <= set(CASES):
        parser.error(f"--only takes some of {','.join(CASES)}")
    settings = Settings(arguments.quick, arguments.peers)
    figures = {name: CASES[name](settings) for name in chosen}
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
