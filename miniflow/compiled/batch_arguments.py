"""The arguments of a batch, taken apart.

A number of an argument either runs along the batch (a *batch column*: one number for
each element) or is *uniform*, the same for all.
"""

from collections.abc import Sequence
from itertools import product
from operator import mul
from typing import Any

from miniflow.ops import real
from miniflow.program.structures import NUMBER_LEAF, ArrayLeaf, flatten_numbers, is_number
from miniflow.tape.core import Value, current
from miniflow.util.trees import children, is_array, is_dataclass, part_names, rebuild


class BatchArguments:
    """The arguments of one call, taken apart.

    Attributes:
        element: the structure of one element's arguments, as a treedef.
        count: how many elements there are.
        arrays: what runs along the batch: ``(place, array)``, elements first; `place` is the
            number of the array's first number among an element's.
        same: the numbers that are the same for all, in order.
        size: how many numbers an element has.
        values: whether there are Values among what runs along the batch.
    """

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any], in_axes: Any) -> None:
        self.count = -1
        self.size = 0
        self.arrays: list[tuple[int, Any]] = []
        self.uniform: list[tuple[int, Sequence[Any]]] = []  # place of the first, numbers
        self.values = False
        self._columns: BatchColumns | None = None
        axes = axes_for(in_axes, len(args))
        if len(axes) != len(args):
            raise ValueError(
                f"vmap: in_axes must be one for each of {len(args)} arguments, got {len(axes)}"
            )
        trees = tuple([self._take(x, axis) for x, axis in zip(args, axes, strict=True)])
        named = {name: self._take(x, 0) for name, x in kwargs.items()}
        self.element = trees, named
        if self.count < 0:
            raise ValueError(
                "vmap: nothing runs along the batch; give an array, or another in_axes"
            )

    def _take(self, tree: Any, axis: Any) -> Any:
        """The structure of one element of an argument."""
        if axis is None:
            return self._same(tree)
        if is_array(tree):
            return self._column(tree, axis)
        parts = children(tree)
        if parts is None:
            return self._column(tree, axis) if is_number(tree) else tree  # a static argument
        pairs = zip(parts, part_axes(tree, parts, axis), strict=True)
        return rebuild(tree, [self._take(part, x) for part, x in pairs])

    def _same(self, tree: Any) -> Any:
        """An argument that is the same for all elements."""
        if is_array(tree) and tree.dtype == float:  # no need to look at each number
            self.uniform.append((self.size, tree.ravel()))
            self.size += tree.size
            return ArrayLeaf(tree.shape)
        numbers, treedef = flatten_numbers(tree)
        self.uniform.append((self.size, numbers))
        self.size += len(numbers)
        return treedef

    def _column(self, tree: Any, axis: Any) -> Any:
        """An array of which each element gets a slice."""
        if not is_array(tree) or not hasattr(axis, "__index__"):
            raise TypeError(
                f"vmap: {tree!r:.60} has no axis {axis!r} to run along; pass a NumPy array "
                "(numpy.array(xs)), or None in in_axes for what is the same for all elements"
            )
        import numpy

        if not -tree.ndim <= axis < tree.ndim:
            raise ValueError(f"vmap: in_axes {axis}, but an array has the shape {tree.shape}")
        if tree.dtype == object and any(x.__class__ is Value for x in tree.flat):
            self.values = True
        else:
            if tree.dtype == object:
                floats = [real(x, "vmap") for x in tree.ravel().tolist()]
                tree = numpy.array(floats, dtype=float).reshape(tree.shape)
            elif tree.dtype.kind not in "biuf":
                raise TypeError(f"vmap: an array of {tree.dtype} has no real numbers")
            if tree.dtype != float or not tree.flags.aligned:  # machine code does so, too
                tree = numpy.array(tree, dtype=float, order="C")
        tree = numpy.moveaxis(tree, axis, 0) if axis else tree
        if self.count not in (-1, len(tree)):
            raise ValueError(f"vmap: batches of {self.count} and of {len(tree)} elements")
        self.count = len(tree)
        shape = tree.shape[1:]
        self.arrays.append((self.size, tree))
        numbers = ArrayLeaf(shape) if shape else NUMBER_LEAF
        self.size += numbers.size if isinstance(numbers, ArrayLeaf) else 1
        return numbers

    # --- one element --------------------------------------------------------------

    @property
    def same(self) -> list[Any]:
        return [x for _, xs in self.uniform for x in xs]

    @property
    def mixed(self) -> bool:
        """Whether there may be Values among those."""
        return any(not is_array(xs) for _, xs in self.uniform)

    def numbers(self, i: int, same: Sequence[Any]) -> list[Any]:
        """The numbers of element i, if those that all have are `same`."""
        found: list[Any] = [0.0] * self.size
        if self.count:
            for place, tree in self.arrays:
                part = tree[i].ravel().tolist() if tree.ndim > 1 else [tree[i]]
                found[place : place + len(part)] = part
        start = 0
        for place, xs in self.uniform:
            found[place : place + len(xs)] = same[start : start + len(xs)]
            start += len(xs)
        return [x if x.__class__ is Value else real(x, "vmap") for x in found]

    # --- all elements -------------------------------------------------------------

    def columns(self) -> "BatchColumns":
        """What runs along the batch, one number of an element at a time."""
        if self._columns is None:
            self._columns = BatchColumns(self.arrays, self.size)
        return self._columns

    def vector(self) -> Any:
        """The numbers that all elements have, as an array."""
        import numpy

        parts = [
            xs if is_array(xs) else numpy.array([batch_number(x) for x in xs], dtype=float)
            for _, xs in self.uniform
        ]
        return parts[0] if len(parts) == 1 else numpy.concatenate([*parts, []])

    def held(self) -> "BatchArguments":
        """The same arguments, safe from later changes of the arrays."""
        return self._with([(place, tree.copy()) for place, tree in self.arrays])

    def part(self, start: int, stop: int) -> "BatchArguments":
        """Some of the elements, neighbours."""
        found = self._with([(place, tree[start:stop]) for place, tree in self.arrays])
        found.count = min(stop, self.count) - start
        return found

    def _with(self, arrays: list[Any]) -> "BatchArguments":
        """The same arguments with other arrays."""
        found = BatchArguments.__new__(BatchArguments)
        vars(found).update(vars(self))
        found.arrays, found._columns = arrays, None
        return found


