"""A worksheet: a graph to be computed by hand, forward and backward, with a key.

The numbers of the key are those of the player's steps, and so the engine's.
"""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from miniflow.tape.core import Value
from miniflow.util.files import write
from viz.classroom.numbers import varied
from viz.diagram.graph import taped_values
from viz.output.checks import a_path, instead, wrong_type
from viz.output.iframe import PAGES, Page, whole_page
from viz.output.text import number_text, printable
from viz.player.scene import scene_of
from viz.player.steps import Contribution, Steps, take_steps
from viz.player.still import BLANK, still

if TYPE_CHECKING:
    from miniflow import lesson

MOST_ON_PAPER = 60  # entries of a graph on a sheet
Seed = int | str


@overload
def worksheet(
    root: "Value | lesson.Node", path: None = None, *,
    seed: Seed | Iterable[Seed] | None = ...,
    title: str = ..., key: bool = ...,
) -> Page: ...  # fmt: skip


@overload
def worksheet(
    root: "Value | lesson.Node", path: str | os.PathLike[str], *,
    seed: Seed | Iterable[Seed] | None = ...,
    title: str = ..., key: bool = ...,
) -> Path: ...  # fmt: skip


def worksheet(
    root: "Value | lesson.Node",
    path: str | os.PathLike[str] | None = None,
    *,
    seed: Seed | Iterable[Seed] | None = None,
    title: str = "",
    key: bool = True,
) -> Page | Path:
    """A sheet to be printed: a graph with blanks for values and gradients, and an answer key.

    A student computes each value, each contribution (upstream gradient x local derivative) and
    each gradient. With a seed a sheet has numbers of its own, so each student gets another one;
    the same seed gives the same sheet. A graph is taken as it was recorded: where Python took a
    branch by the numbers, other numbers stay in it.

    Args:
        root: the Value that `backward` would be called on, of at most 60 entries.
        path: the file to write, a ".html"; a browser prints it. Without a path nothing is
            written: a notebook shows the sheet.
        seed: for other numbers in the leaves: a number or a name; or several, for a sheet each.
        title: the heading.
        key: whether the answers follow, behind all sheets, on pages of their own.

    Returns:
        The path; without one the page, which a notebook shows and `save` writes.

    Raises:
        TypeError: `root` is not a Value, or an option is of another type.
        ValueError: a constant, too many entries, no seeds, or for a seed no numbers were found.
        RuntimeError: there is no Graphviz, or it failed.
        OSError: the file cannot be written.

    Example:
        >>> a, b = Value(2.0, label="a"), Value(-3.0, label="b")
        >>> worksheet(a * b + a, seed=range(1, 31))
        <Page 'output = t1 + a', 30 worksheets and their key: a notebook shows it, \
.save("x.html") writes it>
    """
    if not isinstance(title, str):
        raise wrong_type("worksheet", "title", "a string", title)
    seeds = _seeds(seed)
    if path is not None:
        path = a_path("worksheet", path, PAGES)
    (value,) = taped_values([root])
    steps = _checked(value)
    sheets = [steps] if seed is None else varied(value, steps, seeds)
    title = title or f"{steps.nodes[-1].name} = {steps.nodes[-1].formula}"
    text = _sheets_page(sheets, seeds, title, key=key)
    if path is None:
        count = "a worksheet" if len(sheets) == 1 else f"{len(sheets)} worksheets"
        pronoun = "its" if len(sheets) == 1 else "their"
        return Page(text, title, f"{count} and {pronoun} key" if key else count)
    write(path, text)
    return path


def _seeds(seed: Any) -> list[Seed]:
    """One seed for each sheet; "" where the numbers stay as they are."""
    if seed is None:
        return [""]
    several = list(seed) if isinstance(seed, Iterable) and type(seed) is not str else [seed]
    if not all(isinstance(x, Seed) for x in several):
        raise wrong_type("worksheet", "seed", "an int, a name or several of them", seed)
    if not several:
        raise ValueError("worksheet: seed is empty; give one for each student: range(1, 31)")
    return several


def _checked(root: Any) -> Steps:
    """The steps of a graph that fits onto a sheet."""
    if not isinstance(root, Value):
        raise wrong_type("worksheet", "root", "a Value", root, instead(root, "draw"))
    if root.op == "constant":
        raise ValueError(
            "worksheet: this Value is a constant, nothing was recorded; compute it outside of "
            "no_grad() and without detach()"
        )
    steps = take_steps(root, limit=None)
    if len(steps.nodes) > MOST_ON_PAPER:
        raise ValueError(
            f"worksheet: the graph has {len(steps.nodes):,} entries, more than "
            f"{MOST_ON_PAPER}; take a part of it, such as one neuron or one of y.inputs"
        )
    return steps


