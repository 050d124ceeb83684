"""Clipping: gradients that are too large are made smaller before a step.

For Values there are PyTorch's functions, `clip_grad_norm_` and `clip_grad_value_`; for arrays
`clipped_by_norm` and `clipped_by_value`. Every optimiser does the same by itself: `clip_norm=`
and `clip_value=`.

Source: Pascanu, Mikolov & Bengio, On the difficulty of training recurrent neural networks (2013),
section 3.2.
"""

import math
from collections.abc import Iterable
from typing import Any

from miniflow.ops import real
from miniflow.optim.options import positive
from miniflow.util.words import shown

NORM_MARGIN = 1e-6  # added to a norm that is divided by, as PyTorch does


def norm_of(numbers: list[float], norm_type: float = 2.0) -> float:
    """The p-norm of numbers: the largest one for infinity. It overflows only if the answer does."""
    if norm_type == 2:
        return math.hypot(*numbers)
    sizes = [abs(x) for x in numbers]
    top = math.nan if any(x != x for x in sizes) else max(sizes, default=0.0)
    if norm_type == math.inf or not 0 < top < math.inf:
        return top
    return float(top * math.fsum((x / top) ** norm_type for x in sizes) ** (1 / norm_type))


def scale_to(norm: float, max_norm: float) -> float:
    """What gradients of that norm are multiplied by: never more than 1."""
    factor = max_norm / (norm + NORM_MARGIN)
    return 1.0 if factor > 1 else factor


def clipped_by_norm(slopes: Any, max_norm: float) -> Any:
    """An array of gradients, scaled down where it is longer than `max_norm`.

    Example:
        >>> import numpy
        >>> numpy.round(clipped_by_norm(numpy.array([3.0, 4.0]), 1.0), 3)
        array([0.6, 0.8])
    """
    import numpy

    with numpy.errstate(all="ignore"):
        return slopes * scale_to(norm_of(slopes.tolist()), max_norm)


def clipped_by_value(slopes: Any, limit: float) -> Any:
    """An array of gradients, none larger than `limit`, of either sign; NaN stays.

    Example:
        >>> import numpy
        >>> clipped_by_value(numpy.array([-3.0, 0.5]), 1.0)
        array([-1. ,  0.5])
    """
    import numpy

    return numpy.clip(slopes, -limit, limit)


def clip_grad_norm_(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False,
) -> float:  # fmt: skip
    """Scale the gradients of all parameters down, if together they are longer than `max_norm`.

    Args:
        parameters: a Value or several, whose `.grad` is changed.
        max_norm: the longest that is left alone, in units of the gradient.
        norm_type: p of the p-norm, above 0; infinity for the largest component.
        error_if_nonfinite: whether a norm that is infinite or NaN is an error; else all gradients
            become 0 or NaN.

    Returns:
        the norm as it was.

    Raises:
        ValueError: `max_norm` or `norm_type` is out of range; a norm that is not finite.

    Example:
        >>> from miniflow import Value
        >>> a, b = Value(1.0), Value(1.0)
        >>> a.grad, b.grad = 30.0, 40.0
        >>> clip_grad_norm_([a, b], 5.0), round(a.grad, 4), round(b.grad, 4)
        (50.0, 3.0, 4.0)
    """
    limit = positive("clip_grad_norm_: max_norm", max_norm)
    if norm_type != math.inf:
        norm_type = positive("clip_grad_norm_: norm_type", norm_type)
    several, slopes = _gradients("clip_grad_norm_", parameters)
    norm = norm_of(slopes, norm_type)
    if error_if_nonfinite and not math.isfinite(norm):
        raise ValueError(f"clip_grad_norm_: the gradients' norm is {norm}: see miniflow.debug.nans")
    factor = scale_to(norm, limit)
    for p, g in zip(several, slopes, strict=True):
        p.grad = g * factor
    return norm


def clip_grad_value_(parameters: Any, clip_value: float) -> None:
    """Let no parameter's gradient be larger than `clip_value`, of either sign; NaN stays.

    Args:
        parameters: a Value or several, whose `.grad` is changed.
        clip_value: the largest that is left alone, in units of the gradient.

    Raises:
        ValueError: `clip_value` is not above 0.
    """
    limit = positive("clip_grad_value_: clip_value", clip_value)
    several, slopes = _gradients("clip_grad_value_", parameters)
    for p, g in zip(several, slopes, strict=True):
        p.grad = min(max(g, -limit), limit)


def _gradients(what: str, parameters: Any) -> tuple[list[Any], list[float]]:
    """The parameters, once each, and their gradients."""
    given = parameters if isinstance(parameters, Iterable) else [parameters]
    several = list({id(p): p for p in given}.values())
    for p in several:
        if not hasattr(p, "grad"):
            raise TypeError(
                f"{what}: a parameter must be a Value, got {shown(p)}; pass model.parameters()"
            )
    return several, [real(p.grad, "a parameter's grad") for p in several]
