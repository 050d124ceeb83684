"""A batch spread over the workers of an executor, block by block.

The function stays here. What travels is a recorded program, which each worker compiles for itself
and keeps, and then the numbers of each block. It does not matter where and when a block is
computed: answers are put together here, in the order of the blocks. So they are those of
this process alone, bit for bit (functions of several lanes: on processors of one kind).
"""

import hashlib
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable
from importlib import import_module
from typing import Any, NamedTuple

from miniflow.compiled.batch_arguments import BatchColumns
from miniflow.compiled.batch_run import BatchOptions, LoopedBatch
from miniflow.compiled.evaluators import Evaluator
from miniflow.ops import BUILTIN, TABLE, Op
from miniflow.program.ir import Code, Guard, Instruction
from miniflow.program.schedule import Shape
from miniflow.program.structures import NUMBER_LEAF
from miniflow.util.words import shown

AHEAD = 64  # blocks on their way at once: more would only take memory
MOST_KEPT = 64  # programs that a worker keeps


def an_executor(who: str, executor: Any) -> Any:
    """Refuse what takes no tasks; None stands for no executor.

    Raises:
        TypeError: `executor` has no method `submit`; the message begins with `who`.
    """
    if executor is not None and (
        isinstance(executor, type) or not callable(getattr(executor, "submit", None))
    ):
        raise TypeError(
            f"{who}: executor must be one of concurrent.futures, such as ProcessPoolExecutor(), "
            f"or like them; of a Dask client it is client.get_executor(); got {shown(executor)}"
        )
    return executor


class Workers:
    """The workers of an executor. They are given programs to run over blocks."""

    def __init__(self, executor: Any) -> None:
        self.executor = executor

    def batch(self, program: Code, options: BatchOptions, backend: str, fma: bool) -> "Spread":
        """A program that they run."""
        how = options.total, options.precise, backend, fma
        return Spread(self.executor, program, packed(program, *how))


class Spread:
    """A program run over a batch by the workers of an executor.

    Attributes:
        outputs: how many numbers it makes of an element.
    """

    def __init__(self, executor: Any, program: Code, text: bytes) -> None:
        self.executor = executor
        self.outputs = len(program.outputs)
        self.text = text
        self.name = hashlib.sha256(text).hexdigest()
        self.sent = False  # once the workers had the program, its name will do

    def run(
        self, columns: BatchColumns, uniform: Any, blocks: Iterable[tuple[int, int, Any]]
    ) -> list[Any]:
        """Run over blocks of elements: ``(start, count, out)``, where `out` gets the numbers.

        Returns for each block whether each of its elements has left the program's path.
        """
        arrays = columns.arrays
        waiting: deque[tuple[Any, ...]] = deque()
        failed = []
        try:
            for start, count, out in blocks:
                if len(waiting) == AHEAD:
                    failed.append(self._taken(*waiting.popleft()))
                numbers = _rows_beside(arrays, start, count)
                block = BlockNumbers(columns.places, numbers, uniform, count)
                text = None if self.sent else self.text
                waiting.append((self._submitted(text, block), block, out))
            while waiting:
                failed.append(self._taken(*waiting.popleft()))
        finally:
            for future, *_ in waiting:  # of an error
                future.cancel()
        self.sent = True
        return failed

    def _submitted(self, text: bytes | None, block: "BlockNumbers") -> Any:
        try:
            return self.executor.submit(run_block, self.name, text, block)
        except Exception as error:
            raise self._lost(error) from error

    def _taken(self, future: Any, block: "BlockNumbers", out: Any) -> Any:
        """Put a block's numbers where they belong; whether its elements have left the path."""
        import numpy

        answer = self._result(future)
        if answer is None:  # a new worker, or one that had to forget
            answer = self._result(self._submitted(self.text, block))
        if isinstance(answer, Exception):
            raise answer
        numbers, failed = answer
        out[...] = numbers
        return numpy.zeros(block.length, dtype=bool) if failed is None else failed

    def _result(self, future: Any) -> Any:
        try:
            return future.result()
        except Exception as error:
            raise self._lost(error) from error

    def _lost(self, error: Exception) -> RuntimeError:
        return RuntimeError(
            f"{type(self.executor).__name__} has lost a block of a batch "
            f"({type(error).__name__}: {error}); nothing was changed by this call or step: "
            "go on with a new executor"
        )


class BlockNumbers(NamedTuple):
    """A block of a batch: which of an element's numbers run along it, these, and the others."""

    places: list[int]
    numbers: Any
    uniform: Any
    length: int


def _rows_beside(arrays: list[Any], start: int, count: int) -> Any:
    """Some elements of all columns, side by side."""
    import numpy

    numbers = numpy.empty((len(arrays), count))
    for row, array in zip(numbers, arrays, strict=True):
        row[:] = array[start : start + count]
    return numbers


