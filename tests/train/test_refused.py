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
    "stream and y": ({"x": lambda: iter([(X, Y)])}, "y is for arrays"),
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
