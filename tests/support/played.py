"""Graphs and trainings that several tests play."""

import math

from hypothesis import strategies as st

from miniflow import Value
from miniflow.nn import MLP, mse
from miniflow.ops import TABLE
from miniflow.optim import SGD

NUMBERS = st.floats(-4, 4) | st.sampled_from([0.0, -0.0, 1.0, 2.0, math.inf, -math.inf, math.nan])
STEP = st.tuples(
    st.sampled_from(sorted(TABLE)),
    st.lists(st.integers(0, 99) | NUMBERS, min_size=4, max_size=4),
)


@st.composite
def graphs(draw):
    """The last Value of a random program that depends on anything, and all of its Values."""
    values = [Value(x) for x in draw(st.lists(NUMBERS, min_size=1, max_size=4))]
    for name, operands in draw(st.lists(STEP, min_size=1, max_size=12)):
        op = TABLE[name]
        xs = [values[x % len(values)] if isinstance(x, int) else x for x in operands]
        y = op(*xs[: op.arity if op.arity > 0 else 4])
        if isinstance(y, Value):
            values.append(y)
    return values


POINTS = [([0.0, 1.0], 1.0), ([1.0, 1.0], -1.0), ([1.0, -0.5], 1.0)]


def trained(recording=None, size=3, rounds=5):
    """A small network after some training, within a recording or without."""
    model = MLP(2, [size, 1], activation="tanh", seed=2)
    optimizer = SGD(model.parameters(), lr=0.1)
    seen = []

    def loop():
        for _ in range(rounds):
            loss = mse([model(x) for x, _ in POINTS], [t for _, t in POINTS])
            optimizer.zero_grad()
            loss.backward()
            seen.append((loss.data, [p.data for p in model.parameters()],
                         [p.grad for p in model.parameters()]))  # fmt: skip
            optimizer.step()

    if recording is None:
        loop()
        return model, seen, None
    with recording(model) as found:
        loop()
    return model, seen, found
