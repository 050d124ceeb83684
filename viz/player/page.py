"""The player: one self-contained page that steps through a tape.

The page is `player.html` with the data of `viz.player.scene` put into it, and with the parts of
its style and of its script (the folders beside this file). It asks nothing of a network or a
server. Its script runs by its hash alone, and the data is JSON in which no character means
anything to HTML, so nothing in a label can execute.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from miniflow.tape.core import Value
from miniflow.tape.gradient_tape import Tape
from miniflow.util.files import write
from miniflow.util.trees import children, flatten
from viz.diagram.graph import taped_values
from viz.output.checks import a_path, one_of, some_limit, wrong_type
from viz.output.iframe import PAGES, Page, dense, filled, title_html, whole_page
from viz.output.palette import DARK, DARK_DIRECTIONS, LIGHT, LIGHT_DIRECTIONS, THEMES
from viz.player.recording import Recording
from viz.player.scene import scene_of, scene_of_recording
from viz.player.steps import MOST_NODES, PLAYED, take_steps
from viz.player.still import still_of

if TYPE_CHECKING:
    from miniflow import lesson

HERE = Path(__file__).parent

# The parts of style and script, in the order in which they are joined and best read.
STYLE_PARTS = (
    "page", "steps", "graph", "controls", "training", "whatif", "folding", "media", "sharing",
)  # fmt: skip
SCRIPT_PARTS = (
    "state", "steps", "quiz", "card", "why", "folding", "graph", "training", "boundary", "trouble",
    "playing", "whatif", "live", "latex", "sharing", "keys",
)  # fmt: skip


@overload
def play(
    root: "Value | Recording | lesson.Node", path: None = None, *, theme: str = ...,
    title: str = ..., limit: int | None = ..., parameters: Any = ...,
) -> Page: ...  # fmt: skip


@overload
def play(
    root: "Value | Recording | lesson.Node", path: str | os.PathLike[str], *, theme: str = ...,
    title: str = ..., limit: int | None = ..., parameters: Any = ...,
) -> Path: ...  # fmt: skip


def play(
    root: "Value | Recording | lesson.Node",
    path: str | os.PathLike[str] | None = None,
    *,
    theme: str = "auto",
    title: str = "",
    limit: int | None = MOST_NODES,
    parameters: Any = None,
) -> Page | Path:
    """A page that steps through a computation, forward and backward, or a training.

    Forward it shows one operation at a time; backward one contribution at a time: upstream
    gradient x local derivative, and the sum where a number is used several times. It has a
    quiz. Of what `record` has recorded it shows the lines of source, too, and for several
    iterations the loss, and weights and gradients on the network.

    Args:
        root: the Value that `backward` is or could be called on, alone, in a list or as the
            one result of a Tape; or a recording; or a node of `miniflow.lesson`, of whose batch
            the first sample is played where all of them are too many.
        path: the file to write, a ".html"; it is replaced as a whole. Any browser opens it.
            Without a path nothing is written: a notebook shows the page.
        theme: "light", "dark", or "auto" for what the reader's system prefers.
        title: the page's heading.
        limit: how many entries the graph of a Value may have; None for any number.
        parameters: a module or Values, nested, that are parameters besides those of the modules
            of `miniflow.nn`, as for `draw_dot`.

    Returns:
        The path; without one the page, which a notebook shows and `save` writes.

    Raises:
        TypeError: `root` is neither a Value nor a recording, or `title` is not a string.
        ValueError: several Values, a constant, an empty recording, too many entries, an unknown
            theme, or the path has another suffix.
        RuntimeError: there is no Graphviz, or it failed.
        OSError: the file cannot be written.

    Example:
        >>> import tempfile
        >>> a, b = Value(2.0, label="a"), Value(-3.0, label="b")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     play(a * b + a, Path(folder) / "steps.html").name
        'steps.html'
        >>> play(a * b + a)
        <Page 'output = t1 + a', 9 steps: a notebook shows it, .save("x.html") writes it>
    """
    one_of("play", "theme", theme, ("auto", *THEMES))
    some_limit("play", "limit", limit)
    if not isinstance(title, str):
        raise wrong_type("play", "title", "a string", title)
    if path is not None:
        path = a_path("play", path, PAGES)
    if isinstance(root, Recording):
        scene = scene_of_recording(root)
    else:
        scene = scene_of(take_steps(_only(root), limit=limit, parameters=parameters))
    title = title or _title(scene)
    text = page(scene, theme=theme, title=title)
    if path is None:
        return Page(text, title, _about(scene), still_of(scene))
    write(path, text)
    return path


def _about(scene: dict[str, Any]) -> str:
    """How much there is to be stepped through."""
    count = len(scene["runs"])
    if count > 1:
        return f"{count} iterations"
    run = scene["runs"][0]
    if run is None:
        return "one iteration"
    computed = [x for x in scene["graphs"][run["graph"]]["nodes"] if x["op"]]
    return f"{3 + len(computed) + len(run['backward'])} steps"  # 3: start, seed, end


def _only(root: Any) -> Any:
    """The one Value in a structure or a tape, or what is none."""
    root = _results(root) if isinstance(root, Tape) else root
    whole = type(root) in PLAYED or children(root) is None
    leaves = taped_values([root] if whole else flatten(root), MOST_NODES)
    if len(leaves) != 1:
        raise ValueError(
            f"play: root must be one Value, got {len(leaves)}; a sweep begins at one: play one of "
            "them, or their sum"
        )
    return leaves[0]


def _results(tape: Tape) -> list[Value]:
    """What a tape has computed and not used."""
    table = tape.table
    with table.hold():
        entries = tape.numbers()
        used = {x for n in entries for x in table.operands(n)}
        return [table.handle(n) for n in entries if n not in used and table.operands(n)]


def _title(scene: dict[str, Any]) -> str:
    if scene["training"] is not None and len(scene["training"]["shown"]) > 1:
        return f"{scene['training']['shown'][-1]} iterations of training"
    if scene["graphs"]:
        last = scene["graphs"][0]["nodes"][-1]
        return f"{last['name']} = {last['formula']}" if last["op"] else last["name"]
    return "One iteration of training"


def page(scene: dict[str, Any], *, theme: str, title: str) -> str:
    """The page that shows a scene."""
    data = {name: x for name, x in scene.items() if name != "script"}
    parts = {"title": title_html(title), "data": embedded(data)}
    return whole_page(
        title,
        filled(HERE / "player.html", parts),
        f"{colours()}\n{joined('style/{}.css', STYLE_PARTS)}",
        script=scene["script"] + joined("script/{}.js", SCRIPT_PARTS),
        theme=theme if theme != "auto" else "",
    )


def joined(pattern: str, names: Iterable[str]) -> str:
    """The parts with those names, one behind the other, without their remarks."""
    return "\n".join(dense(_file_text(pattern.format(name))) for name in names)


def embedded(data: Any) -> str:
    r"""Data as JSON in which HTML finds nothing: ASCII without angle brackets.

    Example:
        >>> embedded({"label": "</script>"})
        '{"label":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def colours() -> str:
    """The palette as the style's variables, for light and dark pages."""
    light = _style_variables(LIGHT._asdict() | LIGHT_DIRECTIONS)
    dark = _style_variables(DARK._asdict() | DARK_DIRECTIONS)
    return (
        f":root {{ color-scheme: light; {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ color-scheme: dark; {dark} }} }}\n"
        f':root[data-theme="light"] {{ color-scheme: light; {light} }}\n'
        f':root[data-theme="dark"] {{ color-scheme: dark; {dark} }}'
    )


def _style_variables(named: dict[str, str]) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in named.items())


def _file_text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
