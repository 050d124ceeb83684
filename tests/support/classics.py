"""Twelve classic NaNs, as somebody would have written them: programs of a file, `model.py`."""

import linecache

from miniflow import Value, linalg, math
from miniflow.debug import NanError, nans
from support.project import TESTS

CLASSICS = {
    "norm at 0": """
x, y = Value(0.0, label="x"), Value(0.0, label="y")
length = math.sqrt(x * x + y * y)
length.backward()
""",
    "0 times log 0": """
def entropy(ps):
    return -sum(p * math.log(p) for p in ps)


h = entropy([Value(1.0), Value(0.0)])
""",
    "softmax overflow": """
def softmax(scores):
    powers = [math.exp(score) for score in scores]
    total = math.sum(powers)
    return [power / total for power in powers]


shares = softmax([Value(1000.0), Value(10.0)])
""",
    "sqrt at 0": """
def deviation(guess, truth):
    return math.sqrt((guess - truth) ** 2)


guess = Value(3.0, label="guess")
loss = deviation(guess, 3.0)
loss.backward()
""",
    "a masked branch": """
def information(x):
    keep = math.step(x)
    return keep * math.log(x)


bits = information(Value(0.0, label="x"))
""",
    "0 by 0 in a cosine": """
def cosine(a, b):
    length_a = math.sqrt(math.dot(a, a))
    length_b = math.sqrt(math.dot(b, b))
    return math.dot(a, b) / (length_a * length_b)


likeness = cosine([Value(0.0), Value(0.0)], [Value(1.0), Value(2.0)])
""",
    "pow of a negative number": """
volume = Value(-8.0, label="volume")
side = volume ** (1 / 3)
""",
    "acos just over 1": """
def angle(a, b):
    cosine = math.dot(a, b) / (math.sqrt(math.dot(a, a)) * math.sqrt(math.dot(b, b)))
    return math.acos(cosine)


a = [Value(2.0), Value(3.0)]
turn = angle(a, [2.0 * x for x in a])
""",
    "exp overflow in a sigmoid by hand": """
def sigmoid(x):
    return 1 / (1 + math.exp(-x))


x = Value(-1000.0, label="x")
y = sigmoid(x)
y.backward()
""",
    "a learning rate that explodes": """
w = Value(1.0, label="w")
for step in range(1000):
    loss = (w * 3 - 1) ** 2
    w.grad = 0.0
    loss.backward()
    w.data -= 0.5 * w.grad
""",
    "variance of one number": """
def variance(xs):
    mean = sum(xs) / len(xs)
    return sum((x - mean) ** 2 for x in xs) / (len(xs) - 1)


spread = variance([Value(2.5)])
""",
    "log of a probability that underflowed": """
score = Value(-800.0, label="score")
probability = math.exp(score)
loss = -math.log(probability)
loss.backward()
""",
}
# the same, as the answers advise
CURES = {
    "norm at 0": "math.hypot(x, y), linalg.norm([x, y])",
    "0 times log 0": "math.where(x, x * math.log(x), 0.0),",
    "softmax overflow": "*math.softmax([x + 1000, y]), *math.log_softmax([x + 1000, y])",
    "sqrt at 0": "abs(x),",
    "a masked branch": "math.where(math.step(x), math.log(x), 0.0),",
    "0 by 0 in a cosine": "math.where(x, y / math.where(x, x, 1.0), 0.0),",
    "pow of a negative number": "math.cbrt(x - 8), abs(x - 8) ** 0.5",
    "acos just over 1": "math.acos(math.maximum(-1.0, math.minimum(x + 1 + 2**-52, 1.0))),",
    "exp overflow in a sigmoid by hand": "math.sigmoid(x - 1000),",
    "log of a probability that underflowed": "*math.log_softmax([x - 800, y]), math.logsumexp([x])",
}


def cured(name):
    """What the advice for a classic gives at the point where it had gone wrong."""
    x, y = Value(0.0), Value(0.0)
    names = {"math": math, "linalg": linalg, "x": x, "y": y}
    return x, y, eval(f"[{CURES[name]}]", names)


def golden_path(name):
    """The file that has the answer for a classic."""
    return TESTS / "debug" / "golden" / f"{name.replace(' ', '_')}.txt"


def autopsy(name):
    """The error of a classic, run as a file called model.py; None if there is none."""
    source = CLASSICS[name].strip() + "\n"
    linecache.cache["model.py"] = (len(source), None, source.splitlines(True), "model.py")
    try:
        with nans():
            exec(compile(source, "model.py", "exec"), {"Value": Value, "math": math})
    except NanError as error:
        return error
    finally:
        del linecache.cache["model.py"]
    return None
