"""A model whose parameters are one array: what batch kernels are made of.

The model is called with Values as ever. Its recording has the parameters as captured Values; it is
replayed with the numbers of one flat array in their place. So the kernel of a step takes
arrays alone, and nothing is written into the model while it runs.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from miniflow.compiled.executors import an_executor
from miniflow.compiled.vmap import Vmapped, vmap
from miniflow.optim.optimizer import put
from miniflow.program.freeze import freeze
from miniflow.program.structures import flatten_numbers
from miniflow.tape.core import Value
from miniflow.tape.pullback import pullback
from miniflow.tape.quick import Bundle
from miniflow.tape.storage import plain
from miniflow.train.metrics import Metric
from miniflow.train.objectives import Objective
from miniflow.util.words import shown


class Network:
    """A model and its parameters: those that the optimiser moves, then the others.

    Attributes:
        moved: how many parameters the optimiser moves.
        executor: what large batches are spread over, None if they are not.
    """

    def __init__(
        self, who: str, model: Any, moved: Iterable[Value] = (), executor: Any = None
    ) -> None:
        self.executor = an_executor(who, executor)
        parameters = None if isinstance(model, type) else getattr(model, "parameters", None)
        if not callable(model) or not callable(parameters):
            raise TypeError(
                f"{who}: model must be a module, such as nn.MLP(4, [16, 3]), got {shown(model)}"
            )
        self.model = model
        first = list(moved)
        all_of_them = {id(v): v for v in (*first, *parameters())}
        self.parameters = tuple(all_of_them.values())
        self.bundle = Bundle(self.parameters)
        self.moved = len(first)
        for v in self.parameters:
            if type(v) is not Value:
                raise TypeError(f"{who}: a parameter must be a Value, got {shown(v)}")
        self.places = {v: k for k, v in enumerate(self.parameters)}

    def numbers(self) -> Any:
        """The parameters' numbers, as a new array."""
        import numpy

        found = self.bundle.numbers()
        return numpy.array([v.data for v in self.parameters] if found is None else found)

    def put(self, numbers: Any) -> None:
        """Put numbers into the model."""
        put(self.bundle, numbers)

    def replayed(self, f: Callable[..., Any], p: Any, args: tuple[Any, ...]) -> tuple[Any, Any]:
        """The outputs of f, which calls the model, with p in the place of the parameters.

        Returns:
            ``(outputs, code)``, where the code rebuilds f's result of them.
        """
        values = p.tolist()
        for v, x in zip(self.parameters, values, strict=True):
            v._tape.set_data(v, plain(x))  # the path is that of these numbers
        numbers, arguments = flatten_numbers((args, {}))
        code = freeze(f, [plain(x) for x in numbers], arguments)
        captured = [self._live(v, values) for v in code.captured]
        return code.run([*numbers, *captured], lambda op: op), code

    def _live(self, v: Value, values: list[Any]) -> Any:
        """What stands for a captured Value: a parameter, or a flag of the mode, or itself."""
        if v in self.places:
            return values[self.places[v]]
        return plain(v) if v in self._flags() else v

    def _flags(self) -> set[Value]:
        """The Values that say whether a Dropout is on: a kernel is for one mode."""
        parts = self.model.modules() if hasattr(self.model, "modules") else ()
        return {part.switch.value for part in parts if hasattr(part, "switch")}

    # --- what is compiled -----------------------------------------------------------

    def step(self, loss: Objective, metrics: Sequence[Metric], extras: "Extras") -> Vmapped:
        """The sums over a batch of loss, parts of the metrics and gradient; of arrays."""
        import numpy

        score = scored(self.model, loss, metrics, extras)

        def step(p: Any, *columns: Any) -> Any:
            outputs, _ = self.replayed(score, p, columns)
            slopes: list[Any] = [0.0] * len(p)
            if outputs[0].__class__ is Value:
                slopes = pullback([outputs[0]], [1.0], p.tolist(), recorded=True)
            return outputs[0], outputs[1:], numpy.array(slopes, dtype=object)

        return self._batched(step, extras.axes)

    def scores(
        self, loss: Objective, metrics: Sequence[Metric], extras: "Extras"
    ) -> Callable[..., Any]:
        """The same without the gradient."""
        score = scored(self.model, loss, metrics, extras)

        def scores(p: Any, *columns: Any) -> Any:
            outputs, _ = self.replayed(score, p, columns)
            return outputs[0], outputs[1:]

        return self._batched(scores, extras.axes)

    def _batched(self, f: Callable[..., Any], axes: tuple[int, ...]) -> Vmapped:
        """The sums over a batch of a function of the parameters and a sample."""
        return vmap(f, in_axes=(None, *axes), reduce="sum", executor=self.executor)

    def predictions(self) -> Callable[..., Any]:
        """A function of the parameters and a batch: what the model says of each sample."""

        def predictions(p: Any, x: Any) -> Any:
            outputs, code = self.replayed(lambda x: self.model(listed(x)), p, (x,))
            return code.rebuild(outputs)

        return vmap(predictions, in_axes=(None, 0))


class Extras:
    """What a sample has besides x and y: a weight of its loss, and numbers for Dropout.

    Attributes:
        axes: the batch's axis in each of the arrays of a batch.
    """

    def __init__(self, weighted: bool, noise: int = 0) -> None:
        self.weighted = weighted
        self.noise = noise
        self.axes = (0,) * (2 + weighted + bool(noise))


def scored(
    model: Any, loss: Objective, metrics: Sequence[Metric], extras: Extras
) -> Callable[..., list[Any]]:
    """The loss of one sample and the parts of all metrics, of the sample's numbers."""

    def score(x: Any, y: Any, *more: Any) -> list[Any]:
        target = listed(y)
        if extras.noise:
            from miniflow.nn import with_noise

            with with_noise(model, listed(more[-1])):
                prediction = model(listed(x))
        else:
            prediction = model(listed(x))
        weight = more[0] if extras.weighted else 1.0
        parts = [part for metric in metrics for part in metric.parts(prediction, target)]
        return [loss.of(prediction, target) * weight, *parts]

    return score


def listed(x: Any) -> Any:
    """The numbers of a sample as nested lists, or a number."""
    return x.tolist() if hasattr(x, "tolist") else x


def plain_numbers(found: Any) -> tuple[float, list[float], Any]:
    """A step's sums as plain numbers, where Values from outside make them entries of the tape."""
    import numpy

    total, parts, *rest = found
    numbers = [float(getattr(x, "data", x)) for x in (total, *parts)]
    slopes = [numpy.array([getattr(x, "data", x) for x in sample], dtype=float) for sample in rest]
    return numbers[0], numbers[1:], slopes[0] if rest else None
