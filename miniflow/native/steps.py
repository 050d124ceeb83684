"""Many steps of a training, one after the other, as machine code.

The function ``steps(plan, order, count)`` makes steps with `count` samples, in an order; each
is in C, where n is `size` or what is left of the samples,

    for (j = 0; j < width; j++) columns[j] = block + j * n;
    for (a = 0; a < arrays; a++)               // the samples of a batch, numbers side by side
        for (i = 0; i < n; i++)
            for (j = 0; j < width[a]; j++)
                columns[first[a] + j][i] = from[a][order[i] * width[a] + j];
    order += n;
    gradient(columns, strides, parameters, n, totals, NULL, scratch);
    for (k = 0; k < summed; k++) sums[k] += 0.0 + totals[k];
    for (k = 0; k < sloped; k++) slopes[k] = (0.0 + totals[summed + k]) / n;
    for (g = 0; g < groups; g++) {             // of parameters, by the optimiser's rule
        rule[g](columns[g], strides[g], numbers[g], count[g], out[g], NULL, scratch);
        numbers[g][0] += 1.0;                  // t
    }
    memcpy(state, fresh, bytes);               // out[g] is in fresh, columns[g] in state

where the gradient and the rules are functions as batch.py makes them. (A sum over a batch is
added to 0.0, as everywhere: it has one block.) All names but n stand for words of the plan, or of
the rows that it leads to: one for each array of samples, one for each group.
"""

from functools import cache

from miniflow.native.emitter import Emitter, Imports, Target, loop
from miniflow.native.link import Library
from miniflow.native.tiers import kept_library

PLAN = (
    "size", "arrays", "array", "block", "width", "gradient", "columns", "strides", "parameters",
    "totals", "scratch", "summed", "sums", "sloped", "slopes", "groups", "group", "state", "fresh",
    "bytes",
)  # fmt: skip
ARRAY = ("from", "width", "first")
GROUP = ("rule", "columns", "strides", "numbers", "count", "out")
WHOLE_WORDS = ("size", "arrays", "summed", "sloped", "groups", "bytes", "width", "first", "count")
LANES = 8  # components of a gradient that are divided at a time
MOVE = "@llvm.memcpy.p0.p0.i64"


class _Words:
    """A row of words in memory, read by their names."""

    def __init__(self, e: Emitter, base: str, names: tuple[str, ...]) -> None:
        self.e, self.base, self.names = e, base, names

    def __getitem__(self, name: str) -> str:
        place = self.e(f"getelementptr i64, ptr {self.base}, i64 {self.names.index(name)}")
        return self.e(f"load {'i64' if name in WHOLE_WORDS else 'ptr'}, ptr {place}")

    def row(self, name: str, k: str, names: tuple[str, ...]) -> "_Words":
        """Row k of those that begin where a word says."""
        first = self.e(f"mul i64 {k}, {len(names)}")
        start = self.e(f"getelementptr i64, ptr {self[name]}, i64 {first}")
        return _Words(self.e, start, names)


