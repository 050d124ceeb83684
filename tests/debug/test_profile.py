"""What a call costs is counted by line: entries, dead ones, repeated ones."""

import pytest

from miniflow import Value, nn
from miniflow import math as mm
from miniflow.debug import profile


def wasteful(xs, scale=2.0):
    total = 0.0
    for x in xs:
        unused = mm.exp(x) * scale  # noqa: F841
        total = total + mm.sin(x) * mm.sin(x)
    return total / len(xs)


def test_entries_are_counted_by_line():
    found = profile(wasteful, [1.0, 2.0, 3.0])
    lines = {x.line.source: x for x in found.lines}
    dead = lines["unused = mm.exp(x) * scale  # noqa: F841"]
    again = lines["total = total + mm.sin(x) * mm.sin(x)"]
    assert (dead.entries, dead.dead, dead.repeated) == (9, 9, 0)
    assert (again.entries, again.dead, again.repeated) == (13, 0, 3)
    assert (found.entries, found.dead, found.repeated) == (24, 9, 3)
    assert found.saving == 0.5
    assert sum(x.share for x in found.lines) == pytest.approx(1.0)


def test_operands_in_another_order_are_the_same_where_that_is_allowed():
    assert profile(lambda a, b: (a + b) * (b + a), 1.0, 2.0).repeated == 1
    assert profile(lambda a, b: (a - b) * (b - a), 1.0, 2.0).repeated == 0
    assert profile(lambda a: (a * 3.0) + mm.exp(a * 3.0), 1.0).repeated == 1


def test_what_follows_from_what_is_repeated_is_repeated():
    assert profile(lambda a: mm.exp(a * a) + mm.exp(a * a), 1.0).repeated == 2


def test_times_and_bytes_are_numbers():
    model = nn.MLP(3, [4, 1], seed=0)
    found = profile(model, [1.0, 2.0, 3.0])
    assert found.seconds > 0 < found.sweep_seconds
    assert found.bytes > found.entries
    assert found.dead == found.repeated == 0
    assert found.name == "MLP"


def test_arguments_of_every_kind():
    v = Value(2.0)
    found = profile(
        lambda p, *, k, how: p["a"] * k if how == "mul" else v, {"a": v}, k=3.0, how="mul"
    )
    assert found.entries == 1
    assert profile(lambda: 1.0).text.startswith("<lambda>: 0 entries, 0 bytes;")


def test_a_profile_is_shown_and_drawn():
    found = profile(wasteful, [1.0])
    assert repr(found).splitlines()[1].endswith("could be saved")
    assert found.draw().source.count("marked") == 1
    assert "<pre>" in found._repr_html_()


def test_what_cannot_be_called_is_refused():
    with pytest.raises(TypeError, match=r"^profile: "):
        profile(3.0)
