"""Dask arrays: trained on block by block, to the bits of the same rows in memory."""

import functools

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import nn, optim
from support.profiles import examples
from support.scripts import python

da = pytest.importorskip("dask.array")
ROWS = 61
NAN = float("nan")
rng = numpy.random.default_rng(0)
X = rng.normal(size=(ROWS, 2))
Y = (X[:, 0] > X[:, 1]).astype(int) + (X[:, 0] > 0.5)
W = rng.uniform(size=ROWS)


def training(x, y=None, weights=None, model=None, **options):
    """What a training has come to, and what the model says of its data then."""
    model = model or nn.MLP(2, [3, 3], activation="tanh", seed=1)
    adam = optim.Adam(model.parameters(), lr=0.05)
    given = {"loss": "cross_entropy", "epochs": 2, "batch_size": 8, "metrics": ["accuracy"]}
    history = model.fit(
        x, y, sample_weight=weights, optimizer=adam, seed=3, verbose=0, **given | options
    )
    return model, (model.state_dict(), adam.state_dict(), history.history)


def chunked(chunks, *arrays, counted=True):
    """Dask arrays with rows in such chunks, of known lengths or not."""
    found = []
    for array in arrays:
        lazy = da.from_array(array, chunks=(chunks, *array.shape[1:]))
        if not counted:
            lazy = lazy[da.from_array(numpy.ones(len(array), dtype=bool), chunks=(chunks,))]
        found.append(lazy)
    return found


@st.composite
def divided(draw):
    """Lengths of chunks that add up to all rows; some may be 0."""
    cuts = sorted(draw(st.lists(st.integers(0, ROWS), max_size=6)))
    return tuple(b - a for a, b in zip([0, *cuts], [*cuts, ROWS], strict=True))


OPTIONS = {
    "plain": {}, "split": {"validation_split": 0.3},
    "classes": {"class_weight": {0: 2.0, 2: 0.5}, "weighted": True},
    "both": {"validation_split": 0.2, "class_weight": {1: 0.0}, "weighted": True},
}  # fmt: skip


def whole(x, y, w, *, weighted=False, **options):
    """A training on rows in order, and how the model does then."""
    model, found = training(x, y, w if weighted else None, shuffle=False, **options)
    scores = model.evaluate(
        x, y, sample_weight=w, loss="cross_entropy", metrics=["accuracy"], batch_size=7
    )
    return found, scores, model.predict(x, batch_size=5).tolist()


@functools.cache
def in_memory(name):
    return whole(X, Y, W, **OPTIONS[name])


@pytest.mark.parametrize("name", OPTIONS)
@examples(12)
@given(chunks=divided(), counted=st.booleans())
def test_in_order_they_are_the_arrays(name, chunks, counted):
    """A batch may begin in one chunk and end in another, or further on."""
    found = whole(*chunked(chunks, X, Y, W, counted=counted), **OPTIONS[name])
    assert found == in_memory(name)


@examples(10)
@given(chunks=divided(), counted=st.booleans())
def test_what_is_shuffled(chunks, counted):
    """The chunks, then the rows of each: as numbers drawn from the seed and the epoch say."""
    ends = numpy.cumsum([n for n in chunks if n])
    starts = [0, *ends[:-1]]

    calls = []  # the first one is for the shape of the data

    def batches():
        numbers = numpy.random.default_rng([3, max(0, len(calls) - 1)])
        calls.append(numbers)
        order = []
        for k in numbers.permutation(len(starts)):
            rows = numpy.arange(starts[k], ends[k])
            order += rows[numbers.permutation(len(rows))].tolist()
        for k in range(0, ROWS, 8):
            yield X[order[k : k + 8]], Y[order[k : k + 8]]

    x, y = chunked(chunks, X, Y, counted=counted)
    _, expected = training(batches, batch_size=None)
    assert training(x, y)[1] == expected


