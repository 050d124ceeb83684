"""The built-in function of a program on one point: numbers in, kernel, result; as LLVM IR."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from miniflow.native.emitter import Emitter, Imports, ModuleText, Target
from miniflow.native.kernel import Access, Kernel
from miniflow.native.layout import BARE, COUNTED, NUMBER
from miniflow.native.packing import PackedKernel, Packs
from miniflow.native.parts import arrays, constants_in, is_made
from miniflow.native.wrapper import Wrapper, locations_of, with_helpers
from miniflow.program.ir import Code
from miniflow.program.structures import NUMBER_LEAF

STACK = 128  # numbers that a built-in function keeps on the stack; beyond, on the heap
SPARE = 2  # results of earlier calls that are kept: mostly the caller still has the last one
MOST_REUSED = 32  # numbers that such results have at most


def reusable(tree: Any) -> bool:
    """Whether a structure is made of floats and tuples only, which cannot be changed."""
    if type(tree) is tuple:
        return BARE and len(tree) > 0 and all(map(reusable, tree))
    return tree is NUMBER_LEAF


class ScalarWrapper(Wrapper):
    """A built-in function for one program whose arguments are `is_taken`.

    Attributes:
        constants_of: what comes last among its callables.
    """

    def __init__(self, program: Code, target: Target, width: int = 1) -> None:
        whole = is_made(program.result)
        result = program.result if whole else [NUMBER_LEAF] * len(program.outputs)
        self.sinks = locations_of(result, "%out", "%r")
        whole &= not any(self.sinks[k].base != "%out" for k in program.ints)
        if not whole:
            result = [NUMBER_LEAF] * len(program.outputs)
            self.sinks = locations_of(result, "%out", "%r")
        self.whole = whole
        makers = 1 + len(program.guards)
        super().__init__(result, makers, Imports(), target, makers + 1 + SPARE)
        self.program = program
        args, kwargs = program.arguments
        self.parts = [*args, *kwargs.values()]
        self.constants_of = [*kwargs, *constants_in(self.parts)]
        self.constants_of += constants_in(result, made=True)
        if whole:
            first = makers + 1 + SPARE + len(self.constants_of)
            self.fixed = {self.sinks[k]: first + i for i, k in enumerate(program.ints)}
            self.constants_of += program.ints.values()
        self.sources = locations_of(self.parts, "%in", "%a")
        bases = dict.fromkeys(["%in", "%out", *self.sources.bases, *self.sinks.bases])
        access = Access(
            tuple([("ptr noalias", base) for base in bases]), self._load, self._store,
            self.sources.__getitem__, self.sinks.__getitem__,
        )  # fmt: skip
        self.kernel = Kernel(program, target, access)
        if width > 1 and self.kernel.whole and not program.guards:
            packs = Packs(program, width, self.sources, self.sinks)
            if packs.of:
                self.kernel = PackedKernel(packs, target, access, self.sinks)

    def _load(self, e: Emitter, slot: int) -> str:
        base, index = self.sources[slot]
        return e(f"load double, ptr {e(f'getelementptr double, ptr {base}, i64 {index}')}")

    def _store(self, e: Emitter, output: int, x: str) -> None:
        base, index = self.sinks[output]
        e.line(f"store double {x}, ptr {e(f'getelementptr double, ptr {base}, i64 {index}')}")

    def modules(self) -> list[ModuleText]:
        """All code: the function ``entry`` and what it calls."""
        bodies = [self.kernel.piece(self.imports, 0)] if self.kernel.whole else []
        bodies += with_helpers(self._entry())
        pieces = [] if self.kernel.whole else self.kernel.modules()
        return [self.imports.module(bodies, ["entry"], "entry"), *pieces]

    def _entry(self) -> str:
        """The function that Python calls."""
        args, kwargs = self.program.arguments
        self._buffers()
        sources = iter(self.sources)
        for tree, x in zip(self.parts, list(self.begin(args, kwargs)), strict=True):
            self._take(tree, x, sources)
        if self.kernel.calls_python:
            self._hold()
        made = [self._array(k, x.shape) for k, x in enumerate(arrays(self.result))]
        self._run()
        reuse = COUNTED and len(self.sinks) <= MOST_REUSED and reusable(self.result)
        reuse = reuse and not self.fixed
        found = self._reused() if reuse else self._make(self.result, iter(self.sinks), iter(made))
        if not self.whole:
            rebuild = self._callable(f"{self.makers}")
            whole = self._call("ptr", "PyObject_CallOneArg", f"ptr {rebuild}, ptr {found}")
            self._call("void", "Py_DecRef", f"ptr {found}")
            found = whole
        return self.finish(found, made)

    def _buffers(self) -> None:
        """Make room for the bases."""
        e, sizes = self.e, {"%in": 1, "%out": 1, "%work": self.kernel.room}
        for base, index in chain(self.sources, self.sinks):
            if base in sizes:
                sizes[base] = max(sizes[base], index + 1)
        total = sum(sizes.values())
        if total <= STACK:
            for base, size in sizes.items():
                e.line(f"{base} = alloca [{max(size, 1)} x double], align 64")
            return
        heap, offset = self.allocate(f"{8 * total}"), 0
        for base, size in sizes.items():
            e.line(f"{base} = getelementptr double, ptr {heap}, i64 {offset}")
            offset += size

    def _run(self) -> None:
        """Run the kernel; leave where something failed."""
        e, kernel = self.e, self.kernel
        with self._rows(kernel.calls_python):
            which = kernel.call(e, [name for _, name in kernel.parameters()])[-1]
        e.line(f"store i64 {which}, ptr %which")
        self._demand(e(f"icmp eq i64 {which}, 0"), "failed")

    def _reused(self) -> str:
        """The oldest result that is kept, with new numbers; a new one if the old one is in use."""
        e = self.e
        old = self._refilled()
        e.line("br label %refilled\nrefilled:\nbr label %made")
        e.line("anew:")
        new = self._renewed()
        e.line("br label %renewed\nrenewed:\nbr label %made")
        e.line("made:")
        return e(f"phi ptr [{old}, %refilled], [{new}, %renewed]")

    def _refilled(self) -> str:
        """The oldest result that is kept, with new numbers, if it is not in use."""
        e = self.e
        spare = self._spare()
        old, other = [e(f"load ptr, ptr {place}") for place in spare]
        places = list(self._unused(self.result, old))
        for place, sink in zip(places, self.sinks, strict=True):
            e.line(f"store double {e(f'load double, ptr {self._at(sink)}')}, ptr {place}")
        e.line(f"store i64 2, ptr {old}")  # its references: the one that is kept, the caller's
        self._keep(spare, other, old)
        return old

    def _renewed(self) -> str:
        """A new result, kept in the place of the oldest one."""
        e = self.e
        new = self._make(self.result, iter(self.sinks), iter(()))
        self._call("void", "Py_IncRef", f"ptr {new}")
        spare = self._spare()  # making it may have run Python, and this function
        gone, other = [e(f"load ptr, ptr {place}") for place in spare]
        self._keep(spare, other, new)
        self._call("void", "Py_DecRef", f"ptr {gone}")
        return new

    def _spare(self) -> list[str]:
        """Where the results that are kept are found, the oldest one first."""
        items, first = self._items(list, "%self"), self.makers + 1
        return [self.e(f"getelementptr ptr, ptr {items}, i64 {first + k}") for k in range(SPARE)]

    def _keep(self, spare: list[str], *results: str) -> None:
        for place, x in zip(spare, results, strict=True):
            self.e.line(f"store ptr {x}, ptr {place}")

    def _unused(self, tree: Any, x: str) -> Iterator[str]:
        """Go on if no part of a result is in use; where its numbers stand."""
        e = self.e
        references = e(f"load i64, ptr {x}")
        self._demand(e(f"icmp eq i64 {references}, 1"), "anew")
        if tree is NUMBER_LEAF:
            yield e(f"getelementptr i8, ptr {x}, i64 {NUMBER}")
            return
        items = self._items(tuple, x)
        for k, part in enumerate(tree):
            place = e(f"getelementptr ptr, ptr {items}, i64 {k}")
            yield from self._unused(part, e(f"load ptr, ptr {place}"))
