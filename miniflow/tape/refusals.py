"""What the engine refuses, in words: each function makes an error that names the remedy."""

from typing import Any

AS_MICROGRAD = (
    "what micrograd leaves open (_children, _backward, subclasses, attributes of one's own, data "
    "of computed Values) is open in miniflow.micrograd.engine.Value; miniflow.define adds an "
    "operation to the table"
)


def construction(given: Any) -> TypeError:
    """A Value is made with such a label, or its __init__ is called a second time."""
    if not isinstance(given, str):
        error = label("Value", given)
        error.add_note(AS_MICROGRAD)
        return error
    return TypeError("Value: it exists already; set its .data, or make another one")


def label(what: str, found: Any) -> TypeError:
    """A label is something else than a string."""
    return TypeError(f"{what}: label must be a string, got {type(found).__name__} {found!r:.60}")


def subclass() -> TypeError:
    """Somebody derives a class from Value."""
    return TypeError(
        f"Value cannot be subclassed; keep a Value in an attribute instead; {AS_MICROGRAD}"
    )


def no_attribute(name: str) -> AttributeError:
    """Neither Value nor the operation table has that name."""
    if name in ("_backward", "_children"):
        return AttributeError(f"Value has no attribute {name!r}; {AS_MICROGRAD}")
    return AttributeError(
        f"Value has no attribute {name!r}, nor is it an operation on numbers; "
        "functions of lists are in miniflow.math"
    )


def computed_data() -> AttributeError:
    """The data of a computed Value is set."""
    return AttributeError(
        "Value.data: this Value was computed; change the leaves it comes from and "
        f"call its forward(), or start anew from detach(); {AS_MICROGRAD}"
    )


def computed_copy() -> TypeError:
    """A computed Value is copied or pickled."""
    return TypeError(
        "a computed Value cannot be copied or pickled, its graph would be lost; "
        "use its .data, or copy the leaves it comes from"
    )


def frozen(what: str) -> RuntimeError:
    """While a function is traced, it does what its program could not do again."""
    return RuntimeError(
        f"{what} while a function is traced: its program would keep this call's number for "
        "ever; compute with the Value itself, or take this out of the function"
    )


def foreign(what: str) -> RuntimeError:
    """A Value was computed on another thread."""
    return RuntimeError(
        f"{what}: this Value was computed on another thread, whose tape cannot be "
        "followed from here; compute it here, or pass its .data (or detach())"
    )


def nothing_recorded() -> RuntimeError:
    """A constant is asked for gradients."""
    return RuntimeError(
        "backward: this Value is a constant, nothing was recorded; "
        "compute it outside of no_grad() and without detach()"
    )


def sweep_in_sweep() -> RuntimeError:
    """A partial calls backward()."""
    return RuntimeError("backward() inside of backward(): let the first one finish")


def lost(what: str, table: Any) -> TypeError:
    """A Value is converted to a plain number, and its gradient would be lost in silence."""
    if table.trace is not None:
        return TypeError(
            f"a Value cannot become {what} while a function is traced; use miniflow.math for "
            "functions, and pass what is to be a plain number in another way: by a closure, or "
            "functools.partial"
        )
    return TypeError(
        f"a Value cannot become {what} without losing its gradient; use its .data for the "
        "plain number, and miniflow.math instead of math for functions"
    )
