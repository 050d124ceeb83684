"""Recording a training loop, for `play`: each `backward()` is one iteration.

Kept of an iteration are its loss, the model's parameters and their gradients, and, where the
graph is small enough to be stepped through, every step; of larger ones, at some iterations, those
of one sample. Lines of source are noted with a
trace function, so where a debugger or a coverage tool has set its own there are none.
"""

import inspect
import sys
from array import array
from collections.abc import Iterator
from contextlib import ExitStack
from types import FrameType, TracebackType
from typing import Any, NamedTuple

from miniflow.nn import Module
from miniflow.program.ir import Place
from miniflow.program.places import Origins, watched
from miniflow.tape.core import Table, Value, here
from miniflow.tape.notes import Trace
from miniflow.tape.reading import located
from miniflow.util.notebook import InNotebook
from viz.output.checks import some_limit, wrong_type
from viz.player.boundary import Boundary
from viz.player.sample import sample_of
from viz.player.steps import MOST_NODES, Line, Steps, take_steps

KEPT_SAMPLES = 8  # iterations of which one sample's steps are kept


class Iteration(NamedTuple):
    """One call of `backward`.

    Attributes:
        loss: the number that it was called on.
        parameters: the model's parameters, in the order of `Recording.names`.
        gradients: their `.grad` after the call.
        steps: every step, or those of one sample; None where none are kept.
        entries: how many entries of the tape the loss was computed from, about.
    """

    loss: float
    parameters: "array[float]"
    gradients: "array[float]"
    steps: Steps | None
    entries: int


class Recording(InNotebook):
    """What `record` has recorded: `play` makes a page of it.

    Attributes:
        model: the model, or None.
        names, parameters: of the model.
        boundary: the samples, and the program of what the model says; None without `data`.
        iterations: one for each call of `backward` on this thread.
        limit: how many entries a graph may have whose steps are kept; None for any number.
    """

    def __init__(
        self, model: Module | None = None, *, data: Any = None, threshold: float = 0.0,
        limit: int | None = MOST_NODES,
    ) -> None:  # fmt: skip
        if model is not None and not isinstance(model, Module):
            remedy = "give the model whose parameters are to be shown, or nothing"
            raise wrong_type("record", "model", "a Module", model, remedy)
        some_limit("record", "limit", limit)
        self.model = model
        self.limit = limit
        self.iterations: list[Iteration] = []
        named = list(model.named_parameters()) if model is not None else []
        self.names = [name for name, _ in named]
        self.parameters = [v for _, v in named]
        self.boundary = None if data is None else Boundary(model, data, threshold)
        self._entries = 0  # of the first graph that was too large
        self._pace = 1  # of how many iterations one has steps of a sample
        self._watch: _Watch | None = None
        self._table: Table | None = None

    @property
    def losses(self) -> list[float]:
        """The loss of each iteration."""
        return [x.loss for x in self.iterations]

    def __len__(self) -> int:
        return len(self.iterations)

    def __repr__(self) -> str:
        return f"<Recording of {len(self)} iterations, {len(self.names)} parameters>"

    # --- the block --------------------------------------------------------------

    def __enter__(self) -> "Recording":
        if self._table is not None or self.iterations:
            raise RuntimeError("record: this recording has been used; call viz.record() anew")
        if here.table.swept is not None:
            raise RuntimeError("record: another recording is running on this thread; end it first")
        self._table = here.table
        self._watch = _Watch(self._table, _entering())
        self._table.swept = self._swept
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._table is not None
        self._table.swept = None
        self._stop_watching()

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    def _swept(self, root: Value) -> None:
        """Take down one iteration."""
        steps = self._steps(root)
        whole = not self._entries
        self.iterations.append(
            Iteration(
                root.data,
                array("d", [v.data for v in self.parameters]),
                array("d", [v.grad for v in self.parameters]),
                steps,
                len(steps.nodes) if steps and whole else self._entries,
            )
        )
        if not whole:
            self._thin_out()
            self._stop_watching()  # lines are of no use any more, and cost time
        elif self._watch is not None:
            self._watch.start_anew()

    def _steps(self, root: Value) -> Steps | None:
        table, entry = located(root)
        with table.hold():
            entries = [] if self._entries else table.reached([entry])
            if entries and (self.limit is None or len(entries) <= self.limit):
                return self._all_steps(root, entries)
            self._entries = self._entries or len(entries)  # graphs of a loop are much alike
            return self._sample_steps(table, entry)

    def _all_steps(self, root: Value, entries: list[int]) -> Steps:
        watch = self._watch
        return take_steps(
            root,
            root.grad,  # of the output a sweep leaves its seed
            names=watch.names() if watch else {},
            parameters=self.model,
            lines=watch.lines(entries) if watch else {},
            limit=None,
        )

    def _sample_steps(self, table: Table, entry: int) -> Steps | None:
        """The steps of one sample, with the gradient that the loss passes back to it."""
        if not self._pace or len(self.iterations) % self._pace:
            return None
        parameters = {located(v)[1] for v in self.parameters if located(v)[0] is table}
        found = sample_of(table, entry, parameters)
        if found is None:
            self._pace = 0
            return None
        part = table.handle(found)
        return take_steps(part, part.grad, parameters=self.model, limit=None)

    def has_sample(self, k: int) -> bool:
        """Whether the steps of an iteration are those of one sample."""
        steps, entries = self.iterations[k].steps, self.iterations[k].entries
        return steps is not None and self.limit is not None and entries > self.limit

    def _thin_out(self) -> None:
        """Keep few samples, however long a training takes: every other one goes."""
        if self.iterations[-1].steps is None:
            return
        kept = [k for k in range(len(self)) if self.has_sample(k)]
        if len(kept) > KEPT_SAMPLES:
            self._pace *= 2
            for k in kept:
                if k % self._pace:
                    self.iterations[k] = self.iterations[k]._replace(steps=None)


