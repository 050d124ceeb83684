"""Training, compared with its peers: the same data, first weights, order and optimiser.

    python benchmarks/train.py             # what is installed; some minutes
    python benchmarks/train.py --quick     # less often
    python benchmarks/train.py --only miniflow JAX --json out.json

Each network is trained with Adam on the mean squared error, in batches of 32 and doubles, by
everybody from the same weights. The losses of all epochs must agree to 1e-9 (Keras's Adam has its
epsilon in another place: to 1e-2) before anything is timed. Times are the best of some, once all
is compiled: of an epoch, of a step, and to the first epoch with 95 % of the samples right.
"""

import argparse
import csv
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from common import TOLERANCE, MissingError, digits, peer, write
from miniflow import nn, optim

BATCH, LR = 32, 0.01
BETAS, EPS = (0.9, 0.999), 1e-8
GOAL = 0.95


class Job(NamedTuple):
    """A network and data: inputs, and targets of 0 and 1, one for each output."""

    name: str
    sizes: tuple[int, ...]
    x: Any
    y: Any
    epochs: int

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return -(-len(self.x) // BATCH)

    def model(self) -> nn.MLP:
        """The network with its first weights."""
        return nn.MLP(self.sizes[0], self.sizes[1:], seed=1)

    def weights(self) -> list[tuple[Any, Any]]:
        """The first weights of each layer, a row of the matrix for each neuron, and biases."""
        return [
            (np.array([[w.data for w in n.w] for n in layer.neurons]),
             np.array([n.b.data for n in layer.neurons]))
            for layer in self.model().layers
        ]  # fmt: skip

    def batches(self) -> Iterator[tuple[Any, Any]]:
        """Inputs and targets, batch by batch."""
        for start in range(0, len(self.x), BATCH):
            yield self.x[start : start + BATCH], self.y[start : start + BATCH]


def iris() -> Job:
    """150 plants of three species."""
    path = Path(__file__).parents[1] / "examples" / "data" / "iris.csv"
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(line for line in file if not line.startswith("#")))[1:]
    random.Random(1).shuffle(lines)
    x = np.array([[float(v) for v in line[:-1]] for line in lines])
    names = sorted({line[-1] for line in lines})
    y = np.eye(3)[[names.index(line[-1]) for line in lines]]
    return Job("iris", (4, 16, 16, 3), (x - x.mean(axis=0)) / x.std(axis=0), y, 30)


def tumours(count: int, epochs: int) -> Job:
    """Samples of the shape of the breast-cancer set: 30 numbers, and whether it is malignant."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(count, 30))
    noise = rng.normal(size=count) / 2  # a linear rule is right for 97 % of the samples
    y = x @ rng.normal(size=30) + noise > 0
    return Job(f"{count:,} x 30", (30, 16, 1), x, y.astype(float)[:, None], epochs)


# --- contenders: each gives a function that trains for so many epochs and returns their losses

Epochs = Callable[[int], list[float]]


def repeated(epoch: Callable[[], float]) -> Epochs:
    """A function of one epoch, for several."""
    return lambda count: [epoch() for _ in range(count)]


def miniflow(job: Job) -> Epochs:
    """`fit`, which goes on for some epochs at each call: by a callback, so that it begins once."""
    from threading import Semaphore, Thread

    go, done, wanted = Semaphore(0), Semaphore(0), 0
    losses: list[float] = []

    class Waits:
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if not losses:
                go.acquire()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            losses.append(logs["loss"])
            if len(losses) == wanted:
                done.release()
                go.acquire()

    def train() -> None:
        model = job.model()  # on the thread that trains
        adam = optim.Adam(model.parameters(), LR, BETAS, EPS)
        y = job.y if job.sizes[-1] > 1 else job.y[:, 0]
        model.fit(job.x, y, loss="mse", optimizer=adam, epochs=1 << 30, batch_size=BATCH,
                  shuffle=False, callbacks=[Waits()], verbose=0)  # fmt: skip

    Thread(target=train, daemon=True).start()

    def epochs(count: int) -> list[float]:
        nonlocal wanted
        wanted = len(losses) + count
        go.release()
        done.acquire()
        return losses[-count:]

    return epochs


def micrograd(job: Job) -> Epochs:
    """A loop over micrograd's Values; Adam on floats."""
    engine, modules = peer("micrograd.engine"), peer("micrograd.nn")
    model = modules.MLP(job.sizes[0], list(job.sizes[1:]))
    parameters = model.parameters()
    for p, q in zip(parameters, job.model().parameters(), strict=True):
        p.data = q.data
    moments, step = [[0.0, 0.0] for _ in parameters], 0

    def epoch() -> float:
        nonlocal step
        total = 0.0
        for x, y in job.batches():
            terms = []
            for inputs, targets in zip(x.tolist(), y.tolist(), strict=True):
                out = model([engine.Value(v) for v in inputs])
                outs = out if isinstance(out, list) else [out]
                terms += [(o - t) ** 2 for o, t in zip(outs, targets, strict=True)]
            loss = sum(terms) * (1 / len(terms))
            model.zero_grad()
            loss.backward()
            step += 1
            rise, spread = 1 - BETAS[0] ** step, 1 - BETAS[1] ** step
            for p, m in zip(parameters, moments, strict=True):
                m[0] = BETAS[0] * m[0] + (1 - BETAS[0]) * p.grad
                m[1] = BETAS[1] * m[1] + (1 - BETAS[1]) * p.grad**2
                p.data -= LR * (m[0] / rise) / ((m[1] / spread) ** 0.5 + EPS)
            total += loss.data * len(x)
        return total / len(job.x)

    return repeated(epoch)


