"""The MiniFlow lesson's scripts: `miniflow.lesson` against the lesson in NumPy.

    python benchmarks/lesson.py [--quick] [--json FILE]

Each job is a step of training: forward, backward, descent; both sides start from the same
numbers, and their weights are compared after it. Times are the best of several rounds, one side
after the other in each, on one thread. The scripts are whole programs in new processes.
"""

# ruff: noqa: E402 - the number of threads is set before NumPy is loaded

import os

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any

import numpy as np

import numpy_lesson
from common import digits, write
from miniflow import lesson

# rows, features, hidden, outputs: of the lesson, and what its students train besides
JOBS = {
    "a row at a time, 13-10-1": (1, 13, 10),
    "the lesson, 11 rows, 13-10-1": (11, 13, 10),
    "all of Boston's rows at once, 506": (506, 13, 10),
    "digits, 64 rows, 784-100-1": (64, 784, 100),
}
SIDES: tuple[Any, ...] = (lesson, numpy_lesson)
TOLERANCE = 1e-12

SCRIPT = """
import numpy as np
from {module} import Input, Linear, MSE, Sigmoid
from {module} import forward_and_backward, sgd_update, topological_sort

random = np.random.default_rng(1)
X_ = random.normal(size=(442, 10))
y_ = 150 + 40 * np.tanh(X_ @ random.normal(size=10)) + random.normal(size=442)
X, y, W1, b1, W2, b2 = (Input() for _ in range(6))
cost = MSE(y, Linear(Sigmoid(Linear(X, W1, b1)), W2, b2))
feed_dict = {{
    X: X_, y: y_, W1: random.normal(size=(10, 10)), b1: np.zeros(10),
    W2: random.normal(size=(10, 1)), b2: np.zeros(1),
}}
graph = topological_sort(feed_dict)
for epoch in range({epochs}):
    loss = 0
    for step in range(40):
        rows = random.integers(442, size=11)
        X.value, y.value = X_[rows], y_[rows]
        forward_and_backward(graph)
        sgd_update([W1, b1, W2, b2])
        loss += graph[-1].value
    print(epoch + 1, repr(float(loss / 40)))
"""


def net(side: Any, sizes: tuple[int, int, int]) -> tuple[list[Any], Callable[[], None]]:
    """The trainables of a network, and a step of its training."""
    rows, features, hidden = sizes
    random = np.random.default_rng(7)
    x, y, w1, b1, w2, b2 = (side.Input() for _ in range(6))
    scores = side.Linear(side.Sigmoid(side.Linear(x, w1, b1)), w2, b2)
    side.MSE(y, scores)
    feed_dict = {
        x: random.normal(size=(rows, features)),
        y: random.normal(size=rows),
        w1: random.normal(size=(features, hidden)) / features**0.5,
        b1: np.zeros(hidden),
        w2: random.normal(size=(hidden, 1)) / hidden**0.5,
        b2: np.zeros(1),
    }
    graph = side.topological_sort(feed_dict)
    trainables = [w1, b1, w2, b2]

    def step() -> None:
        side.forward_and_backward(graph)
        side.sgd_update(trainables, 1e-4)

    return trainables, step


def seconds(step: Callable[[], None], count: int) -> float:
    start = perf_counter()
    for _ in range(count):
        step()
    return (perf_counter() - start) / count


def timed(sizes: tuple[int, int, int], rounds: int) -> list[float]:
    """The seconds of a step of each side, after their weights were compared."""
    nets = [net(side, sizes) for side in SIDES]
    for _, step in nets:
        for _ in range(20):
            step()
    for a, b in zip(*[trainables for trainables, _ in nets], strict=True):
        np.testing.assert_allclose(a.value, b.value, rtol=TOLERANCE, atol=1e-15)
    count = max(1, int(2e-3 / seconds(nets[0][1], 3)))
    times = [[seconds(step, count) for _, step in nets] for _ in range(rounds)]
    return [min(side) for side in zip(*times, strict=True)]


def run(module: ModuleType, epochs: int) -> tuple[float, list[float]]:
    """The seconds of a whole script in a new process, and the losses that it prints."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "nn.py"
        script.write_text(SCRIPT.format(module=module.__name__, epochs=epochs), encoding="utf-8")
        path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
        start = perf_counter()
        done = subprocess.run(
            [sys.executable, str(script)], env={**os.environ, "PYTHONPATH": path},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        took = perf_counter() - start
    return took, [float(line.split()[1]) for line in done.stdout.splitlines()]


def scripts(epochs: int, rounds: int) -> list[float]:
    """The seconds of the script of each side, after their losses were compared."""
    found = [[run(side, epochs) for side in SIDES] for _ in range(rounds)]
    (_, ours), (_, theirs) = found[0]
    np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE)
    return [min(took for took, _ in side) for side in zip(*found, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    rounds = 5 if options.quick else 40
    figures = {name: timed(sizes, rounds) for name, sizes in JOBS.items()}
    for epochs in (1, 10) if options.quick else (1, 10, 100):
        name = f"the whole script, epochs: {epochs}"
        figures[name] = scripts(epochs, 2 if options.quick else 7)
    print(f"{'a step, in microseconds':36}{'miniflow':>10}{'NumPy':>10}{'ratio':>8}")
    for name, (ours, theirs) in figures.items():
        print(f"{name:36}{digits(ours * 1e6):>10}{digits(theirs * 1e6):>10}{ours / theirs:8.2f}")
    write(figures, options.json)


if __name__ == "__main__":
    main()