# --- programs that travel --------------------------------------------------------------


def packed(program: Code, total: bool, precise: bool, backend: str, fma: bool) -> bytes:
    """A program, and how it is to be run, for another process.

    The table's own rows go by name, those of users with the functions that compute them.

    Raises:
        TypeError: such a function cannot be pickled.
    """
    place = {op: k for k, op in enumerate({step.op: None for step in program.instructions})}
    own = {op.name: _row_parts(op) for op in place if op not in BUILTIN}
    steps = [(place[op], operands) for op, operands in program.instructions]
    inputs = program.inputs + len(program.captured)
    try:
        return _pickler().dumps(  # type: ignore[no-any-return]
            (
                _version(), (total, precise, backend, fma), [op.name for op in place], own,
                (program.name, inputs, program.constants, steps, program.outputs),
                [tuple(guard) for guard in program.guards],
            )
        )  # fmt: skip
    except Exception as error:
        raise TypeError(
            f"executor: operation {' or '.join(own)} cannot be sent to other processes ({error}); "
            "define it with functions of a module that they can import, or pip install cloudpickle"
        ) from error


def unpacked(text: bytes) -> tuple[Code, bool, bool, str, bool]:
    """The program, and the rest of what `packed` was given.

    Raises:
        RuntimeError: it comes from another version of miniflow.
    """
    version, how, names, own, parts, guards = import_module("pickle").loads(text)
    if version != _version():
        raise RuntimeError(
            f"executor: a worker has miniflow {_version()}, and is sent a program of {version}; "
            "install the same version everywhere"
        )
    rows = [Op(*own[name][0], **own[name][1]) if name in own else TABLE[name] for name in names]
    name, inputs, constants, steps, outputs = parts
    program = Code(
        name, ("xs",), (([NUMBER_LEAF] * inputs,), {}), [NUMBER_LEAF] * len(outputs), (), constants,
        [Instruction(rows[k], operands) for k, operands in steps], outputs,
        [Guard(*guard) for guard in guards], {}, [None] * len(steps),
    )  # fmt: skip
    return program, *how


def _row_parts(op: Op) -> tuple[Any, ...]:
    """What a row is made of; its partials are parts of other programs."""
    facts = ("text", "python", "c", "commutative", "packable", "selects")
    given = {name: getattr(op, name) for name in facts}
    return (op.name, op.value, (), op.arity), given


def _pickler() -> Any:
    """What takes functions by value, where it is installed."""
    try:
        return import_module("cloudpickle")
    except ImportError:
        return import_module("pickle")


def _version() -> str:
    version: str = import_module("miniflow").__version__
    return version


# --- what a worker does --------------------------------------------------------------


def run_block(name: str, text: bytes | None, block: BlockNumbers) -> Any:
    """The numbers of a block and which elements have left the path; None without the program.

    An error is returned: what is raised comes from the executor alone.
    """
    try:
        runner = _known(name, text)
        return None if runner is None else runner(block)
    except Exception as error:
        return error


class BlockRunner:
    """A program in a worker, compiled when its first block comes."""

    def __init__(self, text: bytes) -> None:
        self.program, self.total, self.precise, self.backend, self.fma = unpacked(text)
        self.code: Any = None
        self.lock = threading.Lock()

    def __call__(self, block: BlockNumbers) -> tuple[Any, Any]:
        """The numbers of each output, or their sums; which elements have left the path."""
        import numpy

        inputs, count = self.program.inputs, len(self.program.outputs)
        columns = BatchColumns([*zip(block.places, block.numbers, strict=True)], inputs)
        with self.lock:
            if self.code is None:
                self.code = self._compiled(Shape(columns.layout, self.total))
        out = numpy.empty(count if self.total else (count, block.length))
        failed = self.code(columns, block.uniform, 0, block.length, out)
        return out, failed if self.program.guards else None

    def _compiled(self, shape: Shape) -> Any:
        program = self.program
        if self.backend == "native":
            from miniflow.native.batch_function import BatchFunction

            return BatchFunction(program, shape, fma=self.fma, precise=self.precise)
        run = Evaluator(program, backend=self.backend, fma=self.fma, after=threading.Event())
        return LoopedBatch(run, len(program.outputs), shape)


_runners: OrderedDict[str, BlockRunner] = OrderedDict()  # by name; what was used last comes last
_lock = threading.Lock()


def _known(name: str, text: bytes | None) -> BlockRunner | None:
    """A program that this process has, or is given."""
    with _lock:
        if name not in _runners and text is not None:
            _runners[name] = BlockRunner(text)
            if len(_runners) > MOST_KEPT:
                _runners.popitem(last=False)
        if name in _runners:
            _runners.move_to_end(name)
        return _runners.get(name)
