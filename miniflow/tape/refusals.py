"""What the engine refuses, in words: each function makes an error that names the remedy."""

from typing import Any

from miniflow import ops
from miniflow.tape.notes import show_kind
from miniflow.util.habits import VALUE, advice
from miniflow.util.words import shown

# What Python has operators for and numbers have not.
OTHER_OPERATORS = {
    "^": "a power is x ** y; ^ is for the bits of ints",
    "@": "a product is x * y, that of two lists math.dot(xs, ys); @ is for arrays",
    "&": "conditions are joined by `and`, as in x > 0 and y > 0; & is for the bits of ints",
    "|": "conditions are joined by `or`, as in x > 0 or y > 0; | is for the bits of ints",
    "~": "a number's opposite is -x, a condition's `not`; ~ is for the bits of ints",
}
SETTABLE = ("data", "grad", "label")
OWN = ("backward", "forward", "detach", "op", "inputs")
AS_MICROGRAD = (
    "what micrograd leaves open (_children, _backward, subclasses, attributes of one's own, data "
    "of computed Values) is open in miniflow.micrograd.engine.Value; miniflow.define adds an "
    "operation to the table"
)


def construction(given: Any, more: tuple[Any, ...], named: dict[str, Any]) -> TypeError:
    """A Value is made of something else than a number and a label, or made a second time."""
    if more or named:
        surplus = ", ".join(
            [*map(shown, more), *[f"{name}={x!r:.60}" for name, x in named.items()]]
        )
        known = [advice(name, VALUE) for name in named]
        remedy = next(filter(None, known), f"; {AS_MICROGRAD}")
        return TypeError(f"Value: takes a number and a label, got also {surplus}{remedy}")
    if not isinstance(given, str):
        error = label("Value", given)
        error.add_note(AS_MICROGRAD)
        return error
    return TypeError("Value: it exists already; set its .data, or make another one")


def label(what: str, found: Any) -> TypeError:
    """A label is something else than a string."""
    return TypeError(f"{what}: label must be a string, got {shown(found)}")


def stale(leaf: Any) -> RuntimeError:
    """The data of a leaf was set since a result was computed from it."""
    label, number = leaf._tape.labels.get(leaf._entry, ""), leaf._tape.value_of(leaf._entry)
    name = f"the leaf {label!r}" if label else "a leaf"
    return RuntimeError(
        f"the data of {name} was set to {number!r} after this result had been computed from it: "
        "its gradient would be wrong; compute the result again first, by result.forward(), or anew"
    )


def subclass() -> TypeError:
    """Somebody derives a class from Value."""
    return TypeError(
        f"Value cannot be subclassed; keep a Value in an attribute instead; {AS_MICROGRAD}"
    )


def no_subclass(cls: type) -> None:
    """Value's __init_subclass__."""
    raise subclass()


def attribute(name: str) -> AttributeError:
    """An attribute is set that nobody can set."""
    if name.startswith("_") or name in OWN or name in ops.TABLE:
        return AttributeError(f"Value.{name} cannot be set; {AS_MICROGRAD}")
    remedy = advice(name, VALUE, SETTABLE) or f"; {AS_MICROGRAD}"
    return AttributeError(f"Value has no attribute {name!r} that could be set{remedy}")


def deletion(name: str) -> AttributeError:
    """An attribute is deleted."""
    return AttributeError(
        f"Value.{name} cannot be deleted; set grad to 0.0, label to '', or drop it"
    )


def no_attribute(name: str) -> AttributeError:
    """Neither Value nor the operation table has that name."""
    if name in ("_backward", "_children"):
        return AttributeError(f"Value has no attribute {name!r}; {AS_MICROGRAD}")
    known = (*SETTABLE, *OWN, *ops.TABLE)
    remedy = advice(name, VALUE, known) or "; functions of lists are in miniflow.math"
    return AttributeError(
        f"Value has no attribute {name!r}, nor is it an operation on numbers{remedy}"
    )


def several(what: str, xs: Any) -> TypeError:
    """Many numbers stand beside a Value, in an operator or a function of one."""
    op = ops.TABLE[what]
    infix = op.arity == 2 and not op.symbol.isalnum()
    one = f"v {op.symbol} x" if infix else f"{what}({'v, ' * (op.arity > 1)}x)"
    return TypeError(
        f"{what}: expected a real number, got {shown(xs)}; take its elements one by one, as in "
        f"[{one} for x in xs], or all at once in a numpy.array(xs)"
    )


def modulus() -> TypeError:
    """A power is asked for as the rest of a division."""
    return TypeError("pow: a modulus is for ints; of a Value take (x ** y) % modulus")


def no_operator(v: Any, sign: str, other: Any) -> Any:
    """An operator that numbers do not have; NotImplemented where another type may know it.

    Raises:
        TypeError: the other operand is a number, too.
    """
    show_kind(v._tape.trace)
    if isinstance(other, (int, float)) or ops.recorded(other):
        raise TypeError(f"Value has no operator {sign}: {OTHER_OPERATORS[sign]}")
    return NotImplemented


def computed_data() -> AttributeError:
    """The data of a computed Value is set."""
    return AttributeError(
        "Value.data: this Value was computed; change the leaves it comes from and "
        f"call its forward(), or start anew from detach(); {AS_MICROGRAD}"
    )


def computed_copy() -> TypeError:
    """A computed Value is copied or pickled."""
    return TypeError(
        "a computed Value cannot be copied or pickled, its graph would be lost; copy the leaves "
        "it comes from and compute it again, or use its .data where no gradient is wanted"
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
        f"{what}: this Value was computed on another thread, whose tape cannot be followed from "
        "here; compute it here, from leaves that both threads share, or pass its .data where no "
        "gradient is wanted"
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
            "functions and dtype=object for arrays, and pass what is to be a plain number in "
            "another way: by a closure, or functools.partial"
        )
    return TypeError(
        f"a Value cannot become {what} without losing its gradient; use miniflow.math instead of "
        "math for functions, dtype=object for arrays, as in numpy.zeros(3, dtype=object), and "
        "its .data only where no gradient is wanted"
    )
