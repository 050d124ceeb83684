"""Live: a page with sliders for a function's arguments.

The function is called with Values at some points of the ranges. Each path that it takes there is
one graph of the page, with its guards as a program: the page asks them before it shows a number.
"""

import inspect
import itertools
import os
from collections.abc import Callable, Iterator
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from miniflow.ops import real
from miniflow.program.ir import PathError
from miniflow.program.javascript import check_rows
from miniflow.program.program import Program
from miniflow.program.trace import trace
from miniflow.tape.core import Value
from miniflow.tape.reading import located
from miniflow.util.functions import a_function
from viz.output.checks import a_path, one_of, wrong_type
from viz.output.iframe import PAGES, Page
from viz.output.palette import THEMES
from viz.player.page import page
from viz.player.scene import scene_of_paths
from viz.player.steps import Steps, take_steps
from viz.player.still import still_of
from viz.player.whatif import JSON

SAMPLES = 200  # of the ranges, at which paths are looked for, and the same along each of them
PATHS = 6  # on one page


class Slider(NamedTuple):
    """An argument that may be moved."""

    name: str
    low: float
    high: float
    start: float

    def at(self, part: float) -> float:
        """A number of the range, from low (0) to high (1)."""
        return self.low + part * (self.high - self.low)


class Route(NamedTuple):
    """A path through the function: its guards, its graph, the node of each argument or -1."""

    program: Program
    steps: Steps
    nodes: tuple[int, ...]


class Live:
    """What `live` has made: a page, which shows itself in a notebook.

    Attributes:
        name: the function's.
        sliders: for its arguments.
        routes: the paths that the page knows.
    """

    def __init__(self, name: str, sliders: list[Slider], routes: list[Route]) -> None:
        self.name = name
        self.sliders = sliders
        self.routes = routes
        guards = {f"path{k}": x.program for k, x in enumerate(routes)}
        steps, nodes = [x.steps for x in routes], [x.nodes for x in routes]
        self._scene = scene_of_paths(steps, nodes, self._data(), guards)

    def __repr__(self) -> str:
        ranges = ", ".join(f"{x.name}={x.low:g} to {x.high:g}" for x in self.sliders)
        return f"<Live page of {self.name}: {ranges}; {len(self.routes)} paths>"

    def embed(self) -> str:
        """HTML that shows the page within another page: paste it there."""
        return self._page().embed()

    def _repr_html_(self) -> str:
        return self.embed()

    def save(self, path: str | os.PathLike[str], *, theme: str = "auto", title: str = "") -> Path:
        """Write the page as a file, for any browser.

        Args:
            path: the file to write, a ".html"; it is replaced as a whole.
            theme: "light", "dark", or "auto" for what the reader's system prefers.
            title: the page's heading.

        Returns:
            The path.

        Raises:
            ValueError: an unknown theme, or the path has another suffix.
            OSError: the file cannot be written.
        """
        one_of("live", "theme", theme, ("auto", *THEMES))
        path = a_path("live", path, PAGES)
        return self._page(theme, title).save(path)

    def _page(self, theme: str = "auto", title: str = "") -> Page:
        title = title or self._title()
        text = page(self._scene, theme=theme, title=title)
        return Page(text, title, f"{len(self.routes)} paths", still_of(self._scene))

    def _title(self) -> str:
        return f"{self.name}({', '.join(x.name for x in self.sliders)})"

    def _data(self) -> JSON:
        """What the page knows of the function."""
        return {
            "name": self.name,
            "sliders": [x._asdict() for x in self.sliders],
            "captured": [[*map(repr, x.program.live())] for x in self.routes],
        }


