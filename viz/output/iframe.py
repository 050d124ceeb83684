"""Pages as objects: a notebook shows one, another page can hold it, a file can.

In a notebook a page stands in an iframe: a sandbox, with the whole page, packed, in its `srcdoc`.
So it needs neither a kernel nor a network, and two of them do not know of each other. A page says
how high it is, and `iframe.js` beside this file makes its iframe as high. Viewers that drop
iframes show a still picture.
"""

import base64
import hashlib
import html
import os
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from miniflow.util.files import write
from viz.output.checks import a_path

PAGES = (".html", ".htm")
HEIGHT = 640  # of an iframe until its page has said how high it is, in pixels


def dense(text: str) -> str:
    r"""Script or style without its remarks and the spaces that lines begin with.

    Example:
        >>> print(dense("/* A remark. */\n.a {\n  top: 0;\n}\n"), end="")
        .a {
        top: 0;
        }
    """
    return re.sub(r"^\s*(?:/\*(?:(?!\*/)[\s\S])*\*/|//.*|)\n|^ +", "", text, flags=re.M)


def filled(path: Path, parts: Mapping[str, str]) -> str:
    """A file's text with parts in its places, such as {{title}}."""
    # in one pass: what is put in may look like a place itself
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], path.read_text("utf-8"))


def title_html(title: str) -> str:
    """A heading as HTML can hold it."""
    return html.escape(re.sub("[\0-\x08\v-\x1f\ud800-\udfff]", "\ufffd", title))


def whole_page(title: str, body: str, style: str, *, script: str = "", theme: str = "") -> str:
    """A page that asks nothing of a network; the one script that it runs is that one."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    parts = {
        "theme": f' data-theme="{theme}"' if theme else "",
        "allowed": f"'sha256-{digest}'" if script else "'none'",
        "title": title_html(title),
        "style": style,
        "body": body,
        "script": f'<script type="module">{script}</script>\n' if script else "",
    }
    return filled(Path(__file__).with_name("page.html"), parts)


@dataclass(frozen=True, repr=False)
class Page:
    """A page that needs nothing but a browser.

    Attributes:
        text: the page, as HTML.
        title: its heading.
        about: a few words on what it shows.
        still: a picture of it, as SVG; "" for none.

    Example:
        >>> Page("<!doctype html>...", "A neuron", "5 steps")
        <Page 'A neuron', 5 steps: a notebook shows it, .save("x.html") writes it>
    """

    text: str
    title: str
    about: str
    still: str = ""

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page to a file, a ".html", whole or not at all.

        Returns:
            The path.

        Raises:
            TypeError: the path is none.
            ValueError: it has another suffix.
            OSError: the file cannot be written.
        """
        path = a_path("save", path, PAGES)
        write(path, self.text)
        return path

    def embed(self) -> str:
        """HTML that shows the page within another page: paste it there.

        It is what a notebook shows. A file that was saved can be embedded by its name, too:
        ``<iframe src="steps.html#step=16"></iframe>``.
        """
        here = Path(__file__)
        packed = base64.b64encode(zlib.compress(self.text.encode(), 9)).decode()
        unpack = dense(filled(here.with_name("unpack.js"), {"packed": packed}))
        parts = {
            "script": dense(here.with_name("iframe.js").read_text("utf-8")),
            "title": html.escape(self.title),
            "height": str(HEIGHT),
            "unpack": html.escape(unpack),
            "still": self._picture(),
        }
        found = filled(here.with_name("iframe.html"), parts)
        return found.encode("ascii", "xmlcharrefreplace").decode()  # in any page's encoding

    def _picture(self) -> str:
        if not self.still:
            return ""
        data = base64.b64encode(self.still.encode()).decode()
        alt, style = html.escape(self.title), "max-width: 100%"
        return f'<img alt="{alt}" style="{style}" src="data:image/svg+xml;base64,{data}">'

    def _repr_html_(self) -> str:
        return self.embed()

    def __repr__(self) -> str:
        return (
            f'<Page {self.title!r}, {self.about}: a notebook shows it, .save("x.html") writes it>'
        )
