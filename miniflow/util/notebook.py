"""What a notebook shows of an object: HTML that `viz` makes, which is asked for then only."""

from importlib import import_module


class InNotebook:
    """Something that a notebook shows as more than its repr."""

    __slots__ = ()

    def _repr_html_(self) -> str | None:
        """HTML, or None for the repr."""
        return notebook_html(self)


def notebook_html(x: object) -> str | None:
    """What a notebook shows of an object, as HTML; None for its repr."""
    return import_module("viz.notebook.show").html_of(x)  # type: ignore[no-any-return]
