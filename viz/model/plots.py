"""Plots of training: loss curves, decision boundaries, gradients. Needs the extra `plot`.

Each function draws on the axes that it is given, or on those of a new figure, and returns
them. It shows nothing, saves nothing and leaves matplotlib's settings alone.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from miniflow.nn import Module
from miniflow.tape.grad_mode import no_grad
from miniflow.util.trees import flatten
from viz.output.checks import at_least, wrong_type
from viz.output.palette import LIGHT, SERIES, mix
from viz.output.samples import as_number, checked_samples, class_numbers, items_of, reach

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = ["o", "^", "s", "D", "v", "P"]
STYLES = ["-", "--", "-.", ":"]
DOTS = 2000  # of a layer's gradients that are drawn at most
HISTORIES = "a sequence of numbers, a mapping of names to such, or an object with .losses"
# in one line within the margin, so that a legend covers no point
IN_MARGIN = {"loc": "upper center", "ncols": 6, "borderpad": 0.25, "borderaxespad": 0.3}
GOLDEN = (math.sqrt(5) - 1) / 2


def plot_history(history: Any, ax: "Axes | None" = None, *, log: bool = False) -> "Axes":
    """Numbers over the steps of training as curves.

    Steps with NaN or infinity are gaps, with a red cross at the foot of the plot.

    Args:
        history: a sequence of numbers; a mapping of names to such, for several curves; or
            an object whose `losses` are one of both.
        ax: where to draw; a new figure if left out.
        log: whether the vertical axis is logarithmic.

    Raises:
        TypeError: `history` is something else.
        ValueError: there is nothing in it.
        ImportError: matplotlib is missing.

    Example:
        >>> axes = plot_history({"train": [1.0, 0.5, 0.4], "test": [1.1, 0.7, 0.6]})
        >>> axes.get_xlabel(), len(axes.lines)
        ('step', 2)
    """
    curves = _curves(history)
    ax = _axes_for(ax, "plot_history")
    handles = [_plot_curve(ax, k, *named) for k, named in enumerate(curves.items())]
    ax.set_xlabel("step")
    if len(curves) == 1:
        ax.set_ylabel(next(iter(curves)), parse_math=False)
    else:
        _legend(ax, handles, list(curves))
    if log:
        ax.set_yscale("log")
    _quiet(ax)
    return ax


def plot_decision_boundary(
    model: Callable[[list[Any]], Any],
    x: Sequence[Sequence[Any]],
    y: Sequence[Any],
    ax: "Axes | None" = None,
    *,
    resolution: int = 200,
    threshold: float = 0.0,
) -> "Axes":
    """What a classifier of two features says everywhere, and the samples.

    Args:
        model: a function of a list of two numbers. If it returns one score, scores above
            `threshold` mean the larger one of two labels; if several, the largest one's
            number is the class.
        x: the samples, each with two features.
        y: their labels: of one score two different numbers, such as -1 and 1, or 0 and 1;
            of several scores ints from 0.
        ax: where to draw; a new figure if left out.
        resolution: how many points across and up the model is asked for. A model that can
            be compiled is, and is asked for all of them at once, with the same answers.
        threshold: the score at the boundary; 0.5 if the model returns probabilities.

    Raises:
        ValueError: samples and labels do not fit each other or the model, or there are none.
        TypeError: a feature, label or score is not a number.
        ImportError: matplotlib is missing.
    """
    caller = "plot_decision_boundary"
    points, labels = checked_samples(caller, x, y)
    at_least(caller, "resolution", resolution, 2)
    ax = _axes_for(ax, "plot_decision_boundary")
    import numpy as np

    across, up = (_span([p[k] for p in points], resolution) for k in (0, 1))
    scores = _scores(model, [[a, b] for b in up for a in across])
    grids = scores.reshape(len(scores), resolution, resolution)
    classes = class_numbers(caller, labels, len(grids))
    if len(grids) == 1:
        _paint_score(ax, across, up, grids[0] - threshold)
    else:
        _paint_classes(ax, across, up, grids)
    _scatter(ax, points, labels, classes, unknown=bool(np.isnan(scores).any()))
    ax.set(xlim=(across[0], across[-1]), ylim=(up[0], up[-1]), xlabel="$x_1$", ylabel="$x_2$")
    return ax


def plot_gradients(model: Module, ax: "Axes | None" = None) -> "Axes":
    """The sizes of a model's gradients, layer by layer, on a logarithmic axis.

    Each dot is a parameter: blue where its gradient is negative, orange where it is positive;
    the bar is their median. Zero gradients are counted below, NaN and infinite ones above.

    Args:
        model: the model, after `backward()`.
        ax: where to draw; a new figure if left out.

    Raises:
        TypeError: `model` is not a Module.
        ValueError: it has no parameters.
        ImportError: matplotlib is missing.

    Example:
        >>> from miniflow.nn import MLP
        >>> model = MLP(2, [4, 1], seed=1)
        >>> model([1.0, 2.0]).backward()
        >>> [label.get_text() for label in plot_gradients(model).get_xticklabels()]
        ['layers.0', 'layers.1']
    """
    layers = _gradients_by_layer(model)
    ax = _axes_for(ax, "plot_gradients")
    ax.set_yscale("log")
    _limits(ax, [g for gradients in layers.values() for g in gradients])
    for k, gradients in enumerate(layers.values()):
        _strip(ax, k, gradients)
    ax.set(xlim=(-0.5, len(layers) - 0.5), ylabel="size of the gradient")
    ax.set_xticks(range(len(layers)), list(layers))
    crowded = sum(map(len, layers)) > 60
    for label in ax.get_xticklabels():
        label.set(parse_math=False, rotation=30 * crowded, ha="right" if crowded else "center")
    _draw_key(ax)
    _quiet(ax)
    return ax


# --- axes ---------------------------------------------------------------------


def _axes_for(ax: "Axes | None", caller: str) -> "Axes":
    """The axes to draw on."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{caller}: needs matplotlib: pip install 'miniflow[plot]'", name="matplotlib"
        ) from error
    if ax is not None and not hasattr(ax, "set_xlim"):
        raise wrong_type(
            caller, "ax", "Matplotlib's axes", ax, "make them by fig, ax = plt.subplots()"
        )
    return plt.subplots(layout="constrained")[1] if ax is None else ax


