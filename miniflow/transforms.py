"""Functions to their derivatives: JAX's names and argument order, for scalar Python.

Arguments and results are numbers or Values in nested lists, tuples, dicts, dataclasses and
NumPy arrays. A derivative is computed by recording one call of f and sweeping over what was
recorded; the sweep is recorded in turn wherever its result depends on a Value from
outside, so transforms nest to any order and mix with `backward()`. Derivatives are
floats (or arrays of them) when nothing from outside is involved, and under `no_grad()`.

Terms: a *primal* is a point, a *tangent* a direction at it (forward mode), a
*cotangent* a weight of an output (reverse mode).

Source: Griewank & Walther, Evaluating Derivatives, 2nd ed. (2008), chapters 3 and 5;
names after JAX, https://docs.jax.dev/en/latest/notebooks/autodiff_cookbook.html
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import index
from typing import Any

from miniflow import ops
from miniflow.tape.core import Value, current, here
from miniflow.tape.forward import tangents
from miniflow.tape.muting import hide_running, pausable, show_again
from miniflow.tape.pullback import plain_gradients, pullback
from miniflow.tape.quick import Shortcut
from miniflow.tape.storage import plain
from miniflow.util.functions import Derived, a_function, derived
from miniflow.util.trees import (
    LEAF_TYPES,
    array,
    children,
    flatten,
    flatten_like,
    is_array,
    rebuild,
    tree_map,
    unflatten,
)
from miniflow.util.words import dialect, shown

SWEEPS_PER_PASS = 8  # a pass forward takes as long
LEAF_TYPES.add(Value)

Argnums = int | Sequence[int]


class _Call:
    """One recorded call of `f`, with the arguments `argnums` made its inputs."""

    def __init__(
        self, what: str, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any],
        argnums: Argnums, has_aux: bool = False, recorded: tuple[list[Value], Any] | None = None,
    ) -> None:  # fmt: skip
        self.what, self.single = what, not isinstance(argnums, Iterable)
        table = here.table
        self.muted = table.silent
        hidden = hide_running() if pausable else []
        muted, table.muted = table.muted, 0
        try:
            chosen = _chosen(what, argnums, len(args))
            self.trees = [args[k] for k in chosen]
            self.inputs, out = recorded or self.record(f, args, kwargs, chosen)
            self.aux = None
            if has_aux:
                if not isinstance(out, tuple) or len(out) != 2:
                    raise TypeError(f"{what}: with has_aux=True f must return (output, aux)")
                out, self.aux = out
            self.out = out
            self.outputs = [self.output(y) for y in flatten(out)]
            self.recorded = not self.muted and self.open(self.outputs)
        finally:
            table.muted = muted + (table.muted if table.muted < 0 else 0)  # left meanwhile
            if hidden:
                show_again(hidden)

    def record(
        self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any],
        chosen: list[int],
    ) -> tuple[list[Value], Any]:  # fmt: skip
        """The inputs, and what f returned for them."""
        inputs = [self.input(x) for x in flatten(self.trees)]
        given = list(args)
        for k, tree in zip(chosen, unflatten(self.trees, inputs), strict=True):
            given[k] = tree
        return inputs, f(*given, **kwargs)

    def input(self, x: Any) -> Value:
        """A fresh entry for one input: the recording of f is told apart from what x is part of."""
        if x.__class__ is Value:
            return Value(plain(x)) if self.muted or _is_constant(x) else +x
        if isinstance(x, (str, bytes)) or x is None:
            raise TypeError(
                f"{self.what}: expected a real number, got {shown(x)}; "
                "choose the arguments to differentiate by argnums"
            )
        return Value(ops.real(x, self.what))

    def output(self, y: Any) -> Value:
        """One output as a Value of this thread; a plain number is a constant."""
        if y.__class__ is Value:
            return y if y._tape is here.table else +y
        try:
            return current().constant(ops.real(y))
        except TypeError:
            forgotten = "; has it a return?" if y is None else dialect(y)
            raise TypeError(
                f"{self.what}: f must return numbers or Values, in lists, tuples, dicts, "
                f"dataclasses or arrays, got {type(y).__name__}{forgotten}"
            ) from None

    def open(self, values: list[Value]) -> bool:
        """Whether some of `values` depend on Values from before the call."""
        table = here.table
        with table.hold():
            floor = self.inputs[0]._entry if self.inputs else table.count  # made one by one
            outputs = [y._entry for y in values]
            if min(outputs, default=floor) >= floor and table.self_contained(floor):
                return False
            return bool(table.depends_before(outputs, floor))

    def scalar(self) -> Value:
        """The only output."""
        if len(self.outputs) != 1 or not _is_scalar(self.out):
            raise TypeError(
                f"{self.what}: f must return a scalar, got {type(self.out).__name__}; "
                "return one number, or use jacobian or vjp"
            )
        return self.outputs[0]

    def value(self, y: Any) -> Any:
        """An output as the caller gets it."""
        return y if self.recorded or y.__class__ is not Value else plain(y)

    def values(self) -> Any:
        return unflatten(self.out, [self.value(y) for y in self.outputs])

    def plain_aux(self) -> Any:
        """What f returned besides: Values only where they depend on others from outside."""
        values = [x for x in flatten(self.aux) if x.__class__ is Value]
        if values and not self.muted and self.open(values):
            return self.aux
        return tree_map(lambda x: plain(x) if x.__class__ is Value else x, self.aux)

    def weights(self, name: str, tree: Any, model: Any) -> list[Any]:
        """Tangents or cotangents: numbers in the structure of `model`, in its order."""
        try:
            leaves = flatten_like(tree, model)
        except ValueError as error:
            raise TypeError(
                f"{self.what}: the {name} must have the structure of {_shape(model)}: {error}"
            ) from None
        if here.table.silent:
            leaves = [plain(x) if x.__class__ is Value else x for x in leaves]
        what = f"{self.what}: {name}"
        return [x if x.__class__ is Value else ops.real(x, what) for x in leaves]

    def records(self, weights: list[Any]) -> bool:
        """Whether derivatives weighted so are Values."""
        if here.table.silent:
            return False
        return self.recorded or Value in map(type, weights)

    def pull(self, cotangents: list[Any]) -> list[Any]:
        """The sum over outputs of cotangent x dy/dx, for each input."""
        recorded, table = self.records(cotangents), here.table
        own = all(v._tape is table for v in (*self.inputs, *self.outputs))
        if recorded or table.sweeping or not own:
            return pullback(self.outputs, cotangents, self.inputs, recorded=recorded)
        with table.hold():
            targets, sources = [y._entry for y in self.outputs], [x._entry for x in self.inputs]
            return plain_gradients(table, targets, cotangents, [[n] for n in sources])

    def rows(self) -> list[list[Any]]:
        """For each output its derivatives by all inputs."""
        table = here.table
        if len(self.outputs) > SWEEPS_PER_PASS * len(self.inputs):
            columns = [_push(self, unit) for unit in _units(len(self.inputs))]
            return [list(row) for row in zip(*columns, strict=True)]
        if self.records([]) or table.sweeping:
            return [self.pull(unit) for unit in _units(len(self.outputs))]
        with table.hold():
            sources = [x._entry for x in self.inputs]
            return [table.gradients([y._entry], [1.0], sources) for y in self.outputs]

    def point(self) -> Any:
        """The chosen argument, or a tuple of them."""
        return self.trees[0] if self.single else tuple(self.trees)

    def arguments(self, flat: Iterable[Any]) -> Any:
        """One item for each input, in the structure of the chosen argument(s)."""
        return unflatten(self.point(), flat)


def _is_constant(x: Value) -> bool:
    """Whether nothing is differentiated by a Value: its number is as good."""
    return here.table.trace is None and x.op == "constant"


def _units(count: int) -> list[list[float]]:
    """The directions of so many axes."""
    return [[float(i == k) for i in range(count)] for k in range(count)]


def _is_scalar(tree: Any) -> bool:
    if tree.__class__ is Value:
        return True
    return not tree.ndim if is_array(tree) else children(tree) is None


def _positions(what: str, argnums: Argnums) -> list[int]:
    """What `argnums` says.

    Raises:
        TypeError: something else than positions.
    """
    try:
        return [index(k) for k in (argnums if isinstance(argnums, Iterable) else [argnums])]
    except TypeError:
        raise TypeError(
            f"{what}: argnums must be a position or several, got {shown(argnums)}; the arguments "
            f"go into a second call, as in {what}(f)(x)"
        ) from None


def _chosen(what: str, argnums: Argnums, count: int) -> list[int]:
    """The positions of the arguments to differentiate by, each once, none negative."""
    if argnums.__class__ is int and 0 <= argnums < count:
        return [argnums]
    numbers = _positions(what, argnums)
    for k in numbers:
        if not -count <= k < count:
            raise TypeError(
                f"{what}: argnums={k!r} but f was called with {count} positional arguments; "
                "give what to differentiate by without its name"
            )
    chosen = [k % count for k in numbers]
    if len(set(chosen)) < len(chosen):
        raise TypeError(f"{what}: argnums={argnums!r} names an argument twice")
    return chosen


def value_and_grad(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that returns f's value and its gradient.

    Args:
        f: function with one scalar output y (with `has_aux`, a pair of y and anything).
        argnums: position of the argument x to differentiate by, or several positions.
        has_aux: whether f returns ``(y, aux)``.

    Returns:
        A function with the arguments of f that returns ``(y, dy/dx)``; dy/dx has the
        structure of x, in units of y/x, and is a tuple if `argnums` is a sequence.
        With `has_aux`, ``((y, aux), dy/dx)``.

    Raises:
        TypeError: from the returned function: f's output is not a scalar, an argument
            to differentiate by is not made of numbers, or there is no such argument.

    Example:
        >>> value_and_grad(lambda x: x * x)(3.0)
        (9.0, 6.0)
    """
    _positions("value_and_grad", argnums)

    @derived(value_and_grad, f, argnums, has_aux, kind=Gradient)
    def value_and_gradient(*recorded: Any) -> Any:
        return _value_and_gradient(f, argnums, has_aux, *recorded)

    return value_and_gradient