def batch_number(x: Any) -> float:
    """The number of a Value or of anything else that is one."""
    return current().number(x, "vmap")


class BatchColumns:
    """The numbers that run along a batch, each an array over the elements.

    Attributes:
        places: which of an element's numbers they are.
        layout: for each of an element's numbers None if it does not run along the batch, else
            whether neighbours stand side by side.

    `trees` are arrays with the elements along their first axes, each with the place of its first
    number.
    """

    def __init__(self, trees: Sequence[tuple[int, Any]], inputs: int) -> None:
        self.trees = trees
        self.places: list[int] = []
        self.addresses: list[int] = []
        self.strides: list[int] = []
        layout: list[bool | None] = [None] * inputs
        for place, tree in trees:
            start, (stride, *steps) = tree.__array_interface__["data"][0], tree.strides
            indices = product(*map(range, tree.shape[1:]))
            addresses = [start + sum(map(mul, index, steps)) for index in indices]
            stop = place + len(addresses)
            self.addresses += addresses
            self.places += range(place, stop)
            self.strides += [stride] * len(addresses)
            layout[place:stop] = [stride == 8] * len(addresses)
        self.layout = tuple(layout)

    @property
    def arrays(self) -> list[Any]:
        """The columns one by one."""
        return [
            tree[(slice(None), *index)]
            for _, tree in self.trees
            for index in product(*map(range, tree.shape[1:]))
        ]

    def starts(self, start: int) -> list[int]:
        """The addresses of the elements from `start` on."""
        return [a + start * s for a, s in zip(self.addresses, self.strides, strict=True)]

    def chosen(self, elements: Any) -> "BatchColumns":
        """Some of the elements."""
        chosen = [(place, tree.take(elements, axis=0)) for place, tree in self.trees]
        return BatchColumns(chosen, len(self.layout))


def part_axes(tree: Any, parts: Sequence[Any], axis: Any) -> Any:
    """The axes of the parts of an argument.

    Raises:
        ValueError: there are more or fewer.
    """
    axes: Any = axis
    names = part_names(tree) if is_dataclass(tree) else None
    if isinstance(axis, dict) and isinstance(tree, dict) and axis.keys() == tree.keys():
        axes = [axis[name] for name in tree]
    elif names is not None and isinstance(axis, dict) and axis.keys() == {*names}:
        axes = [axis[name] for name in names]
    elif not isinstance(axis, (list, tuple)):
        axes = [axis] * len(parts)
    if len(axes) != len(parts):
        raise ValueError(f"vmap: in_axes {axis!r} does not fit {tree!r:.60}")
    return axes


def axes_for(in_axes: Any, count: int) -> Any:
    """The axes of each positional argument."""
    return in_axes if isinstance(in_axes, (tuple, list)) else [in_axes] * count
