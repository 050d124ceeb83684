"""Where things stand in Python's objects and NumPy's arrays: compiled code reads them there.

Layouts of objects are read off the running interpreter and are part of what the code is
cached by.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple, overload

TYPE = object.__basicsize__ - 8  # where an object's type stands in it
NUMBER = float.__basicsize__ - 8  # where a float's number stands in it
LENGTH = object.__basicsize__  # where a list or tuple says how many items it has
# where a tuple's items stand in it, and where in a list the place of its items
ITEMS: dict[type, int] = {tuple: tuple.__basicsize__, list: list.__basicsize__ - 16}
LAYOUT = TYPE, NUMBER, LENGTH, *ITEMS.values()
# Whether there is nothing else in a tuple that depends on its items (Python 3.14 keeps its hash).
BARE = ITEMS[tuple] == LENGTH + 8
# Whether objects begin with one reference count (free-threaded Python has two for each).
COUNTED = TYPE == 8
# Where NumPy's arrays keep these, since 1.0: compiled extensions rely on it.
DATA, NDIM, SHAPE, STRIDES, DTYPE, FLAGS = (
    object.__basicsize__ + x for x in (0, 8, 16, 24, 40, 48)
)
# Where its dtypes keep these: the order of their bytes, the number of their kind.
BYTEORDER, KIND = (object.__basicsize__ + x for x in (10, 12))
SWAPS = ">" if sys.byteorder == "little" else "<"
ALIGNED = 0x100  # of an array's flags
ALIGNED_ROWS = 0x101  # C-contiguous and aligned
FLOAT64 = 12  # NumPy's number for it


class Location(NamedTuple):
    """Where a number stands: a base and an index."""

    base: str
    number: int


class Locations(Sequence[Location]):
    """Many of them: in two lists, for Python's collector looks at every tuple that is kept."""

    def __init__(self) -> None:
        self.bases: list[str] = []
        self.numbers: list[int] = []

    def add(self, base: str, start: int, count: int) -> None:
        """So many numbers, one after another."""
        self.bases += [base] * count
        self.numbers += range(start, start + count)

    def __len__(self) -> int:
        return len(self.bases)

    def __iter__(self) -> Iterator[Location]:
        return map(Location, self.bases, self.numbers)

    @overload
    def __getitem__(self, k: int) -> Location: ...
    @overload
    def __getitem__(self, k: slice) -> list[Location]: ...
    def __getitem__(self, k: int | slice) -> Location | list[Location]:
        if isinstance(k, slice):
            return [*map(Location, self.bases[k], self.numbers[k])]
        return Location(self.bases[k], self.numbers[k])
