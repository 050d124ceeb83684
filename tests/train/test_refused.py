"""Data and arguments that cannot be meant: a clear error, and nothing has changed."""

import numpy
import pytest

from miniflow import Value, nn, optim

X = [[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [0.5, 0.5]]
Y = [0, 1, 1, 0]
NAN, INF = float("nan"), float("inf")
OK = {"x": X, "y": Y, "loss": "cross_entropy"}
masked = numpy.ma.masked_array(X, mask=[[0, 0], [0, 1], [0, 0], [0, 0]])

DATA = {
    "NaN": ({"x": [[0.0, 1.0], [1.0, NAN], X[0], X[1]]}, "x has nan in sample 1, column 1"),
    "infinity": ({"y": [0, 1, INF, 0]}, "y has inf in sample 2"),
    "masked": ({"x": masked}, "x has masked numbers"),
    "narrow": ({"x": [[0.0], [1.0], [2.0], [3.0]]}, r"take a sample of x, of shape \(1,\)"),
    "flat": ({"x": [0.0, 1.0, 2.0, 3.0]}, r"does not take a sample of x, of shape \(\)"),
    "deep": ({"x": [[[0.0, 1.0]]] * 4}, r"does not take a sample of x, of shape \(1, 2\)"),
    "ragged": ({"x": [[0.0, 1.0], [1.0]], "y": [0, 1]}, "sample 0 has 2 numbers, sample 1 1"),
    "lengths": ({"y": [0, 1]}, "x has 4 samples, y has 2"),
    "strings": ({"y": ["a", "b", "b", "a"]}, "y holds strings, such as a; number the classes"),
    "objects": ({"y": numpy.array([0, "b", 1, 0], dtype=object)}, "y holds strings, such as b"),
    "complex": ({"x": [[1j, 0.0]] * 4}, "x holds complex128, not real numbers"),
    "dates": ({"x": numpy.array([["2020-01-01"] * 2] * 4, dtype="M8[D]")}, "x holds datetime64"),
    "Values": ({"x": [[Value(1.0), 2.0]] * 4}, "holds a Value; give its number"),
    "missing": ({"y": [0, 1, None, 0]}, "y, sample 2"),
    "empty": ({"x": [], "y": []}, "x is empty"),
    "no columns": ({"x": [[], [], [], []]}, "x is empty"),
    "no y": ({"y": None}, "y must be samples of numbers"),
    "a dict": ({"x": {"a": [1.0]}}, "x must be samples of numbers"),
    "a number": ({"x": 3.0}, "x must be samples of numbers"),
    "large batch": ({"batch_size": 5}, "batch_size 5 is larger than the data, 4 samples"),
    "large after the split": (
        {"batch_size": 4, "validation_split": 0.25}, "larger than the data, 3 samples"),
    "no batch": ({"batch_size": 0}, "batch_size must be a whole number from 1 on"),
    "half a batch": ({"batch_size": 1.5}, "batch_size must be a whole number"),
    "nothing to train": ({"validation_split": 0.9}, "leaves none to train with"),
    "nothing to validate": ({"validation_split": 1e-20}, "leaves none to validate with"),
    "split": ({"validation_split": 1.0}, "validation_split must be a share"),
    "class": ({"y": [0, 1, 2, 0]}, "needs class numbers, whole, from 0 to 1"),
    "half a class": ({"y": [0, 1, 0.5, 0]}, "needs class numbers"),
    "two columns": ({"y": [[0, 1]] * 4, "loss": "hinge"}, "labels other than -1 and 1"),
    "targets": ({"loss": "mse"}, r"targets of shape \(\), the model predicts \(2,\)"),
    "labels": ({"y": [[0, 2]] * 4, "loss": "bce_with_logits"}, "needs labels from 0 to 1"),
    "shares": ({"y": [[0.5, 0.2]] * 4}, "needs shares that add to 1"),
    "loss": ({"loss": "mean_squared_error"}, "no loss 'mean_squared_error'; it is mse"),
    "Keras's loss": ({"loss": "sparse_categorical_crossentropy"}, "it is cross_entropy, of scores"),
    "no loss": ({"loss": 3}, "loss must be a name"),
    "a loss of many": ({"loss": lambda p, t: p}, "must return one number for a sample"),
    "metric": ({"metrics": ["precision"]}, "no metric 'precision'; there are accuracy"),
    "a string": ({"metrics": "accuracy"}, "metrics must be a list"),
    "twice": ({"metrics": ["accuracy", "accuracy"]}, "two metrics have one name"),
    "optimizer": ({"optimizer": "adams"}, "no optimizer 'adams'; there are ada"),
    "a class": ({"optimizer": optim.Adam}, "optimizer must be a name or one of optim"),
    "a stranger": ({"optimizer": optim.SGD([Value(1.0)])}, "none of the model's parameters"),
    "epochs": ({"epochs": -1}, "epochs must be a whole number from 0 on"),
    "float epochs": ({"epochs": 2.0}, "epochs must be a whole number"),
    "seed": ({"seed": "x"}, "seed must be a whole number"),
    "verbose": ({"verbose": 3}, "verbose must be 'auto', 0, 1 or 2"),
    "frequency": ({"validation_freq": 0}, "validation_freq must be a whole number"),
    "weights": ({"sample_weight": [1, 2]}, "x has 4 samples, sample_weight has 2"),
    "negative": ({"sample_weight": [1, 2, -1, 0]}, "sample_weight must be numbers from 0 on"),
    "class weights": ({"class_weight": [1, 2]}, "class_weight must be a dict"),
    "validation": ({"validation_data": (X,)}, r"validation_data must be \(x, y\)"),
    "validation NaN": ({"validation_data": ([[NAN, 0.0]], [0])}, "validation_data x has nan"),
    "validation class": ({"validation_data": (X, [0, 1, 7, 0])}, "validation_data y goes from"),
    "validation shape": ({"validation_data": ([[1.0]], [0])}, "validation_data has samples of sh"),
    "no batches": ({"x": lambda: iter(()), "y": None}, "x gives no batches"),
    "stream and y": ({"x": lambda: iter([(X, Y)])}, "y is for samples, and x is a stream of ba"),
    "strings in x": ({"x": [["1", "2"]] * 4}, "x holds strings, such as 1; convert them to numb"),
    "string weights": ({"sample_weight": ["a"] * 4}, "sample_weight holds strings, .*; convert"),
    "None in x": ({"x": [[None, 1.0]] * 4}, "x, sample 0, has None for a number; drop such sampl"),
    "a set": ({"x": {1, 2, 3, 4}}, "x must be samples of numbers"),
    "a range": ({"x": range(4)}, r"does not take a sample of x, of shape \(\)"),
    "no iterable": ({"x": lambda: 3, "y": None}, r"x\(\) must give batches, .*got int 3"),
    "a function of one": (
        {"x": lambda a: a, "y": None}, "x is called without arguments for batches: missing a"),
    "class names": ({"class_weight": {"a": 1.0}}, "class_weight must have class numbers, 0, 1"),
    "NaN weight": ({"class_weight": {0: NAN}}, "class_weight must be finite weights from 0 on"),
    "infinite weight": ({"class_weight": {0: INF}}, "class_weight must be finite weights"),
    "string weight": ({"class_weight": {0: "a"}}, "class_weight of 0: expected a real number"),
    "validation stream": ({"validation_data": lambda: iter([3])}, "validation_data: batch 0 must"),
    "validation stream's class": (
        {"validation_data": lambda: iter([(X, [0, 1, 7, 0])])}, "validation_data batch 0: y goes"),
    "validation stream's shape": (
        {"validation_data": lambda: iter([([[1.0]], [0])])}, "validation_data batch 0: the mode"),
    "no pair": ({"x": lambda: iter([X[0]]), "y": None}, r"batch 0: x|batch 0 must be \(x, y\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", DATA)
def test_it_is_refused_before_anything_has_changed(name):
    options, said = DATA[name]
    model = nn.MLP(2, [2], seed=1)
    adam = optim.Adam(model.parameters())
    before = model.state_dict(), vars(adam).copy(), sorted(vars(model))
    calls = []

    class Listener:
        def on_train_begin(self, logs=None):
            calls.append(logs)

    given = {**OK, "optimizer": adam, "callbacks": [Listener()], **options}
    with pytest.raises((ValueError, TypeError), match=said) as found:
        model.fit(given.pop("x"), given.pop("y"), **given)
    assert str(found.value).startswith("fit: ")
    assert (model.state_dict(), vars(adam), sorted(vars(model))) == before
    assert not calls


def test_evaluate_and_predict_refuse_the_same():
    model = nn.MLP(2, [2], seed=1)
    with pytest.raises(ValueError, match="evaluate: x has nan in sample 0, column 0"):
        model.evaluate([[NAN, 1.0]], [0], loss="cross_entropy")
    with pytest.raises(ValueError, match="evaluate: give a loss"):
        model.evaluate(X, Y)
    with pytest.raises(ValueError, match=r"predict: the model does not take .* \(3,\)"):
        model.predict([[1.0, 2.0, 3.0]])
    with pytest.raises(ValueError, match="predict: batch_size 9 is larger than the data"):
        model.predict(X, batch_size=9)
    with pytest.raises(ValueError, match="fit: the model does not take a sample"):
        model.fit([[1.0]], [0], loss="cross_entropy", optimizer="adam")


FRAMES = {
    "missing": (lambda f: f.where(f > 0.1), "x has nan in sample 0, column 0; drop"),
    "strings": (lambda f: f.assign(b=list("wxyz")), "x holds strings, such as w; convert"),
    "categories": (lambda f: f.assign(b=f.b.astype(str).astype("category")), "x holds strings"),
    "NA": (lambda f: f.astype("Int64").where(f > 0.1), "x, sample 0, has <NA> for a number; drop"),
    "dates": (lambda f: f.assign(b=f.b.astype("M8[s]")), "expected a real number, got Timestamp"),
    "no rows": (lambda f: f.iloc[:0], r"x is empty, of shape \(0, 2\)"),
    "no columns": (lambda f: f[[]], r"x is empty, of shape \(4, 0\)"),
    "another column": (lambda f: f.assign(c=1.0), r"take a sample of x, of shape \(3,\)"),
    "a column": (lambda f: f.a, r"take a sample of x, of shape \(\)"),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames_of_pandas(name):
    pandas = pytest.importorskip("pandas")
    change, said = FRAMES[name]
    x, y = change(pandas.DataFrame([[0, 1], [1, 0], [2, 1], [3, 3]], columns=["a", "b"])), Y
    model = nn.MLP(2, [2], seed=1)
    before = model.state_dict(), sorted(vars(model))
    for call in (
        lambda: model.fit(x, y, loss="cross_entropy", optimizer="adam"),
        lambda: model.evaluate(x, y, loss="cross_entropy"),
        lambda: model.predict(x),
    ):
        with pytest.raises((ValueError, TypeError), match=said):
            call()
    assert (model.state_dict(), sorted(vars(model))) == before


STREAMS = {  # a later batch, and what is said of it
    "wide": (([[1.0, 1.0, 1.0]], [1]), r"batch 1: the model does not take .* shape \(3,\)"),
    "NaN": (([[NAN, 1.0]], [1]), "batch 1: x has nan in sample 0, column 0"),
    "class": ((X, [0, 1, 5, 0]), "batch 1: y goes from 0 to 5"),
    "strings": ((X, list("abba")), "batch 1: y holds strings, such as a; number"),
    "lengths": ((X, [0]), "batch 1: x has 4 samples, y has 1"),
    "empty": (([], []), "batch 1: x is empty"),
    "no pair": (X, r"batch 1 must be \(x, y\)"),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_later_batch_is_named(name):
    """The model is then as after the one before it."""
    batch, said = STREAMS[name]
    model, other = nn.MLP(2, [2], seed=1), nn.MLP(2, [2], seed=1)
    given = {"loss": "cross_entropy", "optimizer": "sgd", "verbose": 0}
    with pytest.raises((ValueError, TypeError), match=said):
        model.fit(iter([(X, Y), batch]), **given)
    other.fit(iter([(X, Y)]), **given)
    assert model.state_dict() == other.state_dict()
    with pytest.raises((ValueError, TypeError), match=said):
        model.evaluate(iter([(X, Y), batch]), loss="cross_entropy")


def test_what_is_for_samples_or_for_batches_alone():
    model = nn.MLP(2, [2], seed=1)

    def stream():
        return iter([(X, Y)])

    for given in ({"y": Y}, {"sample_weight": [1] * 4}, {"batch_size": 2}):
        with pytest.raises(ValueError, match=f"evaluate: {next(iter(given))} is for samples"):
            model.evaluate(stream(), loss="cross_entropy", **given)
    with pytest.raises(ValueError, match="predict: batch_size is for samples"):
        model.predict(iter([X]), batch_size=2)
    for call in (lambda: model.evaluate(X, Y, loss="cross_entropy", steps=1),
                 lambda: model.predict(X, steps=1)):  # fmt: skip
        with pytest.raises(ValueError, match="steps is for streams of batches; give batch_size"):
            call()
    with pytest.raises(ValueError, match="predict: batch 1: the model does not take a sample"):
        model.predict(iter([X, [[1.0]]]))


def test_a_range_is_samples():
    one = nn.MLP(1, [1], seed=1)
    one.fit(range(4), range(0, 8, 2), loss="mse", optimizer="sgd", verbose=0)
    assert one.predict(range(3)).shape == (3,)


def test_a_model_must_be_one():
    from miniflow import train

    for model in (3, lambda x: x, nn.MLP):
        with pytest.raises((TypeError, ValueError), match="fit: model must be a module"):
            train.fit(model, X, Y, loss="mse", optimizer="sgd")


def test_fewer_rows_than_usual_are_one_batch():
    model = nn.MLP(2, [2], seed=1)
    history = model.fit(X, Y, loss="cross_entropy", optimizer="adam", verbose=0)
    assert history.params["steps"] == 1


def test_numbers_of_all_kinds_are_taken():
    x = numpy.array(X, dtype=numpy.float32).astype(object)
    for y in (
        numpy.array(Y, dtype=bool),
        numpy.array(Y, dtype=numpy.uint8),
        numpy.array([Y]).T,
        tuple(Y),
    ):
        model = nn.MLP(2, [2], seed=1)
        model.fit(x, numpy.asarray(y).ravel(), loss="cross_entropy", optimizer="adam", verbose=0)
    one = nn.MLP(1, [1], seed=1)
    one.fit([1.0, 2.0], [[3.0], [5.0]], loss="mse", optimizer="sgd", verbose=0)
    assert one.predict([1.0, 2.0]).shape == (2,)
