"""Steps fused: many batches in one call of machine code, where nobody looks in between.

What a step computes is the same: the gradient over a batch of samples, then the optimiser's rule.
Here the loop that calls both is machine code, too (native/steps.py). Parameters and what the
optimiser remembers stay in one array from step to step, the *state*: first all parameters, then
for each group of parameters the columns of its memory.
"""

import ctypes
from array import array
from time import perf_counter
from typing import Any

from miniflow.optim.optimizer import GroupRule, Optimizer

SLICE = 0.05  # seconds after which Python is asked whether to go on
FIRST_STEPS = 8  # steps of the first call, before it is known how long they take
_STEPS = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 2, ctypes.c_int64)


class FusedSteps:
    """What makes many steps over samples in memory.

    Args:
        gradient: the loop over a batch, a BatchFunction, of the parameters and a batch: sums of the
            loss, of the parts of the metrics and of the slopes by all parameters.
        samples: the arrays of a batch, for all samples, these first.
        size: how many samples a batch has.
        parameters: how many there are.

    Attributes:
        pace: how many steps a call should make.
    """

    def __init__(self, gradient: Any, samples: list[Any], size: int, parameters: int) -> None:
        import numpy

        from miniflow.native.steps import LANES

        self.gradient = gradient
        self.size, self.parameters = size, parameters
        self.samples = [numpy.ascontiguousarray(a, dtype=float) for a in samples]
        self.widths = [a[0].size for a in self.samples]
        self.block = numpy.empty(size * sum(self.widths))  # the samples of one batch
        self.totals = numpy.zeros(gradient.outputs + LANES)
        self.slopes = numpy.zeros(parameters + LANES)
        self.sums = numpy.empty(gradient.outputs - parameters)
        self.pace = FIRST_STEPS
        self.linked: list[Any] = []  # the machine code that the plan leads to, and sizes of groups

    def run(
        self, optimizer: Optimizer, rules: list[GroupRule], numbers: Any, sums: list[float],
        order: Any,
    ) -> tuple[Any, list[float]]:  # fmt: skip
        """Make the steps of an order of samples; the new numbers, and the sums added up.

        `rules` are the optimiser's, which then remembers what they do; no argument has changed.
        """
        import numpy

        start = perf_counter()
        codes = [self.gradient, *[rule.columns.loop for rule in rules]]
        libraries = [code.code.library for code in codes]
        linked = [*libraries, *[rule.size for rule in rules]]
        if linked != self.linked:
            self._link(codes, libraries, rules)
            self.linked = linked
        columns = [column for rule in rules for column in rule.memory.values()]
        numpy.concatenate([numbers, *columns], out=self.state)
        numpy.copyto(self.fresh, self.state)
        self.sums[:] = sums
        for own, rule in zip(self.numbers, rules, strict=True):
            own[:] = [*rule.numbers.values()]
        self.function(_words_at(self.plan), address_of(order), len(order))
        state, steps = self.state.copy(), -(-len(order) // self.size)
        optimizer.remember(self._memory_in(state, rules), steps)
        self.pace = max(1, int(steps * SLICE / max(perf_counter() - start, 1e-9)))
        return state[: self.parameters], self.sums.tolist()

    def _memory_in(self, state: Any, rules: list[GroupRule]) -> list[dict[str, Any]]:
        """What is remembered of each group, by name."""
        found, first = [], self.parameters
        for rule in rules:
            stops = [first + (k + 1) * rule.size for k in range(len(rule.memory))]
            parts = [state[stop - rule.size : stop] for stop in stops]
            found.append(dict(zip(rule.memory, parts, strict=True)))
            first += len(stops) * rule.size
        return found

    def _link(self, codes: list[Any], libraries: list[Any], rules: list[GroupRule]) -> None:
        """Make the plan: its words are those of native/steps.py."""
        import numpy

        from miniflow.native.steps import steps_library

        width = sum(self.widths)
        remembered = sum(len(rule.memory) * rule.size for rule in rules)
        self.state = numpy.empty(self.parameters + remembered)
        self.fresh = numpy.empty_like(self.state)
        self.scratch = numpy.empty(max(code.scratch for code in codes) + 8)
        self.numbers = [numpy.empty(len(rule.numbers)) for rule in rules]
        self.columns, self.strides = array("q", bytes(8 * width)), array("q", [8]) * width
        self.kept: list[Any] = []  # what the words of groups lead to
        self.arrays, self.groups = self._array_words(), self._group_words(rules, libraries[1:])
        scratch = address_of(self.scratch)
        self.plan = array("q", [
            self.size, len(self.samples), _words_at(self.arrays), address_of(self.block), width,
            libraries[0]["batch"], _words_at(self.columns), _words_at(self.strides),
            address_of(self.state), address_of(self.totals), scratch + -scratch % 64,
            len(self.sums), address_of(self.sums), self.parameters, address_of(self.slopes),
            len(rules), _words_at(self.groups), address_of(self.state), address_of(self.fresh),
            self.state.nbytes,
        ])  # fmt: skip
        self.function = _STEPS(steps_library()["steps"])

    def _array_words(self) -> "array[int]":
        """Of each array of samples: where it is, and which of a batch's columns are its own."""
        words, first = array("q"), 0
        for a, width in zip(self.samples, self.widths, strict=True):
            words.extend((address_of(a), width, first))
            first += width
        return words

    def _group_words(self, rules: list[GroupRule], libraries: list[Any]) -> "array[int]":
        """Of each group: its rule, and where its columns and numbers are."""
        words, first, memory = array("q"), 0, self.parameters
        for rule, library, numbers in zip(rules, libraries, self.numbers, strict=True):
            n, more = rule.size, len(rule.memory)
            places = [8 * first, *[8 * (memory + k * n) for k in range(more)]]
            first, memory = first + n, memory + more * n
            columns = array("q", [address_of(self.state) + x for x in places])
            columns.insert(1, address_of(self.slopes) + places[0])
            out = array("q", [address_of(self.fresh) + x for x in places])
            strides = array("q", [8]) * len(columns)
            self.kept += [columns, strides, out]
            words.extend((library["batch"], _words_at(columns), _words_at(strides)))
            words.extend((address_of(numbers), n, _words_at(out)))
        return words


def address_of(x: Any) -> int:
    """Where the numbers of an array stand."""
    return int(x.__array_interface__["data"][0])


def _words_at(words: "array[Any]") -> int:
    return words.buffer_info()[0]