def live(f: Callable[..., Any], /, **ranges: Any) -> Live:
    """A page with sliders for a function's arguments: the graph and all gradients follow.

    The page computes by itself, without Python and without a network; it steps forward and
    backward as that of `play`, and asks its quiz. The function is called now, at points of the
    ranges, to find the paths that it takes through its branches; at most six are kept. Where it
    would take another one, the page says so and shows no numbers.

    Args:
        f: a function of numbers that returns one number.
        **ranges: for each argument to be moved, by its name, the lowest and the highest number,
            and where it starts if that is not the middle: ``(low, high)`` or ``(low, high,
            start)``. Anything else is passed to `f` as it is.

    Returns:
        The page: it shows itself in a notebook, and ``.save("page.html")`` writes it.

    Raises:
        TypeError: `f` is no function, does not take these arguments, does not return one number
            computed from them, or uses a function of Python that a page cannot run.
        ValueError: there is no range, or one is empty or endless.
        RuntimeError: there is no Graphviz, or it failed.

    Example:
        >>> live(lambda x, y: x * y + x, x=(0, 2), y=(-1, 1))
        <Live page of f: x=0 to 2, y=-1 to 1; 1 paths>
    """
    a_function("live", f)
    sliders = [_slider(name, x) for name, x in ranges.items() if isinstance(x, tuple)]
    if not sliders:
        raise ValueError("live: give a range for an argument of the function: live(f, x=(0, 2))")
    named = _takes_names(f, ranges)

    def call(*xs: Any) -> Any:
        given = ranges | dict(zip([x.name for x in sliders], xs, strict=True))
        return f(**given) if named else f(*given.values())

    routes = _routes(call, sliders)
    name = getattr(f, "__name__", type(f).__name__)
    return Live("f" if name == "<lambda>" else name, sliders, routes)


def _slider(name: str, given: tuple[Any, ...]) -> Slider:
    if len(given) not in (2, 3):
        raise ValueError(
            f"live: {name} must be (low, high) or (low, high, start), got {given!r:.60}"
        )
    low, high, *start = [real(x, f"live: {name}") for x in given]
    if not (low < high and isfinite(high - low)):
        raise ValueError(f"live: {name} must go from a number to a larger one, got {given!r:.60}")
    middle = low + (high - low) / 2
    if start and not isfinite(start[0]):
        raise ValueError(f"live: {name} must start at a number, got {start[0]}")
    return Slider(name, low, high, *(start or [middle]))


def _takes_names(f: Callable[..., Any], given: dict[str, Any]) -> bool:
    """Whether arguments go in by name; those of some functions have none."""
    try:
        signature = inspect.signature(f)
    except ValueError:  # some builtins have none
        return False
    kinds = {x.kind for x in signature.parameters.values()}
    if kinds and kinds <= {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL}:
        return False
    try:
        signature.bind(**given)
    except TypeError as error:
        raise TypeError(
            f"live: {error}; give a range, or a value, for each argument by its name"
        ) from None
    return True


# --- paths --------------------------------------------------------------------


def _routes(call: Callable[..., Any], sliders: list[Slider]) -> list[Route]:
    """The paths that the function takes, first that at the start."""
    found: list[Route] = []
    for xs in _points(sliders):
        if len(found) < PATHS and not any(_holds(x.program, xs) for x in found):
            route = _route(call, sliders, xs)
            if route is not None:
                found.append(route)
    return found


def _points(sliders: list[Slider]) -> Iterator[list[float]]:
    """The start, a grid, and all of each range with the others at their start."""
    start = [x.start for x in sliders]
    yield start
    count = max(2, int(SAMPLES ** (1 / len(sliders)))) if 2 ** len(sliders) <= SAMPLES else 1
    if count > 1:
        for parts in itertools.product(range(count), repeat=len(sliders)):
            yield [x.at(k / (count - 1)) for x, k in zip(sliders, parts, strict=True)]
    for k, slider in enumerate(sliders):
        for n in range(SAMPLES + 1):
            yield [*start[:k], slider.at(n / SAMPLES), *start[k + 1 :]]


def _holds(program: Program, xs: list[float]) -> bool:
    try:
        program.evaluate([*xs, *program.live()])
    except PathError:
        return False
    return True


def _route(call: Callable[..., Any], sliders: list[Slider], xs: list[float]) -> Route | None:
    """The path at a point; None if its result does not depend on anything there."""
    inputs = [Value(x, label=slider.name) for x, slider in zip(xs, sliders, strict=True)]
    y = call(*inputs)
    if not isinstance(y, Value) or y.op == "constant":
        if xs != [x.start for x in sliders] and isinstance(y, (Value, int, float)):
            return None
        remedy = "return one number, computed from the arguments"
        raise wrong_type("live", "what the function returns", "a Value", y, remedy)
    y = y if y.inputs else +y  # an argument as it is
    table, entry = located(y)
    with table.hold():
        order = {n: k for k, n in enumerate(table.reached([entry])[::-1])}
        nodes = tuple([order.get(located(x)[1], -1) for x in inputs])
        steps = take_steps(y)
    program = trace(call, *xs)
    check_rows("live", program)
    return Route(program, steps, nodes)
