"""The optimisers: their options, and what they remember.

Names and defaults are PyTorch's; only SGD's learning rate is 0.01, as in Keras, not 0.001.
"""

from collections.abc import Iterable
from typing import Any

from miniflow.optim import rules
from miniflow.optim.optimizer import Optimizer
from miniflow.optim.options import Option, finite_number, pair, positive, rate, share, yes_or_no


class SGD(Optimizer):
    """Gradient descent: ``v = momentum*v + (1 - dampening)*g; p -= lr*v``.

    Args:
        parameters: see `Optimizer`, as for all that is not said here.
        momentum: how much of the velocity is left after a step.
        dampening: what is taken off each gradient but the first.
        nesterov: whether to look ahead, along the new velocity; needs a momentum, no dampening.
    """

    momentum = Option(rate)
    dampening = Option(finite_number)
    nesterov = Option(yes_or_no)
    rule = staticmethod(rules.sgd)

    def __init__(
        self, parameters: Iterable[Any], lr: float = 0.01, *, momentum: float = 0.0,
        dampening: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False, **more: Any,
    ) -> None:  # fmt: skip
        own: dict[str, Any] = {"momentum": momentum, "dampening": dampening, "nesterov": nesterov}
        super().__init__(parameters, lr, weight_decay, **own, **more)

    def add_param_group(self, group: dict[str, Any]) -> None:
        """See `Optimizer.add_param_group`."""
        found = self._defaults | group if isinstance(group, dict) else {}
        if found.get("nesterov") is True and (not found["momentum"] or found["dampening"]):
            raise ValueError("SGD: nesterov needs a momentum above 0 and a dampening of 0")
        super().add_param_group(group)

    def memory(self, group: dict[str, Any]) -> dict[str, float]:
        return {"b": 0.0} if group["momentum"] else {}


class _Adaptive(Optimizer):
    """What Adam and its kin have in common: two moving averages."""

    betas = Option(pair)
    eps = Option(positive)

    def memory(self, group: dict[str, Any]) -> dict[str, float]:
        return {"m": 0.0, "v": 0.0}


class Adam(_Adaptive):
    """Adaptive moments: steps of about lr, whatever the gradient's size.

    Args:
        parameters: see `Optimizer`, as for all that is not said here.
        betas: how much of the mean and of the mean square is kept from step to step.
        eps: added to the root of the mean square, in units of the gradient.
        amsgrad: whether to divide by the largest mean square so far.
    """

    amsgrad = Option(yes_or_no)
    rule = staticmethod(rules.adam)

    def __init__(
        self, parameters: Iterable[Any], lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, *, weight_decay: float = 0.0,
        amsgrad: bool = False, decoupled_weight_decay: bool = False, **more: Any,
    ) -> None:  # fmt: skip
        own: dict[str, Any] = {"betas": betas, "eps": eps, "amsgrad": amsgrad}
        own["decoupled_weight_decay"] = decoupled_weight_decay
        super().__init__(parameters, lr, weight_decay, **own, **more)

    def memory(self, group: dict[str, Any]) -> dict[str, float]:
        return super().memory(group) | ({"top": 0.0} if group["amsgrad"] else {})


class AdamW(Adam):
    """Adam with decoupled weight decay: it shrinks parameters, not their gradients."""

    def __init__(
        self, parameters: Iterable[Any], lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, *,
        weight_decay: float = 0.01, amsgrad: bool = False, decoupled_weight_decay: bool = True,
        **more: Any,
    ) -> None:  # fmt: skip
        more |= {"amsgrad": amsgrad, "decoupled_weight_decay": decoupled_weight_decay}
        super().__init__(parameters, lr, betas, eps, weight_decay=weight_decay, **more)


class Adamax(_Adaptive):
    """Adam by the largest gradient, which fades, instead of the mean square."""

    rule = staticmethod(rules.adamax)

    def __init__(
        self, parameters: Iterable[Any], lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, *,
        weight_decay: float = 0.0, **more: Any,
    ) -> None:  # fmt: skip
        super().__init__(parameters, lr, weight_decay, betas=betas, eps=eps, **more)

    def memory(self, group: dict[str, Any]) -> dict[str, float]:
        return {"m": 0.0, "u": 0.0}


