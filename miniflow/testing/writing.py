"""A test file for a function, written from its signature: `python -m miniflow.testing write`."""

import itertools
import math
import sys
from collections.abc import Callable, Iterator
from pkgutil import resolve_name
from typing import Any

from miniflow.operation import REAL, Interval
from miniflow.ops import POSITIVE
from miniflow.testing.domains import Region, candidates, intervals_of, is_interval, parameters_of
from miniflow.testing.text import number_literal
from miniflow.util.functions import a_function, named
from miniflow.util.trees import children, is_dataclass, part_names, rebuild

# Domains that are tried for an argument, the widest first.
POINTS_TRIED = (REAL, (-1.0, math.inf), POSITIVE, (1.0, math.inf), (-1.0, 1.0), (0.0, 1.0))
ENOUGH = 0.95  # of the points of a domain must be inside
BETTER_BY = 0.05  # by how much more a narrower domain must have
LONGEST_LINE = 88
LOOKED_AT = 80  # points of a domain that are looked at


def found_function(address: str) -> Callable[..., Any]:
    """The function at an address such as ``package.module:function``.

    Raises:
        ValueError: it is no address, or there is no such module or function.
    """
    module, _, name = address.partition(":")
    if not name:
        raise ValueError(f"write: {address!r} is no address; give module:function, as in math:sin")
    if "" not in sys.path:
        sys.path.insert(0, "")  # modules of the folder in which one stands
    try:
        f = resolve_name(address)
    except ModuleNotFoundError as error:
        if error.name and not module.startswith(error.name):
            raise
        raise ValueError(f"write: there is no module {module!r} here") from error
    except AttributeError as error:
        raise ValueError(f"write: there is no {name!r} in {module}") from error
    a_function("write", f)
    return f  # type: ignore[no-any-return]


def file_text(address: str) -> str:
    """The text of a test file for the function at an address.

    Raises:
        ValueError: there is no such function, or it takes no Values.
        TypeError: its signature does not say what numbers it takes.

    Example:
        >>> "@given_gradient(log1p, (-1.0, math.inf))" in file_text("miniflow.math:log1p")
        True
    """
    f = found_function(address)
    try:
        domains = domains_of(f)
    except TypeError as error:
        if "Value" not in str(error):
            raise
        raise ValueError(
            f"write: {named(f)} is not recorded by miniflow ({error}); write the test by hand, "
            "with its gradient: given_gradient(f, grad=...)"
        ) from error
    return "\n".join(_lines(address, domains))


def _lines(address: str, domains: dict[str, Any]) -> Iterator[str]:
    module, _, name = address.partition(":")
    written = [domain_text(domain) for domain in domains.values()]
    yield f'"""The derivatives of {name} are right, at points that Hypothesis draws."""'
    yield ""
    if any("math.inf" in text for text in written):
        yield "import math"
        yield ""
    imports = {"miniflow.testing": {"given_gradient"}, module: {name.partition(".")[0]}}
    for kind in dataclasses_of([*domains.values()]):
        imports.setdefault(kind.__module__, set()).add(kind.__name__)
    for home, names in sorted(imports.items()):
        yield f"from {home} import {', '.join(sorted(names))}"
    yield ""
    yield ""
    yield from decorator([name, *written])
    yield f"def test_gradient_of_{name.replace('.', '_')}({', '.join(domains)}):"
    yield '    """Here may stand what else holds at each of these points."""'
    yield ""


def decorator(arguments: list[str]) -> list[str]:
    """The line above the test, or several where it would be too long."""
    line = f"@given_gradient({', '.join(arguments)})"
    if len(line) <= LONGEST_LINE:
        return [line]
    return ["@given_gradient(", *[f"    {x}," for x in arguments], ")"]


def dataclasses_of(domain: Any) -> set[type]:
    """The dataclasses in a domain."""
    parts = children(domain) if not is_interval(domain) else None
    own = {type(domain)} if is_dataclass(domain) else set[type]()
    return own.union(*map(dataclasses_of, parts or ()))


def domains_of(f: Callable[..., Any]) -> dict[str, Any]:
    """The domain of each argument by name: the widest in which most points are inside.

    Example:
        >>> from miniflow import math
        >>> domains_of(lambda x, y: math.log1p(x) * y)
        {'x': (-1.0, inf), 'y': (-inf, inf)}
    """
    known, region = parameters_of(f), Region(f)
    alike = {name: with_interval(domain, POSITIVE) for name, domain in known.items()}
    for name in known:
        known[name] = _widest(region, known, name)
    share, positive = (share_inside(region, [*x.values()]) for x in (known, alike))
    return alike if share < ENOUGH <= positive else known  # as for log(x / y)


def _widest(region: Region, known: dict[str, Any], name: str) -> Any:
    """The widest of the domains for one argument, while those of the others stay."""
    best, most = known[name], -math.inf
    for interval in POINTS_TRIED:
        domain = with_interval(known[name], interval)
        share = share_inside(region, [*{**known, name: domain}.values()])
        if share > most + BETTER_BY:
            best, most = domain, share
        if share >= ENOUGH:
            break
    return best


def with_interval(domain: Any, interval: Interval) -> Any:
    """A domain with an interval in the place of all the reals."""
    if is_interval(domain):
        return interval if domain == REAL else domain
    return rebuild(domain, [with_interval(part, interval) for part in children(domain) or ()])


def share_inside(region: Region, domains: Any) -> float:
    """How many of the points of some domains are inside, as a share."""
    points = itertools.islice(candidates(intervals_of(domains) or ()), LOOKED_AT)
    tried = [region.holds(tuple(with_numbers(domains, iter(numbers)))) for numbers in points]
    return sum(tried) / len(tried)


def with_numbers(domain: Any, numbers: Iterator[float]) -> Any:
    """Numbers in the structure of a domain."""
    if is_interval(domain):
        return next(numbers)
    return rebuild(domain, [with_numbers(part, numbers) for part in children(domain) or ()])


def domain_text(domain: Any) -> str:
    """A domain as Python.

    Example:
        >>> domain_text([(0.0, math.inf), (-1.0, 1.0)])
        '[(0.0, math.inf), (-1.0, 1.0)]'
    """
    if is_interval(domain):
        return f"({number_literal(domain[0])}, {number_literal(domain[1])})"
    if isinstance(domain, dict):
        return f"{{{', '.join(f'{key!r}: {domain_text(x)}' for key, x in domain.items())}}}"
    if is_dataclass(domain):
        parts = [f"{name}={domain_text(getattr(domain, name))}" for name in part_names(domain)]
        return f"{type(domain).__name__}({', '.join(parts)})"
    parts = [domain_text(part) for part in children(domain) or ()]
    return f"[{', '.join(parts)}]" if isinstance(domain, list) else f"({', '.join(parts)},)"
