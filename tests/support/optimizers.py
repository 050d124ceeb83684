"""Optimisers as their papers have them: one parameter at a time, on plain floats.

An independent reference: it shares no code with miniflow, and keeps what it remembers in a dict.
"""

import itertools
from math import inf, sqrt

COMMON = {"weight_decay": [0.0, 0.1], "maximize": [False, True]}
DECOUPLED = {"decoupled_weight_decay": [False, True]}
BETAS = {"betas": [(0.9, 0.999), (0.5, 0.7)]}
# Every option of every optimiser, with PyTorch's names: what is tried, the usual value first
OPTIONS = {
    "SGD": {"momentum": [0.0, 0.9], "dampening": [0.0, 0.3], "nesterov": [False, True]},
    "Adam": {"amsgrad": [False, True], **BETAS, **DECOUPLED},
    "AdamW": {"amsgrad": [False, True], **BETAS},
    "RMSprop": {"alpha": [0.99, 0.5], "momentum": [0.0, 0.9], "centered": [False, True]},
    "Adagrad": {"lr_decay": [0.0, 0.1], "initial_accumulator_value": [0.0, 0.5]},
    "Adadelta": {"rho": [0.9, 0.5], "eps": [1e-6, 1e-3]},
    "Adamax": {**BETAS, "eps": [1e-8, 1e-3]},
    "NAdam": {"momentum_decay": [4e-3, 0.1], **BETAS, **DECOUPLED},
    "RAdam": {**BETAS, **DECOUPLED},
}


def combinations(name):
    """All combinations of an optimiser's options that are allowed."""
    grid = OPTIONS[name] | COMMON
    for chosen in itertools.product(*grid.values()):
        found = dict(zip(grid, chosen, strict=True))
        if not found.get("nesterov") or (found["momentum"] and not found["dampening"]):
            yield found


def reference(name, start, gradients, lr, o):
    """The path of one parameter: where it is after each step."""
    p, memory, path = start, {}, []
    for t, g in enumerate(gradients, 1):
        g = -g if o["maximize"] else g
        if o["weight_decay"]:
            if name == "AdamW" or o.get("decoupled_weight_decay"):
                p *= 1 - lr * o["weight_decay"]
            else:
                g += o["weight_decay"] * p
        p = STEPS[name](p, g, t, lr, o, memory)
        path.append(p)
    return path


def sgd(p, g, t, lr, o, memory):
    mu = o["momentum"]
    if not mu:
        return p - lr * g
    memory["b"] = g if t == 1 else mu * memory["b"] + (1 - o["dampening"]) * g
    return p - lr * (g + mu * memory["b"] if o["nesterov"] else memory["b"])


def averages(g, o, memory):
    """The moving averages of gradients and of their squares, neither corrected."""
    b1, b2 = o["betas"]
    memory["m"] = b1 * memory.get("m", 0.0) + (1 - b1) * g
    memory["v"] = b2 * memory.get("v", 0.0) + (1 - b2) * g**2
    return b1, b2, memory["m"], memory["v"]


def adam(p, g, t, lr, o, memory):
    b1, b2, m, v = averages(g, o, memory)
    if o["amsgrad"]:
        v = memory["top"] = max(memory.get("top", 0.0), v)
    return p - lr * (m / (1 - b1**t)) / (sqrt(v / (1 - b2**t)) + 1e-8)


def adamax(p, g, t, lr, o, memory):
    b1, b2, m, _ = averages(g, o, memory)
    memory["u"] = max(b2 * memory.get("u", 0.0), abs(g) + o["eps"])
    return p - lr / (1 - b1**t) * m / memory["u"]


def nadam(p, g, t, lr, o, memory):
    b1, b2, m, v = averages(g, o, memory)
    mu, after = (b1 * (1 - 0.5 * 0.96 ** (k * o["momentum_decay"])) for k in (t, t + 1))
    memory["product"] = memory.get("product", 1.0) * mu
    mean = after * m / (1 - memory["product"] * after) + (1 - mu) * g / (1 - memory["product"])
    return p - lr * mean / (sqrt(v / (1 - b2**t)) + 1e-8)


def radam(p, g, t, lr, o, memory):
    b1, b2, m, v = averages(g, o, memory)
    m /= 1 - b1**t
    most = 2 / (1 - b2) - 1
    rho = most - 2 * t * b2**t / (1 - b2**t)
    if rho <= 5:
        return p - lr * m
    r = sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho))
    return p - lr * m * r * sqrt(1 - b2**t) / (sqrt(v) + 1e-8)


def rmsprop(p, g, t, lr, o, memory):
    a = o["alpha"]
    memory["v"] = a * memory.get("v", 0.0) + (1 - a) * g**2
    memory["mean"] = a * memory.get("mean", 0.0) + (1 - a) * g
    d = g / (sqrt(memory["v"] - (memory["mean"] ** 2 if o["centered"] else 0.0)) + 1e-8)
    memory["b"] = o["momentum"] * memory.get("b", 0.0) + d
    return p - lr * memory["b"]


def adagrad(p, g, t, lr, o, memory):
    memory["s"] = memory.get("s", o["initial_accumulator_value"]) + g**2
    return p - lr / (1 + (t - 1) * o["lr_decay"]) * g / (sqrt(memory["s"]) + 1e-10)


def adadelta(p, g, t, lr, o, memory):
    rho, eps = o["rho"], o["eps"]
    memory["v"] = rho * memory.get("v", 0.0) + (1 - rho) * g**2
    d = sqrt(memory.get("u", 0.0) + eps) / sqrt(memory["v"] + eps) * g
    memory["u"] = rho * memory.get("u", 0.0) + (1 - rho) * d**2
    return p - lr * d


STEPS = {
    "SGD": sgd, "Adam": adam, "AdamW": adam, "RMSprop": rmsprop, "Adagrad": adagrad,
    "Adadelta": adadelta, "Adamax": adamax, "NAdam": nadam, "RAdam": radam,
}  # fmt: skip


class Plateau:
    """Keras's ReduceLROnPlateau, in its own order."""

    def __init__(self, lr, factor, patience, min_delta, cooldown, min_lr):
        self.lr, self.factor, self.patience, self.min_delta = lr, factor, patience, min_delta
        self.cooldown, self.min_lr = cooldown, min_lr
        self.best, self.wait, self.left = inf, 0, 0

    def step(self, number):
        if self.left > 0:
            self.left, self.wait = self.left - 1, 0
        if number < self.best - self.min_delta:
            self.best, self.wait = number, 0
        elif self.left <= 0:
            self.wait += 1
            if self.wait >= self.patience:
                if self.lr > self.min_lr:
                    self.lr = max(self.lr * self.factor, self.min_lr)
                    self.left = self.cooldown
                self.wait = 0
        return self.lr
