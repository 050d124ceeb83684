"""A program run over a batch, as machine code."""

from array import array
from collections.abc import Callable
from typing import Any

from miniflow.native import machine, probe
from miniflow.native.batch import Batch
from miniflow.native.batch_wrapper import ArrayCall, BatchWrapper, makes
from miniflow.native.builtin import BuiltinFunction
from miniflow.native.emitter import ModuleText, Target
from miniflow.native.link import Library
from miniflow.native.parts import outline
from miniflow.native.python_rows import missed, raise_error
from miniflow.native.rows import ROWS
from miniflow.native.tiers import MachineCode, digest
from miniflow.native.tuning import LOOP, Tuning
from miniflow.program.expand import expanded
from miniflow.program.ir import Code
from miniflow.program.schedule import Arrangement, Shape


class BatchFunction:
    """A program run over a batch, as machine code that needs no interpreter lock.

    Attributes:
        builtin: the same as a built-in function on arrays, if there can be one.
    """

    def __init__(
        self, program: Code, shape: Shape, call: ArrayCall | None = None,
        fallback: Callable[..., Any] | None = None, *, fma: bool, precise: bool,
    ) -> None:  # fmt: skip
        self.outputs = len(program.outputs)
        self.masked = bool(program.guards)
        self.lanes = machine.lanes()
        fast = (frozenset(), frozenset()) if precise else (probe.vectors(), probe.inline())
        target = Target(self.lanes, fma, probe.functions(), *fast)
        known = expanded(program, ROWS.keys() | target.inline)
        batch = Batch(known, target, shape)
        self.python = batch.calls_python
        if call is not None and not (makes(program) and call.is_taken()):
            call = None
        self.scratch = batch.scratch
        key = None if call is None else call.key()
        what = "batch", shape, key, outline(program.result), fma, *map(sorted, fast)
        steps = (*batch.once.instructions, *batch.program.instructions)
        ops = dict.fromkeys(step.op for step in steps)

        def modules(batch: Batch) -> list[ModuleText]:
            return batch.modules() if call is None else BatchWrapper(batch, call).modules()

        def arranged(arrangement: Arrangement) -> list[ModuleText]:
            return modules(Batch(known, target, shape, arrangement))

        name = digest(program, *what)
        search = Tuning(batch, arranged) if Tuning.pays(batch) else None
        self.builtin: BuiltinFunction | None = None
        if call is None:
            label = program.name
            self.code = MachineCode(name, batch.modules, ops, ("batch",), label, search=search)
        else:
            wrapper = BatchWrapper(batch, call)
            made = name, wrapper.modules, ops, ("batch", "entry"), search
            callables = [fallback, *wrapper.constants_of]
            self.builtin = BuiltinFunction(program.name, callables, *made)
            self.code = self.builtin.code
        self._function: tuple[Library | None, Any] = None, None

    def __call__(self, columns: Any, uniform: Any, start: int, count: int, out: Any) -> Any:
        """Run over `count` elements from `start` on; `out` gets each output's numbers or their sum.

        Returns for each element 0, or 1 + the number of the guard where it left the program's path;
        None where there are no guards.
        """
        import numpy

        library, known = self.code.library, self._function
        if known[0] is not library:
            self._function = known = library, LOOP(library["batch"])
        whole = -(-count // self.lanes) * self.lanes
        failed = numpy.empty(whole if self.masked else 0, dtype=numpy.int32)
        scratch = numpy.empty(self.scratch + 8)
        aligned = _address(scratch)
        aligned += -aligned % 64
        columns_at = array("q", columns.starts(start))
        strides = array("q", columns.strides)
        where = _address(out)
        if out.ndim > 1:  # the numbers of each output stand side by side
            outputs = array("q", [where + k * out.strides[0] for k in range(self.outputs)])
            where = outputs.buffer_info()[0]
        for _ in range(2):  # a call that is missed may be another thread's
            before = missed.value
            known[1](
                columns_at.buffer_info()[0], strides.buffer_info()[0], _address(uniform), count,
                where, _address(failed), aligned,
            )  # fmt: skip
            if not self.python:
                break
            raise_error()
            if missed.value == before:
                break
        else:
            raise RecursionError("maximum recursion depth exceeded while a row was computed")
        return failed[:count] if self.masked else None


def _address(x: Any) -> int:
    """Where a NumPy array's numbers are."""
    found: int = x.__array_interface__["data"][0]
    return found
