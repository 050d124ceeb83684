"""Draw an expression or a saved model from the command line: ``python -m viz --help``."""

import argparse
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from typing import Any, NoReturn
from unicodedata import normalize

USAGE = """\
python -m viz [options] EXPRESSION [name=number ...]
       python -m viz [options] MODEL.json
"""
DESCRIPTION = """\
Draw an expression with its gradients, or a network that Module.save wrote.

  python -m viz "tanh(a*b + c)" a=2 b=-3 c=10 --grad -o graph.svg
  python -m viz "tanh(a*b + c)" a=2 b=-3 c=10 -o steps.html
  python -m viz model.json -o net.svg
"""
EPILOG = """\
An expression is made of names, numbers, + - * / // % **, pi, e and the functions of
miniflow.math. Exit status: 0, or 1 where something failed, or 2 where the command is wrong.
"""


class UsageError(ValueError):
    """The command is wrong."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Complain about the command."""
        raise UsageError(f"{message} (python -m viz --help)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: those of the command line; by default the process's own.

    Returns:
        The exit status.
    """
    try:
        run(_options(sys.argv[1:] if arguments is None else arguments))
    except UsageError as error:
        return _complain(error, 2)
    except KeyboardInterrupt:
        return _complain("interrupted", 1)
    except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
        return _complain(error, 1)
    return 0


def _complain(error: object, status: int) -> int:
    if isinstance(error, OSError) and error.filename is not None:
        error = f"{error.filename}: {error.strerror}"
    print(f"viz: {error}", file=sys.stderr)
    return status


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    """The command, read."""
    parser = Parser(
        prog="python -m viz",
        usage=USAGE,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path,
        help="where to draw: .svg, .png, .pdf, .dot, or .html for a page that steps through "
        "the expression; without it the value is printed",
    )  # fmt: skip
    parser.add_argument("--grad", action="store_true", help="run backward, and print the gradients")
    parser.add_argument("--theme", choices=["light", "dark"], default="light")
    options = parser.parse_intermixed_args(list(map(_sheltered, arguments)))
    if not options.words:
        parser.error("give an expression, or a model's file")
    options.subject, *options.values = options.words
    return options


def _sheltered(argument: str) -> str:
    """An expression that begins with a minus, so that it is not taken for an option."""
    option = not argument.startswith("-") or re.fullmatch(r"-[ho]|--([a-z]+(=.*)?)?", argument)
    return argument if option else f" {argument}"


def run(options: argparse.Namespace) -> None:
    """Do what the command says.

    Raises:
        UsageError: it makes no sense.
        OSError, ValueError, RuntimeError: the drawing failed.
    """
    from viz.output.checks import unknown_suffix
    from viz.output.options import SUFFIX_FORMATS

    known = [*SUFFIX_FORMATS, ".html"]
    if options.output is not None and options.output.suffix.lower() not in known:
        raise UsageError(unknown_suffix("--output", str(options.output), known))
    if options.subject.lower().endswith(".json"):
        _network(options)
    else:
        _expression(options)


def _network(options: argparse.Namespace) -> None:
    """Draw a saved model, or say what it is."""
    from miniflow.nn import load
    from viz.diagram.dot import render
    from viz.model.network import draw_network, title

    if options.values or options.grad:
        raise UsageError("name=number and --grad are for expressions, not for models")
    if _is_page(options.output):
        raise UsageError("a page steps through an expression; draw a model as .svg, .png or .pdf")
    model = load(options.subject)
    if options.output is None:
        print(title(model))
    else:
        render(draw_network(model, theme=options.theme), options.output)


def _expression(options: argparse.Namespace) -> None:
    """Compute an expression; draw it, or print its value."""
    from miniflow.tape.core import Value
    from viz.expression import Expression, ExpressionError

    numbers = _given_numbers(options.values)
    try:
        expression = Expression(options.subject)
        for name in numbers:
            if name not in expression.names:
                raise UsageError(f"{name}= is given, but {name} is not in the expression")
        variables = {name: Value(x, label=name) for name, x in numbers.items()}
        root = expression(variables)
    except ExpressionError as error:
        raise UsageError(str(error)) from None
    if options.grad:
        root.backward()
    if options.output is not None:
        _draw(root, options)
    else:
        print(root.data)
    if options.grad:
        for name, value in variables.items():
            print(f"grad {name} = {value.grad}")


def _given_numbers(values: Sequence[str]) -> dict[str, float]:
    """The variables' numbers, from name=number."""
    numbers: dict[str, float] = {}
    for text in map(str.strip, values):
        name, _, number = text.partition("=")
        name = normalize("NFKC", name.strip())  # as Python reads names
        try:
            x = float(number)
        except ValueError:
            raise UsageError(f"a variable must be name=number, as in a=2.5, got {text!r}") from None
        if not name.isidentifier() or iskeyword(name):
            raise UsageError(
                f"a variable's name must be one of Python's, as in a=2.5, got {text!r}"
            )
        if name in numbers:
            raise UsageError(f"{name}= is given twice")
        numbers[name] = x
    return numbers


def _is_page(path: Path | None) -> bool:
    return path is not None and path.suffix.lower() == ".html"


def _draw(root: Any, options: argparse.Namespace) -> None:
    """Draw a Value's graph to a file."""
    if _is_page(options.output):
        import_module("viz.player.page").play(
            root, options.output, theme=options.theme, title=options.subject
        )
        return
    from viz.diagram.dot import draw_dot, render

    render(draw_dot(root, theme=options.theme), options.output)


if __name__ == "__main__":
    sys.exit(main())