class _Steps:
    """The function, being written."""

    def __init__(self, imports: Imports) -> None:
        self.e = Emitter(imports, Target(1, False, frozenset(), frozenset()))
        self.plan = _Words(self.e, "%plan", PLAN)
        imports.declare(f"void {MOVE}(ptr, ptr, i64, i1)")

    def text(self) -> str:
        """All of it."""
        e, size = self.e, self.plan["size"]
        most = e(f"sub i64 {e(f'add i64 %count, {size}')}, 1")
        steps = e(f"udiv i64 {most}, {size}")
        loop(e, "steps", steps, self._step)
        lines = "\n".join([*self.e.lines, "ret void"])
        return f"define void @steps(ptr %plan, ptr %order, i64 %count) nounwind {{\n{lines}\n}}"

    def _step(self, step: str) -> None:
        e, plan = self.e, self.plan
        first = e(f"mul i64 {step}, {plan['size']}")
        left = e(f"sub i64 %count, {first}")
        whole = e(f"icmp ult i64 {plan['size']}, {left}")
        n = e(f"select i1 {whole}, i64 {plan['size']}, i64 {left}")
        chosen = e(f"getelementptr i64, ptr %order, i64 {first}")
        loop(e, "columns", plan["width"], lambda j: self._column(j, n))
        loop(e, "arrays", plan["arrays"], lambda a: self._gather(a, chosen, n))
        self._call(plan["gradient"], plan, plan["parameters"], n, plan["totals"])
        loop(e, "sums", plan["summed"], self._add)
        self._divide(n)
        loop(e, "groups", plan["groups"], self._move)
        given = f"ptr {plan['state']}, ptr {plan['fresh']}, i64 {plan['bytes']}, i1 false"
        e.line(f"call void {MOVE}({given})")

    def _at(self, base: str, k: str) -> str:
        return self.e(f"getelementptr double, ptr {base}, i64 {k}")

    def _number(self, base: str, k: str) -> str:
        return self.e(f"load double, ptr {self._at(base, k)}")

    def _put(self, x: str, base: str, k: str) -> None:
        self.e.line(f"store double {x}, ptr {self._at(base, k)}")

    def _column(self, j: str, n: str) -> None:
        """Where a column of the batch begins."""
        e, columns = self.e, self.plan["columns"]
        start = self._at(self.plan["block"], e(f"mul i64 {j}, {n}"))
        e.line(f"store ptr {start}, ptr {e(f'getelementptr ptr, ptr {columns}, i64 {j}')}")

    def _gather(self, a: str, chosen: str, n: str) -> None:
        """Copy the chosen samples of an array."""
        e, array = self.e, self.plan.row("array", a, ARRAY)
        source, width = array["from"], array["width"]
        to = self._at(self.plan["block"], e(f"mul i64 {array['first']}, {n}"))

        def sample(i: str) -> None:
            place = e(f"getelementptr i64, ptr {chosen}, i64 {i}")
            start = self._at(source, e(f"mul i64 {e(f'load i64, ptr {place}')}, {width}"))

            def number(j: str) -> None:
                place = e(f"add i64 {e(f'mul i64 {j}, {n}')}, {i}")
                self._put(self._number(start, j), to, place)

            loop(e, "numbers", width, number)

        loop(e, "samples", n, sample)

    def _call(self, f: str, words: _Words, numbers: str, count: str, out: str) -> None:
        """Call a loop over a batch."""
        columns, strides, scratch = words["columns"], words["strides"], self.plan["scratch"]
        given = f"ptr {columns}, ptr {strides}, ptr {numbers}, i64 {count}, ptr {out}, ptr null"
        self.e.line(f"call void {f}({given}, ptr {scratch})")

    def _add(self, k: str) -> None:
        """Add to a running sum."""
        sums, zero = self.plan["sums"], self.e.number(0.0)
        total = self.e(f"fadd double {zero}, {self._number(self.plan['totals'], k)}")
        self._put(self.e(f"fadd double {self._number(sums, k)}, {total}"), sums, k)

    def _divide(self, n: str) -> None:
        """The mean gradient, some components at a time, with room for some more at its end."""
        e, t = self.e, f"<{LANES} x double>"
        start, slopes = self._at(self.plan["totals"], self.plan["summed"]), self.plan["slopes"]
        one = e(f"insertelement {t} poison, double {e(f'uitofp i64 {n} to double')}, i32 0")
        all_n = e(f"shufflevector {t} {one}, {t} poison, <{LANES} x i32> zeroinitializer")

        def some(k: str) -> None:
            first = e(f"mul i64 {k}, {LANES}")
            total = e(f"load {t}, ptr {self._at(start, first)}, align 8")
            mean = e(f"fdiv {t} {e(f'fadd {t} zeroinitializer, {total}')}, {all_n}")
            e.line(f"store {t} {mean}, ptr {self._at(slopes, first)}, align 8")

        most = e(f"add i64 {self.plan['sloped']}, {LANES - 1}")
        loop(e, "slopes", e(f"udiv i64 {most}, {LANES}"), some)

    def _move(self, k: str) -> None:
        """Apply the rule of a group of parameters."""
        group = self.plan.row("group", k, GROUP)
        numbers = group["numbers"]
        self._call(group["rule"], group, numbers, group["count"], group["out"])
        t = self._number(numbers, "0")
        self._put(self.e(f"fadd double {t}, {self.e.number(1.0)}"), numbers, "0")


@cache
def steps_library() -> Library:
    """The function, compiled once and kept on disk."""
    imports = Imports()
    return kept_library(imports.module([_Steps(imports).text()], ["steps"], "steps"), "training")