# --- the page -------------------------------------------------------------------


def _sheets_page(sheets: list[Steps], seeds: Sequence[Seed], title: str, *, key: bool) -> str:
    graph = scene_of(sheets[0])["graphs"][0]
    heads = [title if seed == "" else f"{title} · sheet {seed}" for seed in seeds]
    articles = [_task(steps, graph, head) for steps, head in zip(sheets, heads, strict=True)]
    if key:
        articles += [_key(steps, graph, head) for steps, head in zip(sheets, heads, strict=True)]
    style = Path(__file__).with_name("sheet.css").read_text("utf-8")
    return whole_page(title, "<main>\n" + "\n".join(articles) + "\n</main>", style)


def _words(text: str) -> str:
    return escape(printable(text))


def _task(steps: Steps, graph: dict[str, Any], head: str) -> str:
    """The side with blanks."""
    given = {n for n, x in enumerate(steps.nodes) if not x.op}
    values = [number_text(x.value) if n in given else BLANK for n, x in enumerate(steps.nodes)]
    gradients = [BLANK if n in steps.gradients else "" for n in range(len(values))]
    return (
        f'<article class="sheet"><h1>{_words(head)}</h1>'
        '<p class="student">Name <i></i> Date <i></i></p>'
        f"<p>{_given(steps)}</p><figure>{still(graph, values, gradients)}</figure>"
        f"{_forward(steps, filled=False)}{_backward(steps, filled=False)}</article>"
    )


def _key(steps: Steps, graph: dict[str, Any], head: str) -> str:
    """The side with the answers."""
    found = steps.gradients
    values = [number_text(x.value) for x in steps.nodes]
    gradients = [number_text(found[n]) if n in found else "" for n in range(len(values))]
    return (
        f'<article class="key"><h1>Key · {_words(head)}</h1>'
        "<p>The key rounds what it shows, and nothing in between: a last digit may differ.</p>"
        f"<figure>{still(graph, values, gradients)}</figure>"
        f"{_forward(steps, filled=True)}{_backward(steps, filled=True)}</article>"
    )


def _given(steps: Steps) -> str:
    leaves = [x for x in steps.nodes if not x.op and x.kind != "constant"]
    words = ", ".join(f"{_words(x.name)} = {number_text(x.value)}" for x in leaves)
    rounded = any(float(number_text(x.value)) != x.value for x in leaves)
    note = " (rounded; the key has all their digits)" if rounded else ""
    return f"Given: {words}{note}. Round to four decimals."


def _forward(steps: Steps, *, filled: bool) -> str:
    rows = [
        [
            f"{_words(x.name)} = {_words(x.formula)}",
            _blank(_words(x.numbers), filled=filled),
            _blank(number_text(x.value), filled=filled),
        ]
        for x in steps.nodes
        if x.op
    ]
    return _sheet_table("Forward", ("operation", "with numbers", "value"), rows)


def _backward(steps: Steps, *, filled: bool) -> str:
    head = ("gradient", "comes from", "upstream", "× local derivative", "= contribution")
    rows = [
        [_gradient(steps, x.operand), _through(steps, x)]
        + [_blank(number_text(y), filled=filled) for y in (x.upstream, x.local, x.amount)]
        for x in steps.contributions
    ]
    seed = f"{_gradient(steps, len(steps.nodes) - 1)} = {number_text(steps.seed)}"
    sums = [
        f"<li>{_gradient(steps, n)} = {_blank(number_text(y), filled=filled)}</li>"
        for n, y in steps.gradients.items()
        if n < len(steps.nodes) - 1
    ]
    return (
        _sheet_table(f"Backward, from {seed}", head, rows)
        + "<h2>Gradients, the sums of their contributions</h2>"
        + f'<ul class="sums">{"".join(sums)}</ul>'
    )


def _gradient(steps: Steps, n: int) -> str:
    root = steps.nodes[-1].name
    return f"∂{_words(root)}/∂{_words(steps.nodes[n].name)}"


def _through(steps: Steps, x: Contribution) -> str:
    """The operation that a contribution comes from, and by which operand if several are one."""
    result = steps.nodes[x.result]
    words = _words(f"{result.name} = {result.formula}")
    if Counter(result.operands)[x.operand] == 1:
        return words
    return f"{words}, by operand {x.place + 1}"


def _sheet_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    cells = "".join(f"<th>{x}</th>" for x in head)
    lines = "".join(f"<tr>{''.join(f'<td>{x}</td>' for x in row)}</tr>" for row in rows)
    return f"<h2>{title}</h2><table><tr>{cells}</tr>{lines}</table>"


def _blank(answer: str, *, filled: bool) -> str:
    return f"<b>{answer}</b>" if filled else "<i></i>"