def test_data_to_validate_with_are_chunked_too():
    given = {"shuffle": False, "validation_data": (X[:20], Y[:20], W[:20])}
    _, expected = training(X, Y, **given)
    given["validation_data"] = tuple(chunked((3, 9, 8), X[:20], Y[:20], W[:20], counted=False))
    assert training(X, Y, **given)[1] == expected
    assert training(*chunked((30, 31), X, Y), **given)[1] == expected


def test_one_chunk_is_in_memory_at_a_time():
    """Each is computed alone, once to be checked and once in each epoch."""
    asked = []

    def noted(block):
        asked.append(len(block))
        return block

    x, y = chunked((10, 20, 31), X, Y)
    x = x.map_blocks(noted, dtype=float, meta=numpy.empty((0, 2)))
    model, _ = training(x, y, epochs=3)
    assert asked[:5] == [10, 10, 20, 31, asked[4]]  # the first is looked at first
    assert len(asked) == 1 + 3 * 4
    asked.clear()
    model.predict(x)
    assert asked == [10, 10, 20, 31]


def test_a_training_goes_on_in_the_middle_of_an_epoch(tmp_path):
    from miniflow.train import BackupAndRestore

    class Cut:
        def __init__(self, left):
            self.left = left

        def on_train_batch_end(self, batch, logs=None):
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt

    x, y = chunked((10, 20, 31), X, Y)
    path = tmp_path / "training.json"
    _, expected = training(x, y)
    with pytest.raises(KeyboardInterrupt):
        training(x, y, callbacks=[BackupAndRestore(path), Cut(12)])
    assert training(x, y, callbacks=[BackupAndRestore(path), Cut(99)])[1] == expected


def test_frames_of_dask():
    frames = pytest.importorskip("dask.dataframe", exc_type=ImportError)
    pandas = pytest.importorskip("pandas")
    x = frames.from_pandas(pandas.DataFrame(X), npartitions=3, sort=False)
    y = frames.from_pandas(pandas.Series(Y), npartitions=3, sort=False)
    given = {"shuffle": False}
    assert training(x, y, **given)[1] == training(X, Y, **given)[1]


def test_data_that_change():
    """Chunks that were longer when they were checked."""
    state = {"calls": 0}

    def shrinking(block):
        state["calls"] += 1
        return block[: len(block) - (state["calls"] > 8)]

    x, y = chunked((30, 31), X, Y)
    x, y = (a.map_blocks(shrinking, dtype=a.dtype, meta=a._meta) for a in (x, y))
    with pytest.raises(RuntimeError, match=r"block \d had at least 3\d rows, and now has \d\d;"):
        training(x, y, shuffle=False)


# --- what is refused, before anything has changed ------------------------------------------


def changed(array, place, x):
    found = array.astype(float)
    found[place] = x
    return found


