"""The lesson's scripts, in the variants that its students write: they print its numbers."""

import re
import subprocess
import sys

import numpy as np
import pytest

# what a stage's script prints, to the last digit
STAGES = {
    "a sum": (
        """
from miniflow import *
x, y = Input(), Input()
f = Add(x, y)
feed_dict = {x: 10, y: 5}
sorted_nodes = topological_sort(feed_dict)
output = forward_pass(f, sorted_nodes)
print("{} + {} = {} (according to miniflow)".format(feed_dict[x], feed_dict[y], output))
""",
        "10 + 5 = 15 (according to miniflow)\n",
    ),
    "a sum of three": (
        """
from miniflow import *
x, y, z = Input(), Input(), Input()
f = Add(x, y, z)
feed_dict = {x: 4, y: 5, z: 10}
graph = topological_sort(feed_dict)
output = forward_pass(f, graph)
print("{} + {} + {} = {} (according to miniflow)".format(
    feed_dict[x], feed_dict[y], feed_dict[z], output))
""",
        "4 + 5 + 10 = 19 (according to miniflow)\n",
    ),
    "a list": (
        """
from miniflow import *
x, y, z = Input(name=None), Input('y'), Input('z')
print(forward_pass(Add([x, y, z]), topological_sort({x: 4, y: 5, z: 10})))
print(forward_pass(Mul([x, y, z]), topological_sort(feed_dict={x: 4, y: 5, z: 10})))
""",
        "19\n200\n",
    ),
    "a product": (
        """
from miniflow import Input, Mul, forward_pass, topological_sort
x, y, z = Input(), Input(), Input()
f = Mul(x, y, z)
print(forward_pass(f, topological_sort({x: 4, y: 5, z: 10})))
""",
        "200\n",
    ),
    "a node twice": (
        """
from miniflow import *
x, y = Input(), Input()
feed_dict = {x: 10, y: 5}
f, g, h = Add(Add(x, y), y), Add(x, x), Mul(y, y, y)
graph = topological_sort(feed_dict)
print(forward_pass(f, graph), forward_pass(g, graph), forward_pass(h, graph))
""",
        "20 20 125\n",
    ),
    "a weighted sum of lists": (
        """
from miniflow import *
inputs, weights, bias = Input(), Input(), Input()
f = Linear(inputs, weights, bias)
feed_dict = {
    inputs: [6, 14, 3],
    weights: [0.5, 0.25, 1.4],
    bias: 2
}
graph = topological_sort(feed_dict)
output = forward_pass(f, graph)
print(output)
""",
        "12.7\n",
    ),
    "a weighted sum of nodes": (
        """
from miniflow import *
x, y, z = Input(), Input(), Input()
wx, wy, wz, b = Input(), Input(), Input(), Input()
f = Linear([x, y, z], [wx, wy, wz], b)
graph = topological_sort({x: 6, y: 14, z: 3, wx: 0.5, wy: 0.25, wz: 1.4, b: 2})
print(round(forward_pass(f, graph), 12))
""",
        "12.7\n",
    ),
    "a layer": (
        """
import numpy as np
from miniflow import *
X, W, b = Input(), Input(), Input()
f = Linear(X, W, b)
X_ = np.array([[-1., -2.], [-1, -2]])
W_ = np.array([[2., -3], [2., -3]])
b_ = np.array([-3., -5])
graph = topological_sort({X: X_, W: W_, b: b_})
print(forward_pass(f, graph))
""",
        "[[-9.  4.]\n [-9.  4.]]\n",
    ),
    "a layer that is called, of ints": (
        """
from miniflow import *
X, W, b = Input('X'), Input('W'), Input('b')
layer = Linear(W, b, 'layer')
f = layer(X)
graph = topological_sort({X: np.array([[-1, -2], [-1, -2]]), W: np.array([[2, -3], [2, -3]]),
                          b: np.array([-3, -5])})
print(forward_pass(f, graph))
""",
        "[[-9  4]\n [-9  4]]\n",
    ),
    "an activation": (
        """
from miniflow import *
X, W, b = Input(), Input(), Input()
f = Linear(X, W, b, 'l')
g = Sigmoid(f, 's')
X_ = np.array([[-1., -2.], [-1, -2]])
W_ = np.array([[2., -3], [2., -3]])
b_ = np.array([-3., -5])
graph = topological_sort({X: X_, W: W_, b: b_})
print(forward_pass(g, graph))
print(g._sigmoid(0))
""",
        "[[1.23394576e-04 9.82013790e-01]\n [1.23394576e-04 9.82013790e-01]]\n0.5\n",
    ),
    "a cost": (
        """
from miniflow import *
y, a = Input(), Input()
cost = MSE(y, a, 'cost')
y_ = np.array([1, 2, 3])
a_ = np.array([4.5, 5, 10])
graph = topological_sort({y: y_, a: a_})
forward_pass(graph)
print(cost.value)
""",
        "23.416666666666668\n",
    ),
    "gradients": (
        """
import numpy as np
from miniflow import *
X, W, b = Input(), Input(), Input()
y = Input()
f = Linear(X, W, b)
a = Sigmoid(f)
cost = MSE(y, a)
X_ = np.array([[-1., -2.], [-1, -2]])
W_ = np.array([[2.], [3.]])
b_ = np.array([-3.])
y_ = np.array([1, 2])
graph = topological_sort({X: X_, y: y_, W: W_, b: b_})
forward_and_backward(graph)
gradients = [t.gradients[t] for t in [X, y, W, b]]
print(gradients)
""",
        "[array([[-3.34017280e-05, -5.01025919e-05],\n"
        "       [-6.68040138e-05, -1.00206021e-04]]), array([[0.9999833],\n"
        "       [1.9999833]]), array([[5.01028709e-05],\n"
        "       [1.00205742e-04]]), array([-5.01028709e-05])]\n",
    ),
    "layers, and neurons": (
        """
from miniflow import *
class Square(Layer):
    def __init__(self, x):
        Layer.__init__(self, inbound_layers=[x])
    def forward(self):
        self.value = self.inbound_layers[0].value ** 2
class Half(Neuron):
    def __init__(self, x):
        Neuron.__init__(self, [x])
    def forward(self):
        self.value = self.inbound_neurons[0].value / 2
x = Input()
h = Half(Square(x))
sorted_neurons = topological_sort({x: 6})
print(forward_pass(h, sorted_neurons), len(x.outbound_layers), len(x.outbound_neurons))
print(Layer is Node, Neuron is Node)
""",
        "18.0 1 1\nTrue True\n",
    ),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_prints_the_lessons_numbers(run, stage):
    script, printed = STAGES[stage]
    assert run(script)[1] == printed


TRAINING = """
import numpy as np
from miniflow import *

X_, y_ = DATA
X_ = (X_ - np.mean(X_, axis=0)) / np.std(X_, axis=0)
n_features = X_.shape[1]
n_hidden = 10
W1_ = np.random.RandomState(3).randn(n_features, n_hidden)
b1_ = np.zeros(n_hidden)
W2_ = np.random.RandomState(4).randn(n_hidden, OUTPUTS)
b2_ = np.zeros(OUTPUTS)

# Neural network
X, y = Input(), Input()
W1, b1 = Input(), Input()
W2, b2 = Input(), Input()
l1 = Linear(X, W1, b1)
s1 = Sigmoid(l1)
l2 = Linear(s1, W2, b2)
LOSS

feed_dict = {X: X_, y: y_, W1: W1_, b1: b1_, W2: W2_, b2: b2_}
epochs = 4
m = X_.shape[0]
batch_size = 11
steps_per_epoch = m // batch_size
graph = topological_sort(feed_dict)
trainables = [W1, b1, W2, b2]
print("Total number of examples = {}".format(m))
choice = np.random.RandomState(5)
for i in range(epochs):
    loss = 0
    for j in range(steps_per_epoch):
        rows = choice.randint(m, size=batch_size)
        X.value = X_[rows]
        y.value = y_[rows]
        forward_and_backward(graph)
        sgd_update(trainables)
        loss += graph[-1].value
    print("Epoch: {}, Loss: {!r}".format(i + 1, float(loss / steps_per_epoch)))
"""


def trained(run, package, data, outputs=1, loss="cost = MSE(y, l2)"):
    """The names and the losses of the final script."""
    script = TRAINING.replace("LOSS", loss)
    names, printed = run(script, package, DATA=data, OUTPUTS=outputs)
    return names, [float(x) for x in re.findall(r"Loss: (\S+)", printed)]


def rows(count=121, features=13):
    """Data that a network can learn."""
    random = np.random.RandomState(1)
    x = random.randn(count, features) * 5 + 3
    return x, 20 + 5 * np.tanh(x @ random.randn(features) / 10) + random.randn(count)


@pytest.mark.parametrize("loss", ["cost = MSE(y, l2)", "MSE(y, l2)"], ids=["kept", "not kept"])
def test_the_final_script_prints_the_lessons_numbers(run, numpy_lesson, monkeypatch, loss):
    monkeypatch.setitem(sys.modules, "numpy_lesson", numpy_lesson)
    ours, losses = trained(run, "miniflow.lesson", rows(), loss=loss)
    theirs, expected = trained(run, "numpy_lesson", rows(), loss=loss)
    np.testing.assert_allclose(losses, expected, rtol=1e-12)
    assert len(losses) == 4
    assert losses[-1] < losses[0] / 2
    for name in ("W1", "b1", "W2", "b2"):
        assert ours[name].value is ours[f"{name}_"]  # what was fed has learned
        np.testing.assert_allclose(ours[name].value, theirs[name].value, rtol=1e-12, atol=1e-13)
    assert ours["graph"][-1].inbound_nodes[1] is ours["l2"]
    assert ours["l2"].value.shape == (11, 1)


def test_the_final_script_learns_digits_of_several_outputs(run):
    x, y = rows()
    y = np.stack([y, -y, y / 2], axis=1)
    names, losses = trained(run, "miniflow.lesson", (x, y), outputs=3)
    assert losses[-1] < losses[0] / 2
    assert names["l2"].gradients[names["W2"]].shape == (10, 3)


def test_a_students_own_miniflow_hides_the_package_and_the_guide_says_what_to_do(tmp_path):
    (tmp_path / "miniflow.py").write_text("class Input: pass\n", encoding="utf-8")
    (tmp_path / "nn.py").write_text("import miniflow.lesson\n", encoding="utf-8")
    command = [sys.executable, "nn.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "'miniflow' is not a package" in done.stderr
    (tmp_path / "miniflow.py").rename(tmp_path / "my_miniflow.py")
    subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
