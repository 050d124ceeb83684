"""Code with other parts, whatever they are."""

import inspect


def with_parts(code, **parts):
    """The same code but for some parts, which nobody checks."""
    made = object.__new__(type(code))
    init = type(code).__init__
    names = inspect.signature(init).parameters
    kept = {name: getattr(code, name) for name in names if name != "self"}
    getattr(init, "__wrapped__", init)(made, **kept | parts)
    return made
