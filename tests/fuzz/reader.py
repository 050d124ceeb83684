"""Bytes as what a target needs: numbers, choices, lists. Every string of bytes means something."""

import math
import struct

from miniflow.testing.strategies import EDGES


class Reader:
    """Reads bytes from first to last; behind the end all are 0."""

    def __init__(self, data):
        self.data, self.place = data, 0

    def __bool__(self):
        return self.place < len(self.data)

    def raw(self, count):
        found = self.data[self.place : self.place + count]
        self.place += count
        return found

    def below(self, limit):
        """A whole number from 0 on, less than `limit`, which is 256 at most."""
        return (self.raw(1) or b"\0")[0] % limit

    def choice(self, items):
        return items[self.below(len(items))]

    def several(self, most, what):
        """From 1 to `most` things."""
        return [what() for _ in range(1 + self.below(most))]

    def number(self):
        """A double: a special one, a multiple of 1/8, or any."""
        kind = self.below(4)
        if kind == 0:
            return self.choice(EDGES)
        if kind < 3:
            return (self.below(256) - 128) / 8
        x = struct.unpack("<d", self.raw(8).ljust(8, b"\0"))[0]
        # arithmetic makes no signalling NaN, and of those Python and C think differently
        return math.copysign(math.nan, x) if x != x else x

    def rest(self):
        return self.raw(len(self.data))
