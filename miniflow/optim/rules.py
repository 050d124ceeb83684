"""The rules: how one parameter moves along its gradient, as formulas on scalars.

A rule takes a parameter ``p``, its gradient ``g``, what is remembered of its earlier gradients,
``s``, and the options of its group, ``h``; it changes ``s`` and returns the new parameter. ``h.t``
counts steps from 1 on. Flags are plain bools, and what is switched off by 0 (a momentum, a weight
decay) is None: 0 times infinity would be NaN. All else are numbers that may change between steps.

`columns.py` traces a rule once and runs it over all parameters.
"""

from typing import Any

from miniflow.math import less, maximum, sqrt, where


def prepared(p: Any, g: Any, h: Any) -> tuple[Any, Any]:
    """The parameter and the gradient that a rule sees: decayed, and turned where it climbs.

    Source: Loshchilov & Hutter, Decoupled Weight Decay Regularization (2019), algorithm 2.
    """
    if h.maximize:
        g = -g
    if h.weight_decay is None:
        return p, g
    if h.decoupled_weight_decay:
        return p * (1 - h.lr * h.weight_decay), g
    return p, g + h.weight_decay * p


def sgd(p: Any, g: Any, s: Any, h: Any) -> Any:
    """Gradient descent, with a velocity that is not damped in the first step.

    Source: Sutskever et al., On the importance of initialization and momentum in deep
    learning (2013), in the form that PyTorch's SGD documents.
    """
    if h.momentum is None:
        return p - h.lr * g
    s.b = where(less(1, h.t), h.momentum * s.b + (1 - h.dampening) * g, g)
    return p - h.lr * (g + h.momentum * s.b if h.nesterov else s.b)


def adam(p: Any, g: Any, s: Any, h: Any) -> Any:
    """Adaptive moments.

    Source: Kingma & Ba, Adam: A Method for Stochastic Optimization (2015), algorithm 1;
    amsgrad: Reddi et al., On the Convergence of Adam and Beyond (2018).
    """
    s.m = h.b1 * s.m + (1 - h.b1) * g
    s.v = v = h.b2 * s.v + (1 - h.b2) * g * g
    if h.amsgrad:
        s.top = v = maximum(s.top, v)
    spread = sqrt(v) / sqrt(1 - h.b2**h.t) + h.eps
    return p - h.lr / (1 - h.b1**h.t) * s.m / spread


def adamax(p: Any, g: Any, s: Any, h: Any) -> Any:
    """Adam with the largest gradient instead of the root of the mean square.

    Source: Kingma & Ba (2015), algorithm 2.
    """
    s.m = h.b1 * s.m + (1 - h.b1) * g
    s.u = maximum(h.b2 * s.u, abs(g) + h.eps)
    return p - h.lr / (1 - h.b1**h.t) * s.m / s.u


def nadam(p: Any, g: Any, s: Any, h: Any) -> Any:
    """Adam with Nesterov's momentum, which grows from step to step.

    Source: Dozat, Incorporating Nesterov Momentum into Adam (2016), algorithm 8.
    """
    mu = h.b1 * (1 - 0.5 * 0.96 ** (h.t * h.momentum_decay))
    after = h.b1 * (1 - 0.5 * 0.96 ** ((h.t + 1) * h.momentum_decay))
    s.product = s.product * mu
    s.m = h.b1 * s.m + (1 - h.b1) * g
    s.v = h.b2 * s.v + (1 - h.b2) * g * g
    spread = sqrt(s.v / (1 - h.b2**h.t)) + h.eps
    p = p - h.lr * (1 - mu) / (1 - s.product) * g / spread
    return p - h.lr * after / (1 - s.product * after) * s.m / spread


def radam(p: Any, g: Any, s: Any, h: Any) -> Any:
    """Adam, rectified: without adaptive steps until the variance is known well enough.

    Source: Liu et al., On the Variance of the Adaptive Learning Rate and Beyond (2020),
    algorithm 2.
    """
    s.m = h.b1 * s.m + (1 - h.b1) * g
    s.v = h.b2 * s.v + (1 - h.b2) * g * g
    rise, spread = 1 - h.b1**h.t, 1 - h.b2**h.t
    most = 2 / (1 - h.b2) - 1
    rho = most - 2 * h.t * h.b2**h.t / spread
    ratio = (rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho)
    rectified = sqrt(ratio) * (sqrt(spread) / (sqrt(s.v) + h.eps))
    return p - h.lr * (s.m / rise) * where(less(5, rho), rectified, 1.0)


def rmsprop(p: Any, g: Any, s: Any, h: Any) -> Any:
    """Gradients in units of their root mean square, or of their standard deviation.

    Source: Hinton, Neural Networks for Machine Learning, lecture 6 (2012); centered: Graves,
    Generating Sequences With Recurrent Neural Networks (2013), section 4.2.
    """
    s.v = h.alpha * s.v + (1 - h.alpha) * g * g
    if h.centered:
        s.mean = h.alpha * s.mean + (1 - h.alpha) * g
        spread = sqrt(s.v - s.mean * s.mean) + h.eps
    else:
        spread = sqrt(s.v) + h.eps
    if h.momentum is None:
        return p - h.lr * g / spread
    s.b = h.momentum * s.b + g / spread
    return p - h.lr * s.b


def adagrad(p: Any, g: Any, s: Any, h: Any) -> Any:
    """Gradients in units of the root of the sum of all squares so far.

    Source: Duchi, Hazan & Singer, Adaptive Subgradient Methods (2011), section 1.
    """
    s.sum = s.sum + g * g
    return p - h.lr / (1 + (h.t - 1) * h.lr_decay) * g / (sqrt(s.sum) + h.eps)


def adadelta(p: Any, g: Any, s: Any, h: Any) -> Any:
    """Steps in units of earlier steps, so that nothing has to be tuned.

    Source: Zeiler, ADADELTA: An Adaptive Learning Rate Method (2012), algorithm 1.
    """
    s.v = h.rho * s.v + (1 - h.rho) * g * g
    step = sqrt(s.u + h.eps) / sqrt(s.v + h.eps) * g
    s.u = h.rho * s.u + (1 - h.rho) * step * step
    return p - h.lr * step
