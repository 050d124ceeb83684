"""Which arrangement of a loop over a batch is the fastest on this processor: measured, once.

All of them give the same answers, so callers use the first one while others are tried.
"""

import ctypes
import random
import time
from array import array
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from itertools import accumulate
from typing import Any

from miniflow.native.batch import Batch
from miniflow.native.emitter import ModuleText
from miniflow.native.link import Library
from miniflow.program.schedule import UNTUNED, Arrangement

TUNED_FROM = 200  # instructions of a program for which the arrangement counts for anything
ELEMENTS = 1024  # of the batch that is measured
TURNS = 15  # in which the two that are compared take turns; the best time of each counts
BETTER = 0.97  # of the time that was the best so far: less may be chance

LOOP = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64, *[ctypes.c_void_p] * 3)


class Tuning:
    """The search for the fastest arrangement of one loop.

    Attributes:
        best: the arrangement that is the fastest so far.
        modules: the code of an arrangement.
    """

    def __init__(self, batch: Batch, modules: Callable[[Arrangement], list[ModuleText]]) -> None:
        self.best = UNTUNED
        self.modules = modules
        self._sizes = {
            "columns": len(batch.batched) * ELEMENTS,
            "uniform": len(batch.uniform),
            "out": batch.outputs * (1 if batch.shape.total else ELEMENTS),
            "failed": ELEMENTS,
            "scratch": batch.scratch + 8,
        }
        self._columns = len(batch.batched)
        self._outputs = 0 if batch.shape.total else batch.outputs

    @staticmethod
    def pays(batch: Batch) -> bool:
        """Whether there is anything to find: not in short loops, nor in those cut in pieces."""
        return batch.kernel.whole and not batch.calls_python and len(batch.program) >= TUNED_FROM

    def others(self) -> Iterator[Arrangement]:
        """What is to be tried after the first one."""
        yield UNTUNED._replace(paired=False)
        yield UNTUNED._replace(late=False)
        yield UNTUNED._replace(late=False, paired=False)
        yield self.best._replace(registers=1)

    def is_faster(self, library: Library, other: Library) -> bool:
        """Whether one arrangement's code is faster than the other's, both in memory."""
        calls = [partial(LOOP(x["batch"]), *self._arguments[0]) for x in (library, other)]
        times = [[_time_of(call) for call in calls] for _ in range(TURNS)]
        new, old = map(min, zip(*times, strict=True))
        return bool(new < BETTER * old)

    @cached_property
    def _arguments(self) -> tuple[list[int], Any]:
        """What the loop is called with, made up once for all calls; and the memory behind it."""
        memory = array("d", bytes(8 * (sum(self._sizes.values()) + 8)))
        begin = memory.buffer_info()[0]
        start = begin + -begin % 64
        ends = accumulate(self._sizes.values(), initial=start // 8)
        at = {name: 8 * k for name, k in zip(self._sizes, ends, strict=False)}
        source = random.Random(0)  # not the numbers of the user's own generator
        inputs = range((start - begin) // 8, (at["out"] - begin) // 8)
        memory[inputs.start : inputs.stop] = array("d", [source.uniform(0.5, 1.5) for _ in inputs])
        columns = array("q", [at["columns"] + 8 * ELEMENTS * k for k in range(self._columns)])
        strides = array("q", [8] * self._columns)
        outputs = array("q", [at["out"] + 8 * ELEMENTS * k for k in range(self._outputs)])
        found = [
            columns.buffer_info()[0],
            strides.buffer_info()[0],
            at["uniform"],
            ELEMENTS,
            outputs.buffer_info()[0] if self._outputs else at["out"],
            at["failed"],
            at["scratch"] + -at["scratch"] % 64,
        ]
        return found, (memory, columns, strides, outputs)


def _time_of(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
