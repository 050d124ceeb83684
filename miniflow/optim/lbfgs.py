"""L-BFGS, by SciPy: for few parameters, and a loss that is the same at each call."""

from collections.abc import Callable, Iterable
from typing import Any

from miniflow.ops import real
from miniflow.optim.optimizer import Optimizer, put
from miniflow.optim.options import Option, count, positive
from miniflow.tape.quick import Bundle
from miniflow.util.words import shown


class LBFGS(Optimizer):
    """A quasi-Newton method with little memory: a step is up to `max_iter` iterations.

    It needs SciPy (``pip install 'miniflow[optim]'``), whose L-BFGS-B looks for the length of each
    iteration along a line itself: there is no learning rate.

    Args:
        parameters: see `Optimizer`; in one group.
        max_iter: iterations of a step, at most.
        history_size: how many changes of the gradient are kept to know the curvature.
        tolerance_grad: it stops where no component of the gradient is larger,
        tolerance_change: or where the loss falls by less than this, relatively.
        maximize: whether to climb.

    Source: Byrd, Lu, Nocedal & Zhu, A Limited Memory Algorithm for Bound Constrained
    Optimization (1995).

    Example::

        def closure():
            optimizer.zero_grad()
            loss = (a - 1) ** 2 + (a * b - 6) ** 2
            loss.backward()
            return loss

        optimizer.step(closure)
    """

    max_iter = Option(count)
    history_size = Option(count)
    tolerance_grad = Option(positive)
    tolerance_change = Option(positive)

    def __init__(
        self, parameters: Iterable[Any], *, max_iter: int = 20, history_size: int = 10,
        tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9, maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            parameters, 1.0, max_iter=max_iter, history_size=history_size, maximize=maximize,
            tolerance_grad=tolerance_grad, tolerance_change=tolerance_change,
        )  # fmt: skip

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Its parameters are in one group: their curvature is one matrix."""
        if self.param_groups:
            raise ValueError("LBFGS: parameters must be in one group; pass a list of all of them")
        super().add_param_group(group)

    def memory(self, group: dict[str, Any]) -> dict[str, float]:
        """Nothing: each step begins anew."""
        return {}

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Go down from here, and leave the parameters at the best point that was found.

        Args:
            closure: sets the gradients to 0, computes the loss, calls its `backward()` and returns
                it: a Value or a number. It is called many times, at other parameters.

        Returns:
            the loss at the beginning.

        Raises:
            TypeError: there is no closure, or it returns no number.
            ImportError: SciPy is not installed.
            whatever `closure` raises: then the parameters are as they were.
        """
        if not callable(closure):
            raise TypeError(f"LBFGS.step: closure must be a function, got {shown(closure)}")
        try:
            from scipy.optimize import minimize
        except ImportError:
            raise ImportError("LBFGS needs SciPy: pip install 'miniflow[optim]'") from None
        parameters = self._bundled()
        start = [real(p.data, "a parameter's data") for p in parameters.values]
        run = _Run(parameters, closure, -1.0 if self.maximize else 1.0)
        options = {
            "maxiter": self.max_iter, "maxcor": self.history_size,
            "gtol": self.tolerance_grad, "ftol": self.tolerance_change,
        }  # fmt: skip
        try:
            minimize(run, start, jac=True, method="L-BFGS-B", options=options)
        except BaseException:
            put(parameters, start)
            raise
        put(parameters, start if run.best is None else run.best)
        self._steps = [self._steps[0] + 1]
        return run.first

    def moved(self, numbers: Any, slopes: Any) -> Any:
        """There is no such step: one gradient is not enough."""
        raise TypeError("LBFGS: a step needs a closure, which computes the loss: step(closure)")


class _Run:
    """One step: the loss and its gradient at whatever numbers SciPy asks for."""

    def __init__(self, parameters: Bundle, closure: Callable[[], Any], sign: float) -> None:
        self.parameters = parameters
        self.closure = closure
        self.sign = sign
        self.first: Any = None
        self.lowest = float("inf")
        self.best: list[float] | None = None

    def __call__(self, numbers: Any) -> tuple[float, Any]:
        import numpy

        found = numbers.tolist()
        put(self.parameters, found)
        loss = self.closure()
        if self.first is None:
            self.first = loss
        height = self.sign * real(getattr(loss, "data", loss), "what the closure returns")
        if height < self.lowest:
            self.lowest, self.best = height, found
        slopes = [real(p.grad, "a parameter's grad") for p in self.parameters.values]
        return height, self.sign * numpy.array(slopes)