def _quiet(ax: "Axes") -> None:
    """As little around the numbers as they need."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color=LIGHT.grid, linewidth=0.6)
    ax.set_axisbelow(True)


def _legend(ax: "Axes", handles: list[Any], names: list[str], **place: Any) -> None:
    """A legend that says just that: matplotlib hides "_x" and typesets "$x$"."""
    legend = ax.legend(handles, [str(k) for k in range(len(names))], framealpha=0.9, **place)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_text(name)


# --- history ------------------------------------------------------------------


def _curves(history: Any) -> dict[str, list[float]]:
    """The numbers by name."""
    named = getattr(history, "losses", history)
    if not isinstance(named, Mapping):
        named = {"loss": named}
    curves = {}
    for name, sequence in named.items():
        items = items_of(sequence)
        if items is None:
            raise wrong_type("plot_history", "history", HISTORIES, sequence)
        curves[str(name)] = [as_number(x, f"plot_history: {name}") for x in items]
    if not any(curves.values()):
        raise ValueError("plot_history: there are no numbers to draw; train for a step first")
    return curves


def _plot_curve(ax: "Axes", k: int, name: str, numbers: list[float]) -> Any:
    """One curve, and crosses where it is not finite."""
    steps = range(1, len(numbers) + 1)
    colour, style = SERIES[k % len(SERIES)], STYLES[k // len(SERIES) % len(STYLES)]
    finite = [x if math.isfinite(x) else math.nan for x in numbers]
    alone = "o" if sum(map(math.isfinite, numbers)) < 2 else ""
    (line,) = ax.plot(steps, finite, style, color=colour, marker=alone, label=name)
    lost = [step for step, x in zip(steps, numbers, strict=True) if not math.isfinite(x)]
    if lost:
        ax.update_datalim([(1, 0), (len(numbers), 0)], updatey=False)  # even if all are lost
        ax.autoscale_view()
        foot = ax.get_xaxis_transform()
        ax.scatter(lost, [0.02] * len(lost), marker="x", color=LIGHT.wrong, transform=foot)
        ax.text(
            lost[0], 0.05, "nan, inf", color=LIGHT.wrong, fontsize="small", transform=foot
        )  # fmt: skip
    return line


# --- decision boundary --------------------------------------------------------


def _span(values: list[float], count: int) -> list[float]:
    """So many numbers over the range of `values` and a margin."""
    low, high = reach(values)
    return [low + (high - low) * k / (count - 1) for k in range(count)]


def _scores(model: Callable[[list[Any]], Any], points: list[list[float]]) -> Any:
    """The model's scores as an array, one row for each score."""
    import numpy as np

    from miniflow.compiled.vmap import vmap
    from miniflow.native import machine

    with no_grad():
        if machine.available():
            try:
                every = vmap(lambda a, b: model([a, b]), precise=True)(*np.array(points).T)
                return np.array(every, dtype=float).reshape(-1, len(points))
            except Exception:
                pass
        rows = [[as_number(s, "plot_decision_boundary: score") for s in flatten(model(p))]
                for p in points]  # fmt: skip
    return np.array(rows).T


