"""Who is to blame for a wrong derivative: the tape is walked, entry by entry."""

import math
from collections.abc import Sequence
from typing import Any

from miniflow.operation import OPERANDS
from miniflow.program.ir import Place
from miniflow.program.places import Origins, watched
from miniflow.tape.core import here
from miniflow.tape.notes import Trace
from miniflow.testing import vectors
from miniflow.testing.graphs import CallGraph
from miniflow.testing.report import Comparison, Culprit, derivative_name, short
from miniflow.testing.rules import Fault, Rules, jumps_everywhere
from miniflow.testing.rules import slope as right_slope
from miniflow.testing.subject import Subject


class Blame:
    """The entries of a call with their lines of source, once somebody asks for them."""

    def __init__(self, subject: Subject, rules: Rules, order: int, *, faithful: bool) -> None:
        self.subject, self.rules, self.faithful = subject, rules, faithful
        self.graph = rules.graph
        self.order = min(order, 2)
        self.places: dict[int, Place | None] = {}
        self.overflows = False
        self.values: list[Any] = []  # what stands for the entries of the call with lines
        self.outs: list[Any] = []

    def culprits(self, wrong: Sequence[Comparison]) -> list[Culprit]:
        """The operations whose rules are wrong; else those that lose what comes to them."""
        faults = self.rules.faults(self.order, every=bool(wrong))
        if faults:
            self.look()
            return [self.of_fault(fault) for fault in faults]
        if any(not math.isfinite(x.got) for x in wrong):
            self.look()
            return self.spoilt()
        if wrong and not self.faithful:
            return self.strays()
        return []

    def excuses(self, *, sure: bool) -> list[str]:
        """Why what seems wrong cannot be judged; nothing if it can."""
        kinks = self.kinks()
        if kinks:
            return kinks
        if self.overflows:
            return ["a derivative on the way is too large for a double"]
        if not sure:
            return ["the judges are not sure enough, and every rule on the way is right"]
        return []

    def kinks(self) -> list[str]:
        """The operations that have a kink where they are, in words; or that there is a branch."""
        found = self.rules.kinks(self.order)
        if found:
            self.look()
        if not (found or self.faithful):
            return ["right beside the point f takes another branch"]
        return [self.kink(k) for k in found]

    def kink(self, k: int) -> str:
        """An operation with a kink, in words."""
        xs = ", ".join(repr(self.graph.values[x]) for x in self.graph.operands[k])
        return f"{self.graph.ops[k].name} has a kink, or jumps, at ({xs}){self.at(k)}"

    # --- lines of source ----------------------------------------------------------

    def look(self) -> None:
        """Call the function once more, and note which line records what."""
        if self.values:
            return
        table, notes, names = here.table, Trace(), dict[int, str]()
        with table.hold():
            with watched(table, notes, names):
                call = self.subject.record(self.subject.numbers, inner=True)
            again = CallGraph(table, call.inputs, call.outputs)
            if [x.name for x in again.ops] != [x.name for x in self.graph.ops]:
                return  # it is another call each time
            self.places = dict(enumerate(Origins(table, notes).places(again.entries)))
            self.values = [table.handle(n) for n in again.entries]
            self.outs = call.outputs
            self.christen(again, names)

    def christen(self, graph: CallGraph, names: dict[int, str]) -> None:
        """Name the inputs, and results by the variables that hold them."""
        for n, v in zip(graph.entries, self.values, strict=True):
            if n in names and not v.label and v.op != "constant":
                v.label = names[n]
        for places, name in zip(graph.places, self.subject.names, strict=True):
            for k in places:
                if not self.values[k].label:
                    self.values[k].label = name

    def place(self, k: int) -> tuple[str, int]:
        """The file and the line that recorded an entry; "" and 0 if that is not known."""
        found = self.places.get(k)
        return (found.file, found.line) if found is not None else ("", 0)

    def at(self, k: int) -> str:
        """The same in words."""
        file, line = self.place(k)
        return f": {short(file)}:{line}" if line else ""

    def outputs(self, wrong: Sequence[Comparison]) -> list[Any]:
        """What to draw: the outputs of the call with lines, with gradients where these are ours."""
        self.look()
        name = wrong[0].of if wrong else ""
        found = [v for v, out in zip(self.outs, self.subject.out, strict=True) if out == name]
        found = found or self.outs
        if not self.subject.captured and found and found[0].op not in ("constant", "leaf"):
            found[0].backward()
        return found[:1] or found

    # --- who ----------------------------------------------------------------------

    def blamed(self, k: int, what: str, brief: str, **more: Any) -> Culprit:
        """An entry as a culprit."""
        file, line = self.place(k)
        xs = tuple([self.graph.values[x] for x in self.graph.operands[k]])
        facts = {"name": "", "got": math.nan, "expected": math.nan, **more}
        value = self.values[k] if self.values else None
        return Culprit(what, brief, self.graph.ops[k].name, file, line, xs, value=value, **facts)

    def of_fault(self, fault: Fault) -> Culprit:
        """A wrong rule."""
        name, count = fault.op.name, len(fault.operands)
        called = OPERANDS.get(count) or [f"x{k + 1}" for k in range(count)]
        derivative = derivative_name(name, [called[k] for k in fault.by])
        rule = "the second derivative" if len(fault.by) > 1 else "the partial"
        what = f"operation {name}: {rule} by {' and '.join(called[k] for k in fault.by)} is wrong"
        return self.blamed(
            fault.place,
            what,
            f"{derivative} is wrong",
            name=derivative,
            got=fault.got,
            expected=fault.expected,
        )

    def spoilt(self) -> list[Culprit]:
        """The entry, from the output on, that first passes back what is no number."""
        graph = self.graph
        adjoints = dict.fromkeys(graph.outputs, 1.0)
        for k in reversed(graph.steps()):
            operands = graph.operands[k]
            if k not in adjoints:
                continue
            slopes, _ = self.rules.rule(k, 1)
            for j, (x, slope) in enumerate(zip(operands, slopes, strict=True)):
                part = adjoints[k] * slope
                if not math.isfinite(part) and graph.active[x]:
                    self.overflows = self.too_large(k, j, adjoints[k], slope)
                    return [] if self.overflows else [self.spoiler(k, adjoints[k], slope)]
                adjoints[x] = adjoints.get(x, 0.0) + part
        return []

    def spoiler(self, k: int, adjoint: float, slope: float) -> Culprit:
        """An entry that passes back what is no number."""
        brief = f"passes back {adjoint!r} * {slope!r}"
        return self.blamed(k, f"operation {self.graph.ops[k].name} {brief}", brief)

    def too_large(self, k: int, j: int, adjoint: float, slope: float) -> bool:
        """Whether what is no number would be one, if doubles went further."""
        if math.isfinite(adjoint) and math.isfinite(slope):
            return True
        op, xs = self.graph.ops[k], [self.graph.values[x] for x in self.graph.operands[k]]
        return jumps_everywhere(op, xs) or math.isinf(right_slope(op, xs, j).value)

    def strays(self) -> list[Culprit]:
        """Plain numbers that change with the inputs: what they come from is not recorded."""
        graph, table = self.graph, here.table
        point = next(iter(vectors.points_apart(self.subject.movable, self.subject.numbers)))
        call = self.subject.record(point, inner=True)
        found = graph.strays(CallGraph(table, call.inputs, call.outputs))
        if found:
            self.look()
        return [self.stray(k) for k in found]

    def stray(self, k: int) -> Culprit:
        """A plain number that changes with the inputs."""
        users = [n for n, operands in enumerate(self.graph.operands) if k in operands]
        where = f" in {self.graph.ops[users[0]].name}" if users else ", which f returns,"
        what = (
            f"the plain number {self.graph.values[k]!r}{where} changes with the inputs, and no "
            "gradient goes through it (.data, detach(), no_grad(), numbers of its own); "
            "where that is meant, use math.stop_gradient"
        )
        found = self.blamed(k, what, "it changes, and has no gradient")
        file, line = self.place(users[0]) if users else ("", 0)
        return found._replace(file=file, line=line)