def record(
    model: Module | None = None,
    *,
    data: Any = None,
    threshold: float = 0.0,
    limit: int | None = MOST_NODES,
) -> Recording:
    """A ``with`` block whose calls of `backward()` are recorded, for `play`.

    The code in the block runs as it is: nothing has to be called, and nothing is changed.
    Of a model the parameters and gradients are kept at each call of `backward()` on this
    thread; of a graph of up to `limit` entries every step, with the lines of source that it
    came from; the tape is not compacted then between two calls. Of larger graphs only the steps
    of one sample are kept, at a few iterations, and memory stays flat, so the block may train
    anything.

    Args:
        model: the model that is trained in the block, if there is one.
        data: what it is trained on, to be shown with the decision boundary: ``(x, y)``, as for
            `plot_decision_boundary` samples of two features and their labels.
        threshold: the model's score at the boundary; 0.5 if it returns probabilities.
        limit: how many entries a graph may have whose steps are all kept; None for any number.

    Returns:
        What is recorded; it can be played after the block, too.

    Raises:
        TypeError: `model` is not a Module, or an option is of another type.
        ValueError: samples and labels do not fit each other or the model, or there is no model.
        RuntimeError: on entering the block: another recording runs on this thread.

    Example:
        >>> w = Value(0.0, label="w")
        >>> with record() as recording:
        ...     for _ in range(3):
        ...         loss = (w - 1) ** 2
        ...         w.grad = 0.0
        ...         loss.backward()
        ...         w.data -= 0.25 * w.grad
        >>> recording.losses
        [1.0, 0.25, 0.0625]
    """
    return Recording(model, data=data, threshold=threshold, limit=limit)


class _Watch:
    """The lines and variables of the block, from one call of `backward` to the next."""

    def __init__(self, table: Table, frame: FrameType | None) -> None:
        self.table = table
        self.frame = frame
        self.notes = Trace()
        self.assigned: dict[int, str] = {}
        self.held = ExitStack()
        self.held.enter_context(table.hold())  # entries are noted by their numbers
        self.stack = ExitStack()
        self.stack.enter_context(watched(table, self.notes, self.assigned))
        enter: Any = sys.gettrace()
        # the frame of the block runs already: nobody else will watch it
        self.tracing = enter is not None and enter.__module__ == watched.__module__
        if self.tracing and frame is not None:
            frame.f_trace = enter(frame, "call", None)

    def start_anew(self) -> None:
        """Forget what was noted, and let the tape drop what nobody needs."""
        self.notes.clear()
        self.assigned.clear()
        self.held.close()
        self.held.enter_context(self.table.hold())

    def stop(self) -> None:
        """Watch no longer."""
        if self.tracing and self.frame is not None:
            self.frame.f_trace = None
        self.frame = None  # it knows this object
        self.stack.close()
        self.held.close()

    def names(self) -> dict[Value, str]:
        """What the code calls its Values, now."""
        found = {self.table.handle(entry): name for entry, name in self.assigned.items()}
        found.update(_variables_of(self.frame))
        return found

    def lines(self, entries: list[int]) -> dict[int, Line]:
        """Where each of the entries (newest first) was computed, as far as that is known."""
        places = Origins(self.table, self.notes).places(entries)
        return {
            entry: (x.file, x.line)
            for entry, x in zip(entries, places, strict=True)
            if isinstance(x, Place)
        }


def _entering() -> FrameType | None:
    """The frame of the code that enters a block: it called `__enter__`, which asks."""
    frame = inspect.currentframe()
    for _ in range(2):
        frame = frame.f_back if frame is not None else None
    return frame


def _variables_of(frame: FrameType | None) -> Iterator[tuple[Value, str]]:
    """The variables of a frame that hold a Value; of two with the same the first one counts."""
    if frame is None:
        return
    for name, x in reversed(list(frame.f_locals.items())):
        if x.__class__ is Value and not name.startswith("_"):
            yield x, name