def _paint_score(ax: "Axes", across: list[float], up: list[float], score: Any) -> None:
    """The score in blue and orange, and the line where it is 0."""
    import numpy as np
    from matplotlib.colors import LinearSegmentedColormap

    ends = [mix(LIGHT.background, c, 0.65) for c in (LIGHT.negative, LIGHT.positive)]
    scale = LinearSegmentedColormap.from_list("signed", [ends[0], LIGHT.background, ends[1]])
    colours = scale.with_extremes(bad=LIGHT.wrong)
    finite = np.abs(score[np.isfinite(score)])
    most = (float(np.quantile(finite, 0.98)) if finite.size else 0.0) or 1.0
    most = min(most, 1e300)  # matplotlib subtracts the ends of its scale
    clipped = np.where(np.isnan(score), np.nan, np.clip(score, -most, most))
    _image(ax, across, up, clipped, cmap=colours, vmin=-most, vmax=most)
    _boundary(ax, across, up, clipped)


def _paint_classes(ax: "Axes", across: list[float], up: list[float], scores: Any) -> None:
    """Each class's part of the plane, and the lines between them."""
    import numpy as np
    from matplotlib.colors import to_rgb

    tints = [mix(LIGHT.background, SERIES[k % len(SERIES)], 0.3) for k in range(len(scores))]
    unknown = np.isnan(scores).any(axis=0)
    best = np.argmax(scores, axis=0)
    picture = np.array([to_rgb(tint) for tint in tints])[best]
    picture[unknown] = to_rgb(LIGHT.wrong)
    _image(ax, across, up, picture)
    bounded = np.where(unknown, np.nan, np.clip(scores, -1e300, 1e300))
    for k, score in enumerate(bounded):
        _boundary(ax, across, up, score - np.delete(bounded, k, axis=0).max(axis=0))


def _image(ax: "Axes", across: list[float], up: list[float], picture: Any, **options: Any) -> None:
    # a pixel is centred at its point
    a, b = (across[1] - across[0]) / 2, (up[1] - up[0]) / 2
    extent = (across[0] - a, across[-1] + a, up[0] - b, up[-1] + b)
    ax.imshow(picture, origin="lower", extent=extent, aspect="auto", zorder=0, **options)


def _boundary(ax: "Axes", across: list[float], up: list[float], score: Any) -> None:
    """The line where a score is 0, if there is one."""
    import numpy as np

    if np.any(score > 0) and np.any(score < 0):
        relative = np.clip(score / np.nanmax(np.abs(score)), -1, 1)
        ax.contour(across, up, relative, levels=[0.0], colors=[LIGHT.ink], linewidths=1.5)