def pytorch(job: Job, *, compiled: bool = False) -> Epochs:
    """Modules and torch.optim, each batch on its own."""
    torch = peer("torch")
    layers: list[Any] = []
    for w, b in job.weights():
        layers += [torch.nn.Linear(*w.shape[::-1]).double(), torch.nn.ReLU()]
        layers[-2].weight.data, layers[-2].bias.data = torch.tensor(w), torch.tensor(b)
    model = torch.nn.Sequential(*layers[:-1])
    adam = torch.optim.Adam(model.parameters(), LR, BETAS, EPS)
    given = [(torch.tensor(x), torch.tensor(y)) for x, y in job.batches()]

    def loss_of(x: Any, y: Any) -> Any:
        return ((model(x) - y) ** 2).mean()

    if compiled:
        loss_of = torch.compile(loss_of)

    def epoch() -> float:
        total = 0.0
        for x, y in given:
            loss = loss_of(x, y)
            adam.zero_grad()
            loss.backward()
            adam.step()
            total += loss.item() * len(x)
        return total / len(job.x)

    return repeated(epoch)


def pytorch_compiled(job: Job) -> Epochs:
    """The same with torch.compile."""
    return pytorch(job, compiled=True)


def jax(job: Job) -> Epochs:
    """One compiled function for a whole epoch, which scans over the batches: the quickest form."""
    jax, jnp = peer("jax"), peer("jax.numpy")
    parameters = [(jnp.array(w.T), jnp.array(b)) for w, b in job.weights()]
    whole = len(job.x) // BATCH * BATCH
    x = jnp.array(job.x[:whole].reshape(-1, BATCH, job.sizes[0]))
    y = jnp.array(job.y[:whole].reshape(-1, BATCH, job.sizes[-1]))
    rest = jnp.array(job.x[whole:]), jnp.array(job.y[whole:])

    def loss_of(parameters: Any, x: Any, y: Any) -> Any:
        for w, b in parameters[:-1]:
            x = jax.nn.relu(x @ w + b)
        w, b = parameters[-1]
        return jnp.mean((x @ w + b - y) ** 2)

    def step(state: Any, batch: Any) -> Any:
        p, m, v, t = state
        loss, g = jax.value_and_grad(loss_of)(p, *batch)
        t = t + 1
        tree = jax.tree_util.tree_map
        m = tree(lambda m, g: BETAS[0] * m + (1 - BETAS[0]) * g, m, g)
        v = tree(lambda v, g: BETAS[1] * v + (1 - BETAS[1]) * g * g, v, g)
        rise, spread = 1 - BETAS[0] ** t, 1 - BETAS[1] ** t
        p = tree(lambda p, m, v: p - LR * (m / rise) / (jnp.sqrt(v / spread) + EPS), p, m, v)
        return (p, m, v, t), loss * len(batch[0])

    def one_epoch(state: Any) -> Any:
        state, losses = jax.lax.scan(step, state, (x, y))
        total = losses.sum()
        if len(rest[0]):
            state, loss = step(state, rest)
            total = total + loss
        return state, total

    compiled = jax.jit(one_epoch)
    zeros = jax.tree_util.tree_map(jnp.zeros_like, parameters)
    state = parameters, zeros, zeros, jnp.array(0.0)

    def epoch() -> float:
        nonlocal state
        state, total = compiled(state)
        return float(total) / len(job.x)

    return repeated(epoch)