class Gradient(Shortcut, Derived):
    """What `value_and_grad` and `grad` return."""

    def __init__(
        self, call: Callable[..., Any], transform: Callable[..., Any], f: Callable[..., Any],
        options: Any,
    ) -> None:  # fmt: skip
        Derived.__init__(self, call, transform, f, options)
        argnums, has_aux = options
        Shortcut.__init__(self, f, -1 if has_aux else argnums, transform is value_and_grad, call)


def _value_and_gradient(
    f: Callable[..., Any], argnums: Argnums, has_aux: bool, args: tuple[Any, ...],
    kwargs: dict[str, Any], leaves: list[Value] | None, out: Any,
) -> tuple[Any, Any]:  # fmt: skip
    """The same where there is no short way; `leaves` and `out` if f has been called already."""
    call = _Call("grad", f, args, kwargs, argnums, has_aux, (leaves, out) if leaves else None)
    y = call.scalar()
    gradient = call.arguments(call.pull([1.0]))
    return ((call.value(y), call.plain_aux()) if has_aux else call.value(y)), gradient


def grad(f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns the gradient of f; see `value_and_grad`.

    With `has_aux` it returns ``(dy/dx, aux)``.

    Example:
        >>> grad(lambda x, y: x * y**2)(3.0, 2.0)
        4.0
        >>> grad(grad(grad(lambda x: x**4)))(2.0)
        48.0
    """
    a_function("grad", f)
    _positions("grad", argnums)

    @derived(grad, f, argnums, has_aux, kind=Gradient)
    def gradient(*recorded: Any) -> Any:
        value, slopes = _value_and_gradient(f, argnums, has_aux, *recorded)
        return (slopes, value[1]) if has_aux else slopes

    return gradient


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """The value of f at a point and its vector-Jacobian product there.

    Args:
        f: function of the primals, with any number of outputs.
        primals: the point to differentiate at.
        has_aux: whether f returns ``(ys, aux)``.

    Returns:
        ``(ys, pullback)``, with aux third if `has_aux`. ``pullback(cotangent)``, for a
        cotangent in the structure of ys, returns a tuple with, for each primal, the sum
        over outputs of cotangent x dy/dx, in units of cotangent*y/x. It can be called
        again and again.

    Raises:
        TypeError: f returned something other than scalars, or the structure of the
            cotangent differs from that of ys.

    Example:
        >>> y, pullback = vjp(lambda a, b: (a * b, a), 2.0, 5.0)
        >>> y, pullback((1.0, 10.0))
        ((10.0, 2.0), (15.0, 2.0))
    """
    a_function("vjp", f)
    call = _Call("vjp", f, primals, {}, range(len(primals)), has_aux)

    def pull(cotangent: Any) -> tuple[Any, ...]:
        weights = call.weights("cotangent", cotangent, call.out)
        return call.arguments(call.pull(weights))  # type: ignore[no-any-return]

    return (call.values(), pull, call.plain_aux()) if has_aux else (call.values(), pull)


def reached(f: Callable[..., Any], *primals: Any) -> list[Any]:
    """For each primal, a number, whether a derivative of f reaches it: 1, or 0 if not selected."""
    call = _Call("grad", f, primals, {}, range(len(primals)))
    ones = [1.0] * len(call.outputs)
    return pullback(call.outputs, ones, call.inputs, recorded=call.recorded, which=True)


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value of f at a point and its derivative in one direction (forward mode).

    Args:
        f: function of the primals, with any number of outputs.
        primals: tuple or list of arguments: the point.
        tangents: the direction, in the structure of `primals`.

    Returns:
        ``(ys, dys)``: f's outputs, and for each the sum over inputs of dy/dx x tangent,
        in the structure of ys and in units of y*tangent/x.

    Raises:
        TypeError: f returned something other than scalars, or the structures of
            primals and tangents differ.

    Example:
        >>> jvp(lambda x, y: x * y, (3.0, 2.0), (1.0, 0.0))
        (6.0, 2.0)
    """
    a_function("jvp", f)
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise TypeError("jvp: primals and tangents must be tuples of arguments, e.g. (x,), (1.0,)")
    call = _Call("jvp", f, tuple(primals), {}, range(len(primals)))
    directions = call.weights("tangents", list(tangents), list(primals))
    return call.values(), unflatten(call.out, _push(call, directions))


def _push(call: _Call, directions: list[Any]) -> list[Any]:
    """The tangents of a call's outputs, for those of its inputs."""
    table = here.table
    with table.hold():
        inputs, outputs = [[v._entry for v in vs] for vs in (call.inputs, call.outputs)]
        return tangents(table, inputs, directions, outputs, call.records(directions))


def _shape(tree: Any) -> str:
    """A structure in words, for messages."""
    if is_array(tree):
        return f"array{tree.shape}"
    return f"{tree_map(lambda leaf: 0.0, tree)!r:.80}"


def jacobian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """A function that returns the Jacobian of f.

    One sweep per output, or one pass forward per input where outputs are many times more.

    Args:
        f: function with any number of outputs.
        argnums: position of the argument to differentiate by, or several positions.

    Returns:
        A function with the arguments of f. The structure of f's outputs, and in the place
        of each output y the structure of the argument, with dy/dx in units of y/x;
        a NumPy array counts as one output or argument: ``y.shape + x.shape`` is its shape.

    Raises:
        TypeError: as `value_and_grad`.

    Example:
        >>> jacobian(lambda v: [v[0] * v[1], v[0]])([2.0, 5.0])
        [[5.0, 2.0], [1.0, 0.0]]
    """
    _positions("jacobian", argnums)

    @derived(jacobian, f, argnums)
    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        call = _Call("jacobian", f, args, kwargs, argnums)
        return _by_output(call.out, iter(call.rows()), call.point())

    return jacobian_of


def _by_output(out: Any, rows: Iterator[list[Any]], point: Any) -> Any:
    """A Jacobian in the structure of the outputs over that of the point, from its rows."""
    if is_array(out):
        block = [iter(next(rows)) for _ in range(out.size)]
        return _by_input(point, block, out.shape)
    parts = children(out)
    if parts is None:
        return unflatten(point, next(rows))
    return rebuild(out, [_by_output(part, rows, point) for part in parts])


def _by_input(point: Any, block: list[Iterator[Any]], shape: tuple[int, ...]) -> Any:
    """The derivatives of an array of that shape, in the structure of the point."""
    if is_array(point):
        flat = [next(row) for row in block for _ in range(point.size)]
        return array(flat, shape + point.shape)
    parts = children(point)
    if parts is None:
        return array([next(row) for row in block], shape)
    return rebuild(point, [_by_input(part, block, shape) for part in parts])


def hessian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """A function that returns the Hessian of f: the Jacobian of its gradient.

    Args:
        f: function with one scalar output y.
        argnums: position of the argument to differentiate by, or several positions.

    Returns:
        A function with the arguments of f: d2y/dx2 in the structure of the argument
        over itself (for an array of shape s an array of shape s + s), in units of y/x^2.

    Raises:
        TypeError: as `value_and_grad`.

    Example:
        >>> hessian(lambda v: v[0] ** 2 * v[1])([3.0, 2.0])
        [[4.0, 6.0], [6.0, 0.0]]
    """
    a_function("hessian", f)
    _positions("hessian", argnums)
    return derived(hessian, f, argnums)(jacobian(grad(f, argnums), argnums))


def hvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The product of f's Hessian with a direction: forward over reverse.

    Args:
        f: function of the primals with one scalar output y.
        primals: tuple or list of arguments: the point.
        tangents: the direction, in the structure of `primals`.

    Returns:
        For each primal the sum over inputs of d2y/dx dx' x tangent', as a tuple; the
        product itself, not in a tuple, if there is one primal.

    Raises:
        TypeError: as `jvp`.

    Example:
        >>> hvp(lambda v: v[0] ** 2 * v[1], ([3.0, 2.0],), ([1.0, 0.0],))
        [4.0, 6.0]
    """
    a_function("hvp", f)
    if not isinstance(primals, (tuple, list)):
        raise TypeError("hvp: primals and tangents must be tuples of arguments, e.g. (x,), (1.0,)")
    product = jvp(grad(f, tuple(range(len(primals)))), primals, tangents)[1]
    return product[0] if len(primals) == 1 else product
