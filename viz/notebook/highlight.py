"""Python's source as HTML, its words told apart."""

import io
import keyword
import tokenize
from collections.abc import Iterator
from html import escape

MARKED = {
    tokenize.COMMENT: "comment",
    tokenize.NUMBER: "number",
    tokenize.STRING: "string",
}


def highlighted(source: str) -> str:
    """Python as HTML: keywords, numbers, strings and comments in elements of their own.

    What is not Python is shown as it stands.

    Example:
        >>> highlighted("return 2 < x")
        '<b>return</b> <span class="number">2</span> &lt; x'
    """
    try:
        pieces = list(_pieces(source))
    except (tokenize.TokenError, SyntaxError):
        return escape(source)
    if "".join(text for text, _ in pieces) != source:  # form feeds are not counted
        return escape(source)
    return "".join(_colourful(text, kind) for text, kind in pieces)


def _pieces(source: str) -> Iterator[tuple[str, str]]:
    """The source in pieces, each with the kind of its word, or ""."""
    lines = source.splitlines(keepends=True)
    row, column = 1, 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if not token.string.strip() or token.type == tokenize.ENDMARKER:
            continue
        yield _gap_between(lines, (row, column), token.start), ""
        name = token.type == tokenize.NAME and keyword.iskeyword(token.string)
        yield token.string, "keyword" if name else MARKED.get(token.type, "")
        row, column = token.end
    yield _gap_between(lines, (row, column), (len(lines) + 1, 0)), ""


def _gap_between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    """The source from one place to another, as tokens count them: lines from 1."""
    (first, begin), (last, stop) = start, end
    if first == last:
        return lines[first - 1][begin:stop] if first <= len(lines) else ""
    whole = lines[first - 1 : last - 1]
    rest = lines[last - 1][:stop] if last <= len(lines) else ""
    return "".join(whole)[begin:] + rest


def _colourful(text: str, kind: str) -> str:
    if kind == "keyword":
        return f"<b>{text}</b>"
    return f'<span class="{kind}">{escape(text)}</span>' if kind else escape(text)
