"""A failing example, written as a program that shows it again, with its diagram beside it."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from miniflow.ops import BUILTIN, TABLE
from miniflow.tape.core import Value
from miniflow.testing.checks import inspect_grads
from miniflow.testing.domains import as_leaf, parameters_of
from miniflow.testing.drawn import DrawnFunction
from miniflow.testing.report import Report
from miniflow.testing.steps import Fork, Loop, RowStep
from miniflow.testing.subject import named_leaves
from miniflow.testing.text import IMPORTS, number_literal
from miniflow.util.files import write
from miniflow.util.trees import children, flatten, is_array, is_dataclass, part_names, tree_map


class Example(NamedTuple):
    """What failed.

    Attributes:
        test: the test function, as its module knows it.
        f: the function whose derivatives are checked.
        args: the point.
        options: of `inspect_grads`, with numbers, strings, or functions of the test's module.
    """

    test: Callable[..., Any]
    f: Any
    args: Sequence[Any]
    options: dict[str, Any]


def write_example(example: Example, told: str, folder: Path) -> Path | None:
    """Write a program that shows a failing example; None where no program can name its function.

    Args:
        example: what failed.
        told: what is wrong, in words.
        folder: where to write it; it is made if it is not there.

    Raises:
        OSError: the file cannot be written.
    """
    module = sys.modules.get(example.test.__module__)
    if module is None or not getattr(module, "__file__", None):
        return None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{example.test.__qualname__.replace('.', '_')}.py"
    write(path, "\n".join(script_lines(example, told, module)))
    return path


def show_example(f: Callable[..., Any], args: Sequence[Any], beside: str, **options: Any) -> Report:
    """Check a function's derivatives at a point, print what comes out, and draw it.

    Args:
        f: the function.
        args: its arguments, as a tuple.
        beside: the file beside which the diagram is written, with the suffix .svg.
        options: those of `check_grads`.

    Returns:
        The report.
    """
    report = inspect_grads(f, args, **options)
    print(report)
    path = draw_example(f, args, report, Path(beside))
    print(f"drawn: {path}" if path else "drawn: nothing, as nothing is recorded")
    return report


def draw_example(
    f: Callable[..., Any], args: Sequence[Any], report: Report, beside: Path
) -> Path | None:
    """Draw what a function records; None where it records nothing, or there is no Graphviz."""
    path = beside.with_suffix(".svg")
    try:
        if report.outputs:
            return Path(report.draw(path))
        ys = _outputs_of(f, args)
        return Path(import_module("viz").render(ys, path)) if ys else None
    except RuntimeError:
        return None


def _outputs_of(f: Callable[..., Any], args: Sequence[Any]) -> list[Value]:
    """The results of a call with Values, with gradients; none where it takes no Values."""
    names = [name + path for name, x in zip(parameters_of(f), args, strict=False)
             for path, _ in named_leaves(x)]  # fmt: skip
    labels = iter(names)
    labelled = tree_map(lambda x: as_leaf(x, next(labels)), tuple(args))
    try:
        ys = [y for y in flatten(f(*labelled)) if isinstance(y, Value)]
    except (TypeError, ValueError, ArithmeticError):
        return []
    for y in ys:
        if y.op != "constant":
            y.backward()
    return ys


def script_lines(example: Example, told: str, module: ModuleType) -> Iterator[str]:
    """The program, line by line."""
    quoted = told.replace("\\", "\\\\").replace('"""', "'''").splitlines()
    yield f'"""{example.test.__name__} failed. {quoted[0] if quoted else ""}'
    yield from quoted[1:]
    yield '"""'
    yield ""
    yield "import sys"
    yield ""
    yield f"sys.path.insert(0, {json.dumps(str(home(module)))})"
    yield ""
    yield from _import_lines(example, module)
    yield "from miniflow.testing.failures import show_example"
    yield ""
    if isinstance(example.f, DrawnFunction):
        yield ""
        yield from example.f.source().splitlines()
        yield ""
        yield ""
    yield f"args = {argument(example.args)}"
    options = "".join(
        f", {name}={reference(x, example, module)}"
        for name, x in example.options.items()
        if x is not None
    )
    yield f"show_example({reference(example.f, example, module)}, args, __file__{options})"
    yield ""


def home(module: ModuleType) -> Path:
    """The folder from which a module is imported by its name."""
    file = Path(str(module.__file__)).resolve()
    depth = imported_name(module).count(".") + (file.stem == "__init__")
    return file.parents[depth]


def imported_name(module: ModuleType) -> str:
    """The name by which a module is imported, even if it runs as the main program."""
    if module.__name__ == "__main__":
        return Path(str(module.__file__)).stem
    return module.__name__


def global_name(x: Any, module: ModuleType) -> str:
    """What an object is called in a module; "" if it has no name there."""
    found = [name for name, there in vars(module).items() if there is x and name.isidentifier()]
    return found[0] if found else ""


def _import_lines(example: Example, module: ModuleType) -> Iterator[str]:
    """The lines that import what the program names."""
    name, wanted = imported_name(module), list[str]()
    drawn = isinstance(example.f, DrawnFunction)
    for x in (*(() if drawn else (example.f,)), *example.options.values()):
        if callable(x):
            wanted.append(global_name(x, module) or example.test.__name__)
    if wanted:
        yield f"from {name} import {', '.join(sorted(set(wanted)))}"
    if drawn:
        if own_rows(example.f):
            yield f"import {name}  # noqa: F401 - it defines {', '.join(own_rows(example.f))}"
        if "Fraction(" in example.f.source():
            yield "from fractions import Fraction"
        yield f"{IMPORTS}  # noqa: F401"


def own_rows(f: Any) -> list[str]:
    """The rows of a drawn function that are not the table's own."""
    names = {name for step in f.steps for name in row_names(step)}
    return sorted(name for name in names if TABLE[name] not in BUILTIN)


def row_names(step: RowStep | Fork | Loop) -> Iterator[str]:
    """The rows that a step may take."""
    if isinstance(step, RowStep):
        yield step.name
    for inner in (step.then, step.other) if isinstance(step, Fork) else ():
        yield inner.name
    for inner in step.steps if isinstance(step, Loop) else ():
        yield inner.name


def reference(x: Any, example: Example, module: ModuleType) -> str:
    """What an argument is called in the program."""
    if isinstance(x, DrawnFunction):
        return "f"
    if not callable(x):
        return repr(x)
    name = global_name(x, module)
    if name:
        return name
    return f"{example.test.__name__}.{'checked' if x is example.f else 'checked_grad'}"


def argument(x: Any) -> str:
    """Nested numbers as Python."""
    if isinstance(x, float):
        return number_literal(x)
    if isinstance(x, dict):
        return f"{{{', '.join(f'{key!r}: {argument(part)}' for key, part in x.items())}}}"
    if is_dataclass(x):
        parts = ", ".join(f"{name}={argument(getattr(x, name))}" for name in part_names(x))
        return f"{type(x).__name__}({parts})"
    if is_array(x) or children(x) is None:
        return repr(x)
    parts = ", ".join(map(argument, x))
    return f"[{parts}]" if isinstance(x, list) else f"({parts}{',' * (len(x) == 1)})"
