"""What a user has of a traced function: a program, to be called, printed and drawn."""

from collections.abc import Iterable
from typing import Any

from miniflow import ops
from miniflow.ops import real
from miniflow.program.c import c_text
from miniflow.program.expand import expanded
from miniflow.program.ir import Code
from miniflow.program.javascript import javascript_text
from miniflow.program.kinds import arithmetic
from miniflow.program.python import python_text
from miniflow.program.structures import match_numbers
from miniflow.tape.core import Value
from miniflow.util.notebook import InNotebook


class Program(Code, InNotebook):
    """One path through a function: immutable, callable, hashable by content.

    Its attributes are those of `Code`.
    """

    @staticmethod
    def of(code: Code) -> "Program":
        """The program of some code; it has the very parts of the code."""
        program = object.__new__(Program)
        vars(program).update(vars(code))
        return program

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program.

        Args:
            *args: numbers in the structure that was traced: plain ones, Values, NumPy
                arrays of one shape (element by element), fractions or mpmath's numbers.

            **kwargs: the same for arguments that were given by name.

        Returns:
            The results in the structure that the function returned: Values if Values went in
            or are captured, else floats, arrays, fractions ... as the arguments are.

        Raises:
            PathError: the function takes another path there.
            TypeError: the structure differs, or an operation is unknown to such numbers.
        """
        xs = match_numbers(self.name, (args, kwargs), self.arguments)
        live = any(x.__class__ is Value for x in (*xs, *self.captured))
        if live and arithmetic([x for x in xs if x.__class__ is not Value]) is not None:
            raise TypeError(
                f"{self.name}: with Values, its own or others, a program takes single numbers; "
                "for arrays use vmap"
            )
        if live:
            ys = self.run([*xs, *self.captured], lambda op: op)
            return self.rebuild([y if y.__class__ is Value else ops.real(y) for y in ys])
        kind = arithmetic(xs)
        if kind is None:
            return self.rebuild(self.evaluate([real(x, self.name) for x in xs]))
        code = expanded(self, kind)
        xs = [kind.literal(x) if hasattr(x, "dtype") else x for x in xs]
        constants = [*map(kind.literal, code.constants)]
        return self.rebuild(code.run(xs, lambda op: kind[op.name], constants))

    def expanded(self, known: Iterable[str]) -> "Program":
        """The same program with rows that are not `known` in terms of simpler ones."""
        return Program.of(expanded(self, known))

    def source(self) -> str:
        """The program as Python that runs without miniflow: a function of the same name."""
        return python_text(self)

    def c_source(self) -> str:
        """The program as C99 that stands alone: ``int name(const double *in, double *out)``.

        `in` has the inputs, then the captured Values' numbers; `out` gets the outputs. The
        function returns 0, or k + 1 where guard k fails; then `out` is as before. For the
        eager answers, bit for bit (but of gamma and lgamma, which C has otherwise), compile
        with ``-ffp-contract=off -fno-builtin``.

        Raises:
            TypeError: an operation is a Python function.
        """
        return c_text(self)

    def js_source(self) -> str:
        """The program as JavaScript that stands alone: a module that exports the function.

        Lists, tuples and arrays are arrays there, dicts and dataclasses objects; captured
        Values are parameters behind the others, with their present numbers for defaults. Where
        a guard fails the function throws a RangeError. Arithmetic, comparisons and choices are
        the eager answers, bit for bit; functions are those of JavaScript's `Math`.

        Raises:
            TypeError: an operation is a Python function, or a part of the result is not of
                JavaScript.
        """
        return javascript_text(self)
