"""Schedules of the learning rate, in closed form: the rate after k steps, for any k.

They have PyTorch's names. Made of an optimiser, a schedule sets its learning rates at once, and
anew at each `step()`; made of a number, it is a function: ``StepLR(0.1, step_size=30)(k)``. One
that is made of an optimiser is that function, too, of its first group.

Formulas are those of PyTorch's documentation; the cosine ones are Loshchilov & Hutter, SGDR:
Stochastic Gradient Descent with Warm Restarts (2017), and OneCycleLR is Smith & Topin,
Super-Convergence (2018).
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from operator import index
from typing import Any

from miniflow.optim.optimizer import Optimizer
from miniflow.optim.options import count, positive, rate
from miniflow.util.words import shown


class Schedule:
    """The base: a learning rate for each number of steps k, from 0 on.

    A subclass has `rate_at`.

    Args:
        optimizer: what steps; or the learning rate to begin with, for a function of k alone.

    Attributes:
        k: how many steps there have been.
        bases: the learning rate of each group when the schedule was made.
    """

    def __init__(self, optimizer: Optimizer | float) -> None:
        self.optimizer = optimizer if isinstance(optimizer, Optimizer) else None
        self.k = 0
        name = f"{type(self).__name__}: the optimiser, or its learning rate,"
        rates = [x["lr"] for x in self.optimizer.param_groups] if self.optimizer else [optimizer]
        self.bases = [rate(name, x) for x in rates]
        self._set()

    def rate_at(self, k: int, base: float) -> float:
        """The learning rate after k steps where it began with `base`."""
        raise NotImplementedError

    def __call__(self, k: int, lr: float | None = None) -> float:
        """The learning rate after k steps; `lr`, which callbacks pass, is not needed."""
        if not hasattr(k, "__index__") or index(k) < 0:
            raise ValueError(f"{type(self).__name__}: k must be an int from 0 on, got {shown(k)}")
        return self.rate_at(index(k), self.bases[0])

    def step(self) -> None:
        """Set the optimiser's learning rates to those of the next step."""
        if self.optimizer is None:
            raise RuntimeError(
                f"{type(self).__name__}.step: it has a number, no optimiser; call it with k, or "
                "make it of an optimiser"
            )
        self.k += 1
        try:
            self._set()
        except BaseException:
            self.k -= 1
            raise

    def _set(self) -> None:
        if self.optimizer is None:
            return
        rates = [self.rate_at(self.k, base) for base in self._bases()]
        for group, found in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = found

    def _bases(self) -> list[float]:
        """One for each group: those that were added later begin with the rate that they have."""
        groups = self.optimizer.param_groups if self.optimizer else []
        self.bases += [group["lr"] for group in groups[len(self.bases) :]]
        return self.bases

    def get_last_lr(self) -> list[float]:
        """The learning rate of each group at present."""
        if self.optimizer is None:
            return [self(self.k)]
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """How far it is; the optimiser's own state has the learning rates."""
        return {"schedule": type(self).__name__, "k": self.k, "bases": list(self.bases)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` has returned, and set the learning rates.

        Raises:
            ValueError: it is another schedule's, or not whole; then nothing has changed.
        """
        name = f"{type(self).__name__}.load_state_dict"
        found = state if isinstance(state, dict) else {}
        k, bases = found.get("k"), found.get("bases")
        right = isinstance(bases, list) and len(bases) == len(self.bases)
        right = right and found.get("schedule") == type(self).__name__
        if not right or type(k) is not int or k < 0:
            raise ValueError(f"{name}: the state is another one's, or not whole: {shown(state)}")
        bases = [rate(f"{name}: bases", x) for x in found["bases"]]
        before = self.k, self.bases
        self.k, self.bases = k, bases
        try:
            self._set()
        except BaseException:
            self.k, self.bases = before
            raise

    def __repr__(self) -> str:
        own = {k: x for k, x in vars(self).items() if k not in ("optimizer", "k", "bases")}
        options = "".join(f", {k}={x!r}" for k, x in own.items())
        return f"{type(self).__name__}({', '.join(map(repr, self.bases))}{options})"


class LambdaLR(Schedule):
    """The rate to begin with times a function of k."""

    def __init__(self, optimizer: Optimizer | float, lr_lambda: Callable[[int], float]) -> None:
        if not callable(lr_lambda):
            raise TypeError(f"LambdaLR: lr_lambda must be a function, got {shown(lr_lambda)}")
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def rate_at(self, k: int, base: float) -> float:
        return rate(f"LambdaLR: the learning rate of step {k}", base * self.lr_lambda(k))


class StepLR(Schedule):
    """Times gamma every `step_size` steps: ``lr * gamma ** floor(k / step_size)``."""

    def __init__(self, optimizer: Optimizer | float, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = count("StepLR: step_size", step_size)
        self.gamma = rate("StepLR: gamma", gamma)
        super().__init__(optimizer)

    def rate_at(self, k: int, base: float) -> float:
        return base * self.gamma ** (k // self.step_size)


class MultiStepLR(Schedule):
    """Times gamma at each of the `milestones`, numbers of steps; two that are equal count twice."""

    def __init__(
        self, optimizer: Optimizer | float, milestones: Iterable[int], gamma: float = 0.1
    ) -> None:
        self.milestones = sorted([count("MultiStepLR: a milestone", x) for x in milestones])
        self.gamma = rate("MultiStepLR: gamma", gamma)
        super().__init__(optimizer)

    def rate_at(self, k: int, base: float) -> float:
        return base * self.gamma ** bisect_right(self.milestones, k)


class ExponentialLR(Schedule):
    """Times gamma at every step: ``lr * gamma ** k``."""

    def __init__(self, optimizer: Optimizer | float, gamma: float) -> None:
        self.gamma = rate("ExponentialLR: gamma", gamma)
        super().__init__(optimizer)

    def rate_at(self, k: int, base: float) -> float:
        return base * self.gamma**k


class LinearLR(Schedule):
    """A straight line from `start_factor` times the rate to `end_factor` times it."""

    def __init__(
        self, optimizer: Optimizer | float, start_factor: float = 1 / 3, end_factor: float = 1.0,
        total_iters: int = 5,
    ) -> None:  # fmt: skip
        self.start_factor = rate("LinearLR: start_factor", start_factor)
        self.end_factor = rate("LinearLR: end_factor", end_factor)
        self.total_iters = count("LinearLR: total_iters", total_iters)
        super().__init__(optimizer)

    def rate_at(self, k: int, base: float) -> float:
        if k >= self.total_iters:
            return base * self.end_factor
        way = k / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * way)


class PolynomialLR(Schedule):
    """Down to 0 in `total_iters` steps: ``lr * (1 - k / total_iters) ** power``."""

    def __init__(
        self, optimizer: Optimizer | float, total_iters: int = 5, power: float = 1.0
    ) -> None:
        self.total_iters = count("PolynomialLR: total_iters", total_iters)
        self.power = positive("PolynomialLR: power", power)
        super().__init__(optimizer)

    def rate_at(self, k: int, base: float) -> float:
        return base * math.pow(1 - min(k, self.total_iters) / self.total_iters, self.power)


class CosineAnnealingLR(Schedule):
    """Half a cosine from the rate down to `eta_min` in `T_max` steps.

    Beyond T_max it rises again, and is back after another T_max steps.
    """

    def __init__(
        self, optimizer: Optimizer | float, T_max: int, eta_min: float = 0.0,  # noqa: N803 - as PyTorch
    ) -> None:  # fmt: skip
        self.T_max = count("CosineAnnealingLR: T_max", T_max)
        self.eta_min = rate("CosineAnnealingLR: eta_min", eta_min)
        super().__init__(optimizer)

    def rate_at(self, k: int, base: float) -> float:
        return annealed(base, self.eta_min, k / self.T_max)


class CosineAnnealingWarmRestarts(Schedule):
    """The same again and again from the top: in `T_0` steps, then in T_mult times as many."""

    def __init__(
        self, optimizer: Optimizer | float, T_0: int, T_mult: int = 1,  # noqa: N803 - as PyTorch
        eta_min: float = 0.0,
    ) -> None:  # fmt: skip
        self.T_0 = count("CosineAnnealingWarmRestarts: T_0", T_0)
        self.T_mult = count("CosineAnnealingWarmRestarts: T_mult", T_mult)
        self.eta_min = rate("CosineAnnealingWarmRestarts: eta_min", eta_min)
        super().__init__(optimizer)

    def rate_at(self, k: int, base: float) -> float:
        length = self.T_0
        if self.T_mult == 1:
            k %= length
        while k >= length:
            k, length = k - length, length * self.T_mult
        return annealed(base, self.eta_min, k / length)


class OneCycleLR(Schedule):
    """Up to `max_lr` by a cosine, then down to almost 0: one cycle of `total_steps` steps.

    Args:
        optimizer: as for `Schedule`; its own rate is not used.
        max_lr: the rate at the top, or a list with one for each group.
        total_steps: the number of all steps; the last rate is that of k = total_steps - 1, and
            stays.
        pct_start: the share of them until the top.
        div_factor: it begins with max_lr / div_factor,
        final_div_factor: and ends with that divided by this.
    """

    def __init__(
        self, optimizer: Optimizer | float, max_lr: float | Sequence[float], total_steps: int,
        pct_start: float = 0.3, div_factor: float = 25.0, final_div_factor: float = 1e4,
    ) -> None:  # fmt: skip
        groups = len(optimizer.param_groups) if isinstance(optimizer, Optimizer) else 1
        tops = list(max_lr) if isinstance(max_lr, list | tuple) else [max_lr] * groups
        if len(tops) != groups:
            raise ValueError(f"OneCycleLR: max_lr must be one for each of {groups} groups")
        self.max_lr = [rate("OneCycleLR: max_lr", x) for x in tops]
        self.total_steps = count("OneCycleLR: total_steps", total_steps)
        self.pct_start = rate("OneCycleLR: pct_start", pct_start)
        if self.pct_start > 1:
            raise ValueError(f"OneCycleLR: pct_start must be at most 1, got {pct_start!r}")
        self.div_factor = positive("OneCycleLR: div_factor", div_factor)
        self.final_div_factor = positive("OneCycleLR: final_div_factor", final_div_factor)
        super().__init__(optimizer)

    def _bases(self) -> list[float]:
        groups = self.optimizer.param_groups if self.optimizer else []
        if len(groups) > len(self.max_lr):
            raise ValueError("OneCycleLR: a group was added that has no max_lr; make another one")
        self.bases = list(self.max_lr)
        return self.bases

    def __call__(self, k: int, lr: float | None = None) -> float:
        self.bases = list(self.max_lr)
        return super().__call__(k, lr)

    def rate_at(self, k: int, base: float) -> float:
        top = self.pct_start * self.total_steps - 1
        end = self.total_steps - 1
        low = base / self.div_factor
        k = min(k, end)
        if k <= top:
            return annealed(low, base, k / top if top else 1.0)
        return annealed(base, low / self.final_div_factor, (k - top) / (end - top))


class Plateau(Schedule):
    """Times `factor` where a number, such as the loss, has not become better for a while.

    PyTorch and Keras call it ReduceLROnPlateau; this is Keras's rule.

    Args:
        optimizer: what steps.
        factor: what the rate is multiplied by, below 1.
        patience: how many steps without anything better are waited for.
        min_delta: better means by more than that.
        cooldown: how many steps after a change nothing is counted.
        min_lr: the rate is never set lower.
        mode: "min" if less is better, "max" if more is.

    Attributes:
        best: the best number so far; NaN never is.
    """

    def __init__(
        self, optimizer: Optimizer, factor: float = 0.1, patience: int = 10, *,
        min_delta: float = 1e-4, cooldown: int = 0, min_lr: float = 0.0, mode: str = "min",
    ) -> None:  # fmt: skip
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"Plateau: it needs an optimiser, got {shown(optimizer)}")
        self.factor = rate("Plateau: factor", factor)
        if self.factor >= 1:
            raise ValueError(f"Plateau: factor must be below 1, got {factor!r}")
        self.patience = count("Plateau: patience + 1", patience + 1) - 1
        self.min_delta = rate("Plateau: min_delta", min_delta)
        self.cooldown = count("Plateau: cooldown + 1", cooldown + 1) - 1
        self.min_lr = rate("Plateau: min_lr", min_lr)
        if mode not in ("min", "max"):
            raise ValueError(f"Plateau: mode must be 'min' or 'max', got {mode!r}")
        self.mode = mode
        self.best = math.inf if mode == "min" else -math.inf
        self.wait = 0
        self.cooling = 0
        super().__init__(optimizer)

    def _set(self) -> None:
        """The rates stay as they are until there is a reason."""

    def __call__(self, k: int, lr: float | None = None) -> float:
        raise TypeError("Plateau: it depends on more than k; call step(metric)")

    def step(self, metric: Any = None) -> None:
        """Take notice of a number, and lower the rates if it has not become better."""
        if metric is None:
            raise TypeError("Plateau.step: give it the number to watch, e.g. the loss")
        number = float(getattr(metric, "data", metric))
        self.k += 1
        if self.cooling:
            self.cooling, self.wait = self.cooling - 1, 0
        if self._better(number):
            self.best, self.wait = number, 0
        elif not self.cooling:
            self.wait += 1
            if self.wait >= self.patience:
                self._lower()

    def _better(self, number: float) -> bool:
        if self.mode == "min":
            return number < self.best - self.min_delta
        return number > self.best + self.min_delta

    def _lower(self) -> None:
        assert self.optimizer is not None
        self.cooling, self.wait = self.cooldown, 0
        for group in self.optimizer.param_groups:
            if group["lr"] > self.min_lr:
                group["lr"] = max(group["lr"] * self.factor, self.min_lr)

    def state_dict(self) -> dict[str, Any]:
        """What it has seen."""
        more = {"best": self.best, "wait": self.wait, "cooling": self.cooling}
        return super().state_dict() | more

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `Schedule.load_state_dict`; the optimiser's own state has the learning rates."""
        found = state if isinstance(state, dict) else {}
        best, wait, cooling = (found.get(name) for name in ("best", "wait", "cooling"))
        if type(best) is not float or type(wait) is not int or type(cooling) is not int:
            raise ValueError(
                f"Plateau.load_state_dict: the state is another one's, or not whole: {shown(state)}"
            )
        super().load_state_dict(state)
        self.best, self.wait, self.cooling = best, wait, cooling


def annealed(start: float, end: float, way: float) -> float:
    """From `start` (way 0) to `end` (way 1) along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * way)) / 2
