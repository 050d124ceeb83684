"""What people know from other libraries by other names, and what it is here."""

from collections.abc import Iterable, Mapping

ONE_NUMBER = "a Value is one number; miniflow.math and numpy have functions of lists of them"
AN_ARRAY = "NumPy asks arrays for it: give it np.array([v]) and take the item, or use miniflow.math"
EACH_LEAF = "every Value has a gradient; math.stop_gradient and no_grad() keep one away"
NO_DEVICE = "there is one device, and all numbers are doubles: leave it out"

VALUE = {
    "item": "its number is v.data",
    "numpy": "its number is v.data",
    "tolist": "its number is v.data",
    "value": "its number is v.data",
    "val": "its number is v.data",
    "gradient": "its gradient is v.grad",
    "name": "its name is v.label",
    "shape": ONE_NUMBER,
    "size": ONE_NUMBER,
    "T": ONE_NUMBER,
    "dtype": AN_ARRAY,
    "ndim": AN_ARRAY,
    "astype": AN_ARRAY,
    "sum": f"{ONE_NUMBER}: math.sum([a, b])",
    "mean": f"{ONE_NUMBER}: math.sum(xs) / len(xs)",
    "dot": f"{ONE_NUMBER}: math.dot(xs, ys)",
    "append": ONE_NUMBER,
    "requires_grad": EACH_LEAF,
    "requires_grad_": EACH_LEAF,
    "zero_grad": "write v.grad = 0.0, or call zero_grad() of the model or the optimizer",
    "clone": "+v is another Value with the same number, recorded; v.detach() is not recorded",
    "copy": "+v is another Value with the same number, recorded; v.detach() is not recorded",
    "to": NO_DEVICE,
    "cpu": NO_DEVICE,
    "cuda": NO_DEVICE,
    "double": NO_DEVICE,
}
MODULE = {
    "forward": "call the model itself: model(x)",
    "backward": "call it on the loss: loss.backward()",
    "step": "an optimizer steps: optim.SGD(model.parameters(), lr=0.1).step()",
    "to": NO_DEVICE,
    "cuda": NO_DEVICE,
    "cpu": NO_DEVICE,
    "weight": "the weights are in parameters(), by name in named_parameters()",
    "weights": "the weights are in parameters(), by name in named_parameters()",
    "bias": "the biases are in parameters(), by name in named_parameters()",
    "compile": "give loss, optimizer and metrics to model.fit(x, y, loss='mse', optimizer='adam')",
}
NN = {
    "Dense": "Linear(nin, nout) is one, Layer(nin, nout) one with an activation",
    "RNNBase": "RNN, GRU and LSTM take sequences, RNNCell, GRUCell and LSTMCell one step",
    "ModuleList": "a list in an attribute of a Module will do",
    "Swish": "it is called SiLU",
    "MSELoss": "the function is mse(predictions, targets)",
    "L1Loss": "the function is mae(predictions, targets)",
    "BCEWithLogitsLoss": "the function is bce_with_logits(logits, labels)",
    "BCELoss": "the function is bce_with_logits(logits, labels), of scores before the sigmoid",
    "CrossEntropyLoss": "the function is cross_entropy(logits, classes)",
    "Parameter": "a Value in an attribute of a Module is a parameter",
}
VIZ = {"show": "draw_dot(y) in a notebook, or render(y, 'graph.svg')"}
OTHER_NAMES = {
    "ln": "log",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arctan2": "atan2",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
    "power": "pow",
    "absolute": "fabs",
    "logistic": "sigmoid",
    "tg": "tan",
    "clip": "min and max",
    "clamp": "min and max",
}


def advice(name: str, habits: Mapping[str, str], known: Iterable[str] = ()) -> str:
    """What to say where a name is missing: what it is here, or the nearest known name.

    Example:
        >>> advice("item", VALUE), advice("tanhh", VALUE, ["tan", "tanh"]), advice("x", VALUE)
        ('; its number is v.data', '; did you mean tanh?', '')
    """
    if name in habits:
        return f"; {habits[name]}"
    if name.startswith("_"):  # libraries ask for such names often
        return ""
    from difflib import get_close_matches  # slow to import, seldom used

    close = get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
