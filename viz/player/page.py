"""The player: one self-contained page that steps through a tape.

The page is `player.html` with the parts of its style and of its script (the folders beside this
file) and the data of `viz.player.scene` put into it. It asks nothing of a network or a server.
Its script runs by its hash alone, and the data is JSON in which no character means anything to
HTML, so nothing in a label can execute.
"""

import base64
import hashlib
import html
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from miniflow.tape.core import Value
from miniflow.util.files import write
from miniflow.util.trees import children, flatten
from viz.output.checks import a_path, one_of, some_limit, wrong_type
from viz.output.palette import DARK, LIGHT, THEMES
from viz.player.recording import Recording
from viz.player.scene import scene_of, scene_of_recording
from viz.player.steps import MOST_NODES, take_steps

HERE = Path(__file__).parent

# The parts of style and script, in the order in which they are joined and best read.
STYLE_PARTS = ("page", "steps", "graph", "controls", "training", "media")
SCRIPT_PARTS = ("state", "steps", "quiz", "card", "graph", "training", "playing", "keys")

# Beside the palette's colours: values going forward, gradients coming back.
LIGHT_DIRECTIONS = {"forward": "#0b6e66", "backward": "#8a1c8f"}
DARK_DIRECTIONS = {"forward": "#4fd6c6", "backward": "#ef9bf2"}


def play(
    root: Value | Recording,
    path: str | os.PathLike[str] = "steps.html",
    *,
    theme: str = "auto",
    title: str = "",
    limit: int | None = MOST_NODES,
) -> Path:
    """Write a page that steps through a computation, forward and backward, or a training.

    Forward it shows one operation at a time; backward one contribution at a time: upstream
    gradient x local derivative, and the sum where a number is used several times. It has a
    quiz. Of what `record` has recorded it shows the lines of source, too, and for several
    iterations the loss, and weights and gradients on the network.

    Args:
        root: the Value that `backward` is or could be called on, alone or in a list; or a
            recording.
        path: the file to write, a ".html"; it is replaced as a whole. Any browser opens it.
        theme: "light", "dark", or "auto" for what the reader's system prefers.
        title: the page's heading.
        limit: how many entries the graph of a Value may have; None for any number.

    Returns:
        The path.

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
    """
    one_of("play", "theme", theme, ("auto", *THEMES))
    some_limit("play", "limit", limit)
    if not isinstance(title, str):
        raise wrong_type("play", "title", "a string", title)
    path = a_path("play", path, (".html", ".htm"))
    if isinstance(root, Recording):
        scene = scene_of_recording(root)
    else:
        scene = scene_of(take_steps(_only(root), limit=limit))
    write(path, page(scene, theme=theme, title=title or _title(scene)))
    return path


def _only(root: Any) -> Any:
    """The one Value in a structure, or what is none."""
    leaves = [root] if children(root) is None else flatten(root)
    if len(leaves) != 1:
        raise ValueError(
            f"play: root must be one Value, got {len(leaves)}; a sweep begins at one: play one of "
            "them, or their sum"
        )
    return leaves[0]


def _title(scene: dict[str, Any]) -> str:
    if scene["training"] is not None and len(scene["training"]["shown"]) > 1:
        return f"{scene['training']['shown'][-1]} iterations of training"
    if scene["graphs"]:
        last = scene["graphs"][0]["nodes"][-1]
        return f"{last['name']} = {last['formula']}" if last["op"] else last["name"]
    return "One iteration of training"


def page(scene: dict[str, Any], *, theme: str, title: str) -> str:
    """The page that shows a scene."""
    script = joined("script/{}.js", SCRIPT_PARTS)
    parts = {
        "theme": f' data-theme="{theme}"' if theme != "auto" else "",
        "title": html.escape(re.sub("[\0-\x08\v-\x1f\ud800-\udfff]", "\ufffd", title)),
        "hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "style": f"{colours()}\n{joined('style/{}.css', STYLE_PARTS)}",
        "data": embedded(scene),
        "script": script,
    }
    # in one pass: what is put in may look like a place itself
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], _file_text("player.html"))


def joined(pattern: str, names: Iterable[str]) -> str:
    """The parts with those names, one behind the other."""
    return "\n".join(_file_text(pattern.format(name)) for name in names)


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
