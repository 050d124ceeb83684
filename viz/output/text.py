"""Text as DOT holds it: nothing in a label or a number has a meaning of its own."""

import html
import re


def number_text(x: float) -> str:
    """Four decimals; four digits where those would show too few or too many.

    Example:
        >>> number_text(2.0), number_text(-0.0), number_text(1.5e-7)
        ('2.0000', '0.0000', '1.5e-07')
    """
    return f"{x:z.4f}" if x == 0 or 0.01 <= abs(x) < 1e5 else f"{x:.4g}"


def literal(x: float) -> str:
    """A constant as people write it.

    Example:
        >>> literal(2.0), literal(0.1), literal(1 / 3)
        ('2', '0.1', '0.3333')
    """
    short = f"{x:g}"
    return short if float(short) == x and len(short) <= 6 else number_text(x)


def brief(x: float) -> str:
    """Three digits: for small print."""
    return f"{x + 0.0:.3g}"


def range_text(low: float, high: float) -> str:
    """The range of several numbers."""
    return number_text(low) if low == high else f"{brief(low)} … {brief(high)}"


def printable(text: str) -> str:
    """The text as a picture can hold it, with every space kept."""
    text = re.sub("\r\n?", "\n", text).replace("\t", "    ")
    text = re.sub("[\0-\t\v-\x1f\ud800-\udfff\ufffe\uffff]", "\ufffd", text)  # not in XML
    # Graphviz drops spaces at the ends and empty lines, SVG all but one space in a row
    return re.sub("^ *$|^ +| +$| {2,}", lambda x: "\xa0" * (len(x[0]) or 1), text, flags=re.M)


def escape(text: str) -> str:
    """The text as a field of a record, or a label."""
    text = re.sub(r"[\\{}|<>]", r"\\\g<0>", printable(text).replace("&", "&amp;"))
    return text.replace("\n", r"\n")


def escape_html(text: str) -> str:
    """The text inside of an HTML-like label."""
    text = html.escape(printable(text).replace("\\", r"\\"))
    # Graphviz before 3 takes a bracket at the end of a text for its own
    return text.replace("]", "&#93;").replace("\n", "<br/>")


def quote(text: str) -> str:
    """The text as a value of an attribute."""
    return '"' + text.replace('"', r"\"") + '"'