CHUNKS = (20, 20, 21)
x, y, w = chunked(CHUNKS, X, Y, W)
empty = chunked((0,), X[:0], Y[:0], counted=False)
REFUSED = {
    "NaN": ({"x": chunked(CHUNKS, changed(X, (47, 1), NAN))[0]},
            "block 2: x has nan in sample 7, column 1"),
    "y": ({"y": chunked(CHUNKS, changed(Y, 21, NAN))[0]}, "block 1: y has nan in sample 1"),
    "class": ({"y": chunked(CHUNKS, changed(Y, 60, 3))[0]}, "needs class numbers, whole, from 0"),
    "strings": ({"y": chunked(CHUNKS, Y.astype(str))[0]}, "block 0: y holds strings"),
    "in memory": ({"y": Y}, r"y must be a Dask array, .*from_array\(y, chunks=.*got ndarray"),
    "no y": ({"y": None}, "y must be a Dask array"),
    "x in memory": ({"x": X}, "fit: x must be a Dask array, as other data are"),
    "weights in memory": ({"sample_weight": W}, "sample_weight must be a Dask array"),
    "chunks": ({"y": y.rechunk(((20, 21, 20),))},
               r"x has 3 chunks of 20, 20, 21 rows, y has 3 chunks of 20, 21, 20 rows; their "
               r"chunks must have the same rows: y\.rechunk\({0: x\.chunks\[0\]}\)"),
    "fewer": ({"y": y.rechunk(61)}, "y has 1 chunks of 61 rows"),
    "columns": ({"x": x.rechunk({1: 1})}, r"x is chunked along axis 1, .*x\.rechunk\({1: -1}\)"),
    "scalar": ({"x": x.sum()}, "x must have samples along its first axis"),
    "lengths": ({"x": x[x[:, 0] < 9], "y": y[y > 0]}, "block 0: x has 20 samples, y has 7;"),
    "empty": ({"x": x[:0], "y": y[:0]}, "x is empty"),
    "nothing is left": ({"x": empty[0], "y": empty[1]}, "x is empty"),
    "narrow": ({"x": x[:, :1]}, "does not take a sample of x"),
    "batch": ({"batch_size": 62}, "batch_size 62 is larger than the data, 61 samples"),
    "split": ({"validation_split": 0.999}, "leaves none to train with"),
    "negative": ({"sample_weight": w - 0.5}, "sample_weight must be numbers from 0 on"),
    "no weight": ({"sample_weight": w * 0}, "sample_weight must not be 0 for all samples"),
    "class weights": ({"class_weight": [1.0]}, "class_weight must be a dict"),
    "validation": ({"validation_data": (x, chunked(CHUNKS, changed(Y, 60, 3))[0])},
                   "validation_data y goes from 0 to 3"),
    "validation shape": ({"validation_data": (x[:, :1], y)}, "validation_data has samples of shap"),
    "validation chunks": ({"validation_data": (x, y.rechunk(61))}, "validation_data x has 3 chunk"),
    "steps": ({"steps_per_epoch": 3}, "steps_per_epoch is for streams"),
    "another collection": ({"x": x.to_delayed()[0, 0]}, "x must be a Dask array or frame"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_before_anything_has_changed(name):
    options, said = REFUSED[name]
    model = nn.MLP(2, [3], seed=1)
    before = model.state_dict(), sorted(vars(model))
    calls = []

    class Listener:
        def on_train_begin(self, logs=None):
            calls.append(logs)

    given = {"x": x, "y": y, "loss": "cross_entropy", "optimizer": "adam", **options}
    with pytest.raises((ValueError, TypeError), match=said) as found:
        model.fit(given.pop("x"), given.pop("y"), callbacks=[Listener()], verbose=0, **given)
    assert str(found.value).startswith("fit: ")
    assert (model.state_dict(), sorted(vars(model))) == before
    assert not calls


def test_a_few_weights_of_a_chunk_may_be_0():
    weights = numpy.concatenate([numpy.zeros(20), W[20:]])
    given = {"shuffle": False}
    _, expected = training(X, Y, weights, **given)
    assert training(x, y, chunked(CHUNKS, weights)[0], **given)[1] == expected


def test_evaluate_and_predict_refuse_the_same():
    model = nn.MLP(2, [3], seed=1)
    bad = chunked(CHUNKS, changed(X, (47, 1), NAN))[0]
    with pytest.raises(ValueError, match="evaluate: block 2: x has nan"):
        model.evaluate(bad, y, loss="cross_entropy")
    with pytest.raises(ValueError, match="predict: block 2: x has nan"):
        model.predict(bad)
    with pytest.raises(ValueError, match="predict: x is chunked along axis 1"):
        model.predict(x.rechunk({1: 1}))
    with pytest.raises(ValueError, match="predict: x is empty"):
        model.predict(x[:0])


def test_dask_is_not_loaded_where_it_is_not_used():
    code = """
    import sys
    from miniflow import nn, vmap
    from concurrent.futures import ThreadPoolExecutor

    model = nn.MLP(1, [1], seed=1)
    with ThreadPoolExecutor(1) as pool:
        model.fit([0.0, 1.0], [0.0, 1.0], loss="mse", optimizer="sgd", verbose=0, executor=pool)
    print({"dask", "distributed", "cloudpickle"} & set(sys.modules))
    """
    assert python(code) == "set()\n"
