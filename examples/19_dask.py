"""Train beyond one machine: data in blocks that are made elsewhere, steps on Dask's workers.

A Dask array is a plan of blocks; `fit` asks for them one at a time. With an executor each step's
gradient is computed by its workers, in blocks whose sums are added in one order: the model is the
same to the last bit, on one process or many. On one machine that is slower than one process: it
is for what one machine cannot hold, or takes too long for. Needs the extras jit and distributed.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from miniflow.nn import MLP
from miniflow.optim import Adam

ROWS, BLOCKS = 12_000, 4  # of a block; blocks

# --- the data: 569 tumours, measured again and again -------------------------------

random = np.random.default_rng(1)
if find_spec("sklearn"):
    found = import_module("sklearn.datasets").load_breast_cancer()
    rows, labels = found.data, found.target
else:
    rows = random.normal(size=(569, 30))
    chances = 1 / (1 + np.exp(-1 - rows @ random.normal(size=30)))
    labels = (random.uniform(size=569) < chances).astype(int)
rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)


def block(k: int) -> Any:
    """Block k: tumours drawn from the set, each number measured a little differently."""
    drawn = np.random.default_rng(k)
    chosen = drawn.integers(len(rows), size=ROWS)
    noise = drawn.normal(scale=0.1, size=(ROWS, 30))
    return np.column_stack([rows[chosen] + noise, labels[chosen]])


def lazy() -> tuple[Any, Any]:
    """All blocks as Dask arrays, of which nothing has been computed."""
    dask, arrays = import_module("dask"), import_module("dask.array")
    parts = [
        arrays.from_delayed(dask.delayed(block)(k), shape=(ROWS, 31), dtype=float)
        for k in range(BLOCKS)
    ]
    table = arrays.concatenate(parts)
    return table[:, :30], table[:, 30]


def train(x: Any, y: Any, executor: Any = None) -> MLP:
    """A small network after six epochs; each step is of 16,000 tumours, in blocks of 8,192."""
    model = MLP(30, [8, 1], activation="tanh", seed=1)
    history = model.fit(
        x, y, loss="bce_with_logits", optimizer=Adam(model.parameters(), lr=0.1),
        metrics=["accuracy"], epochs=6, batch_size=16_000, shuffle=False, verbose=0,
        executor=executor,
    )  # fmt: skip
    losses = history.history["loss"]
    print(f"loss {losses[0]:.4f}, then {losses[-1]:.4f} in {history.seconds:.1f} s")
    return model


# --- two workers, as if they were other machines -------------------------------------


def main() -> None:
    """Train on two workers, and here; compare."""
    distributed = import_module("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    options["silence_logs"] = 50  # what workers say when they are told to go
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        x, y = lazy()
        print(f"{x.shape[0]:,} tumours in {x.numblocks[0]} blocks: {x.nbytes / 1e6:.0f} MB")
        model = train(x, y, client.get_executor())
        scores = model.evaluate(x, y, batch_size=ROWS)
        print(f"right of {scores['accuracy']:.1%}")

    whole = np.concatenate([block(k) for k in range(BLOCKS)])
    alone = train(whole[:, :30], whole[:, 30])
    assert alone.state_dict() == model.state_dict()
    assert scores["accuracy"] > 0.8
    print("in one process, from one array: the same model, to the last bit")


if __name__ == "__main__":
    if find_spec("distributed"):
        main()
    else:
        print("this example needs Dask: pip install 'miniflow[distributed]'")

# Exercise: predict whether the model changes if three workers share the steps, or if the blocks of
# data have 5,000 rows each instead of 12,000. What changes if `shuffle` is True?