class NAdam(_Adaptive):
    """Adam with Nesterov's momentum.

    Args:
        parameters: see `Optimizer` and `Adam`, as for all that is not said here.
        momentum_decay: how fast the momentum grows to the first of `betas`, per step.
        decoupled_weight_decay: whether weight decay shrinks parameters, not gradients.
    """

    momentum_decay = Option(rate)
    rule = staticmethod(rules.nadam)

    def __init__(
        self, parameters: Iterable[Any], lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, *, weight_decay: float = 0.0,
        momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, **more: Any,
    ) -> None:  # fmt: skip
        own: dict[str, Any] = {"betas": betas, "eps": eps, "momentum_decay": momentum_decay}
        own["decoupled_weight_decay"] = decoupled_weight_decay
        super().__init__(parameters, lr, weight_decay, **own, **more)

    def memory(self, group: dict[str, Any]) -> dict[str, float]:
        return super().memory(group) | {"product": 1.0}


class RAdam(_Adaptive):
    """Adam whose steps adapt only once there are gradients enough to know their spread.

    Args:
        parameters: see `Optimizer` and `Adam`, as for all that is not said here.
        decoupled_weight_decay: whether weight decay shrinks parameters, not gradients.
    """

    rule = staticmethod(rules.radam)

    def __init__(
        self, parameters: Iterable[Any], lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, *, weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False, **more: Any,
    ) -> None:  # fmt: skip
        own: dict[str, Any] = {"betas": betas, "eps": eps}
        own["decoupled_weight_decay"] = decoupled_weight_decay
        super().__init__(parameters, lr, weight_decay, **own, **more)


class RMSprop(Optimizer):
    """Gradients in units of their root mean square.

    Args:
        parameters: see `Optimizer`, as for all that is not said here.
        alpha: how much of the mean square is kept from step to step.
        eps: added to its root, in units of the gradient.
        momentum: how much of the velocity is left after a step.
        centered: whether to divide by the standard deviation instead.
    """

    alpha = Option(share)
    eps = Option(positive)
    momentum = Option(rate)
    centered = Option(yes_or_no)
    rule = staticmethod(rules.rmsprop)

    def __init__(
        self, parameters: Iterable[Any], lr: float = 0.01, alpha: float = 0.99, eps: float = 1e-8,
        *, weight_decay: float = 0.0, momentum: float = 0.0, centered: bool = False, **more: Any,
    ) -> None:  # fmt: skip
        own: dict[str, Any] = {
            "alpha": alpha,
            "eps": eps,
            "momentum": momentum,
            "centered": centered,
        }
        super().__init__(parameters, lr, weight_decay, **own, **more)

    def memory(self, group: dict[str, Any]) -> dict[str, float]:
        more = {"mean": 0.0} if group["centered"] else {}
        return {"v": 0.0} | more | ({"b": 0.0} if group["momentum"] else {})


class Adagrad(Optimizer):
    """Gradients in units of the root of the sum of all their squares: steps only get shorter.

    Args:
        parameters: see `Optimizer`, as for all that is not said here.
        lr_decay: the learning rate is divided by 1 + lr_decay * steps so far.
        initial_accumulator_value: where the sum of squares starts.
        eps: added to its root, in units of the gradient.
    """

    lr_decay = Option(rate)
    initial_accumulator_value = Option(rate)
    eps = Option(positive)
    rule = staticmethod(rules.adagrad)

    def __init__(
        self, parameters: Iterable[Any], lr: float = 0.01, lr_decay: float = 0.0, *,
        weight_decay: float = 0.0, initial_accumulator_value: float = 0.0, eps: float = 1e-10,
        **more: Any,
    ) -> None:  # fmt: skip
        start = initial_accumulator_value
        own: dict[str, Any] = {"lr_decay": lr_decay, "initial_accumulator_value": start, "eps": eps}
        super().__init__(parameters, lr, weight_decay, **own, **more)

    def memory(self, group: dict[str, Any]) -> dict[str, float]:
        return {"sum": group["initial_accumulator_value"]}


class Adadelta(Optimizer):
    """Steps in units of earlier steps.

    Args:
        parameters: see `Optimizer`, as for all that is not said here.
        rho: how much of the mean squares is kept from step to step.
        eps: added to both mean squares.
    """

    rho = Option(share)
    eps = Option(positive)
    rule = staticmethod(rules.adadelta)

    def __init__(
        self, parameters: Iterable[Any], lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6, *,
        weight_decay: float = 0.0, **more: Any,
    ) -> None:  # fmt: skip
        super().__init__(parameters, lr, weight_decay, rho=rho, eps=eps, **more)

    def memory(self, group: dict[str, Any]) -> dict[str, float]:
        return {"v": 0.0, "u": 0.0}
