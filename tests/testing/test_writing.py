"""Test files from signatures: they are Python, name the right domains, and pass."""

import math
import sys

import pytest

from miniflow import math as m
from miniflow.testing.__main__ import command
from miniflow.testing.writing import domains_of, file_text

REAL = (-math.inf, math.inf)
POSITIVE = (0.0, math.inf)
LIBRARY = """
from dataclasses import dataclass

from miniflow import math


@dataclass
class Pair:
    a: float
    b: float


class Space:
    @staticmethod
    def angle(p: Pair, q):
        return p.a * math.asin(p.b) + q


def price(s: float, k: float, t: float) -> float:
    d = math.log(s / k) / math.sqrt(t)
    return s * math.normal_cdf(d) - k * math.normal_cdf(d - math.sqrt(t))


def called(x, name: str):
    return x


def plain(x):
    import math
    return math.sin(x)


number = 3
"""


@pytest.fixture
def library(tmp_path, monkeypatch):
    (tmp_path / "written_library.py").write_text(LIBRARY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield "written_library"
    sys.modules.pop("written_library", None)


@pytest.mark.parametrize(
    ("f", "domain"),
    [
        (lambda x: m.sin(x), REAL),
        (lambda x: m.log(x), POSITIVE),
        (lambda x: m.log1p(x), (-1.0, math.inf)),
        (lambda x: m.acosh(x), (1.0, math.inf)),
        (lambda x: m.atanh(x), (-1.0, 1.0)),
        (lambda x: m.log(x) + m.asin(x), (0.0, 1.0)),
        (lambda x: 1 / x, REAL),
        (m.log, POSITIVE),
    ],
)
def test_the_widest_domain_is_found(f, domain):
    assert [*domains_of(f).values()] == [domain]


def test_domains_of_several_arguments(library):
    price = __import__(library).price
    assert domains_of(price) == {"s": POSITIVE, "k": POSITIVE, "t": POSITIVE}
    assert domains_of(lambda x, ys=(1.0, 2): m.sqrt(x) * ys[1]) == {
        "x": POSITIVE,
        "ys": (REAL, REAL),
    }


@pytest.mark.parametrize("name", ["price", "Space.angle"])
def test_what_is_written_passes(library, name):
    text = file_text(f"{library}:{name}")
    names = {"__name__": "written"}
    sys.modules["written"] = sys.modules[library]
    try:
        exec(compile(text, "written.py", "exec"), names)
        names[f"test_gradient_of_{name.replace('.', '_')}"]()
    finally:
        del sys.modules["written"]
    assert max(map(len, text.splitlines())) <= 100


def test_dataclasses_are_imported(library):
    text = file_text(f"{library}:Space.angle")
    assert f"from {library} import Pair, Space" in text
    assert "Pair(a=(-1.0, 1.0), b=(-1.0, 1.0))" in text


def test_the_command_writes_a_file_once(library, tmp_path, capsys):
    assert command(["write", f"{library}:price"]) == 0
    path = tmp_path / "test_gradient_of_price.py"
    assert path.read_text() == file_text(f"{library}:price")
    path.write_text("mine")
    assert command(["write", f"{library}:price"]) == 1
    assert path.read_text() == "mine"
    assert "is there already; give another one with -o" in capsys.readouterr().err
    assert command(["write", f"{library}:price", "-o", "-"]) == 0
    assert "@given_gradient(price, " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("written_library", "give module:function"),
        ("written_library:nope", "no 'nope' in written_library"),
        ("no_such_library:f", "no module 'no_such_library'"),
        ("written_library:number", "must be a function"),
        ("written_library:called", "name is a str; give its domain"),
        ("written_library:plain", "not recorded by miniflow"),
    ],
)
def test_errors_say_what_to_do(library, capsys, address, said):
    assert command(["write", address]) == 1
    assert said in capsys.readouterr().err