def keras(job: Job) -> Epochs:
    """`Model.fit` of Keras, on the backend that it is set to, JAX if none is."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    if os.environ["KERAS_BACKEND"] == "jax":
        peer("jax")  # set to doubles
    keras = peer("keras")
    keras.config.set_floatx("float64")
    sizes = job.sizes[1:]
    layers = [keras.layers.Dense(n, "relu" if k < len(sizes) - 1 else None)
              for k, n in enumerate(sizes)]  # fmt: skip
    model = keras.Sequential([keras.Input((job.sizes[0],)), *layers])
    model.set_weights([a for w, b in job.weights() for a in (w.T, b)])
    model.compile(optimizer=keras.optimizers.Adam(LR, *BETAS, EPS), loss="mse")

    def epoch() -> float:
        history = model.fit(job.x, job.y, batch_size=BATCH, shuffle=False, verbose=0)
        return float(history.history["loss"][0])

    return repeated(epoch)


CONTENDERS = {
    "miniflow": miniflow,
    "micrograd": micrograd,
    "PyTorch": pytorch,
    "PyTorch compiled": pytorch_compiled,
    "JAX": jax,
    "Keras": keras,
}


# --- comparing ------------------------------------------------------------------


def to_the_goal(job: Job) -> int:
    """After how many epochs the samples are right that the goal asks for."""
    model = job.model()
    adam = optim.Adam(model.parameters(), LR, BETAS, EPS)
    y = job.y if job.sizes[-1] > 1 else job.y[:, 0]
    for epoch in range(200):
        model.fit(job.x, y, loss="mse", optimizer=adam, initial_epoch=epoch, epochs=epoch + 1,
                  batch_size=BATCH, shuffle=False, verbose=0)  # fmt: skip
        if model.evaluate(job.x, y, metrics=["accuracy"])["accuracy"] >= GOAL:
            return epoch + 1
    raise AssertionError(f"{job.name}: never {GOAL:.0%} right")


def seconds(epochs: Epochs, least: float, count: int) -> float:
    """The best time of an epoch, in turns of some, for at least so many seconds."""
    best, start = float("inf"), perf_counter()
    while best == float("inf") or perf_counter() - start < least:
        before = perf_counter()
        epochs(count)
        best = min(best, (perf_counter() - before) / count)
    return best


def compare(job: Job, chosen: list[str], least: float) -> dict[str, Any]:
    """Each contender's seconds for an epoch, if its losses are miniflow's."""
    found: dict[str, Any] = {}
    reference: list[float] = []
    for name in chosen:
        try:
            epochs = CONTENDERS[name](job)
            slow = name == "micrograd"
            curve = epochs(2 if slow else 5)
            reference = reference or curve
            tolerance = 1e-2 if name == "Keras" else TOLERANCE
            np.testing.assert_allclose(curve, reference[: len(curve)], rtol=tolerance)
            if name == "miniflow":
                seconds(epochs, 2 * least, 1)  # until all is compiled
            count = 1 if slow or job.steps > 100 else 20
            found[name] = seconds(epochs, 0.0 if slow else least, count)
        except MissingError as error:
            print(f"  {name}: {error}")
        except ImportError as error:
            print(f"  {name}: {error}")
    return found


def report(job: Job, found: dict[str, float], epochs: int) -> None:
    """A table of times, and of how many times miniflow's they are."""
    print(f"{job.name}, MLP{job.sizes}, {job.steps} steps of an epoch:")
    for name, time in found.items():
        print(
            f"  {name:18}{digits(time * 1e3):>9} ms an epoch{digits(time / job.steps * 1e6):>9} us "
            f"a step{digits(time * epochs):>9} s to {GOAL:.0%} ({epochs} epochs)"
            f"{digits(time / found['miniflow']):>8} x miniflow"
        )
    sys.stdout.flush()


def main() -> None:
    """Compare on all jobs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="less often")
    parser.add_argument(
        "--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), help="of the contenders"
    )
    parser.add_argument("--json", type=Path, help="a file for the figures")
    options = parser.parse_args()
    chosen = ["miniflow", *(name for name in options.only if name != "miniflow")]
    figures = {}
    small = [iris(), tumours(569, 30)]
    for job in small if options.quick else [*small, tumours(100_000, 3)]:
        names = [name for name in chosen if name != "micrograd" or len(job.x) < 1000]
        found = compare(job, names, 0.5 if options.quick else 10.0)
        report(job, found, to_the_goal(job))
        figures[job.name] = found
    write(figures, options.json)


if __name__ == "__main__":
    main()