def _scatter(
    ax: "Axes", points: list[list[float]], labels: list[float], classes: list[int], *, unknown: bool
) -> None:
    """The samples, each class with its colour and marker; what they and red mean."""
    from matplotlib.patches import Patch

    names = dict(sorted(zip(classes, labels, strict=True)))
    handles: list[Any] = []
    for k in names:
        xs, ys = zip(*[p for p, c in zip(points, classes, strict=True) if c == k], strict=True)
        colour, marker = SERIES[k % len(SERIES)], MARKERS[k % len(MARKERS)]
        dots = ax.scatter(
            xs, ys, s=30, color=colour, marker=marker, edgecolor="white", linewidth=0.7, zorder=3
        )
        handles.append(dots)
    texts = [f"{label:g}" for label in names.values()]
    if unknown:
        handles.append(Patch(color=LIGHT.wrong))
        texts.append("nan")
    _legend(ax, handles, texts, **IN_MARGIN)


# --- gradients ----------------------------------------------------------------


def _gradients_by_layer(model: object) -> dict[str, list[float]]:
    """The gradients of each layer's parameters, by its path."""
    if not isinstance(model, Module):
        remedy = "give the model, not its parameters"
        raise wrong_type("plot_gradients", "model", "a Module", model, remedy)
    layers: dict[str, list[float]] = {}
    for name, p in model.named_parameters():
        layer = re.sub(r"(^|\.)(neurons\.\d+\.)?(w\.\d+|b)$", "", name)
        layers.setdefault(layer or type(model).__name__, []).append(p.grad)
    if not layers:
        raise ValueError(f"plot_gradients: this {type(model).__name__} has no parameters")
    return layers


def _strip(ax: "Axes", k: int, gradients: list[float]) -> None:
    """The dots of a layer, its median, and what has no place on a logarithmic axis."""
    sized = [g for g in gradients if math.isfinite(g) and g]
    # every n-th of many, side by side without a pattern
    shown = sized[:: -(-len(sized) // DOTS) or 1]
    places = [k + 0.6 * (n * GOLDEN % 1 - 0.5) for n in range(len(shown))]
    colours = [LIGHT.negative if g < 0 else LIGHT.positive for g in shown]
    sizes = [abs(g) for g in shown]
    ax.scatter(places, sizes, s=14, c=colours, alpha=0.6, linewidths=0, rasterized=True)
    if sized:
        ax.hlines(median(map(abs, sized)), k - 0.36, k + 0.36, color=LIGHT.ink, linewidth=1.5)
    _draw_count(ax, k, 0.03, sum(g == 0 for g in gradients), "zero", LIGHT.muted)
    lost = sum(not math.isfinite(g) for g in gradients)
    _draw_count(ax, k, 0.97, lost, "nan, inf", LIGHT.wrong)


def _draw_count(ax: "Axes", k: int, height: float, count: int, what: str, colour: str) -> None:
    if count:
        box = {"boxstyle": "round,pad=0.25", "facecolor": mix("#ffffff", colour, 0.12)}
        ax.text(
            k, height, f"{count:,} {what}", color=colour, fontsize="small", ha="center",
            va="bottom" if height < 0.5 else "top", transform=ax.get_xaxis_transform(),
            bbox={**box, "edgecolor": colour},
        )  # fmt: skip


def _draw_key(ax: "Axes") -> None:
    """What the signs mean: above the plot, where nothing is in the way."""
    from matplotlib.lines import Line2D

    dot = {"marker": "o", "linestyle": "", "alpha": 0.6, "markeredgewidth": 0, "markersize": 5}
    handles = [
        Line2D([], [], color=LIGHT.negative, label="negative", **dot),  # type: ignore[arg-type]
        Line2D([], [], color=LIGHT.positive, label="positive", **dot),  # type: ignore[arg-type]
        Line2D([], [], color=LIGHT.ink, linewidth=1.5, label="median"),
    ]
    ax.legend(handles=handles, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)


def _limits(ax: "Axes", gradients: list[float]) -> None:
    """Room for all dots, and above and below for the counts."""
    sizes = [math.log10(abs(g)) for g in gradients if math.isfinite(g) and g]
    low, high = (min(sizes), max(sizes)) if sizes else (-3.0, 0.0)
    room = 0.18 * (high - low) + 0.3
    ax.set_ylim(10.0 ** max(low - room, -323), 10.0 ** min(high + room, 308))
