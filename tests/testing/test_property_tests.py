"""`given_gradient`: what is wrong is found, made small, written and drawn; what is right passes."""

import math as standard
import os
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miniflow import jit, math, nn, ops
from miniflow.testing import GradientError, given_gradient
from miniflow.testing.strategies import expressions
from support.profiles import scaled

FEW = settings(max_examples=scaled(20), database=None)
some = settings(max_examples=60, database=None)


def softsign(x):
    return x / (1 + abs(x))


@FEW
@given_gradient(softsign)
def test_a_right_function_passes(x):
    assert abs(softsign(x)) < 1


@FEW
@given_gradient(jit(lambda x, y: math.exp(x) * y), (-1, 1))
def test_a_jitted_function_passes(): ...


@FEW
@given_gradient(nn.Neuron(2, activation="tanh", seed=1), [(-1, 1), (-1, 1)])
def test_a_model_passes(): ...


@FEW
@given_gradient(standard.sin, (-3, 3), grad=standard.cos)
def test_a_gradient_from_elsewhere_passes(): ...


@FEW
@given_gradient(expressions(ops=["sin", "mul", "exp"], max_size=3))
def test_every_expression_passes(f, args):
    assert standard.isfinite(f(*args))


def failing(test):
    """The error of a test, with its notes."""
    with pytest.raises(AssertionError) as error:
        test()
    return str(error.value) + "".join(error.value.__notes__)


def wrong_row(row):
    return row("slack", lambda x: x / (1 + abs(x)), lambda x, y: 1 / (1 + ops.absolute(x)))


def test_a_wrong_rule_is_found_and_made_small(row, tmp_path):
    slack = wrong_row(row)

    @some
    @given_gradient(lambda x, y: math.sin(slack(x)) * y, folder=tmp_path)
    def wave(): ...

    told = failing(wave)
    assert "operation slack: the partial by x is wrong" in told
    assert "args=(0.5, " in told


def test_the_smallest_expression_is_found(row, tmp_path):
    slack = wrong_row(row)

    @some
    @given_gradient(expressions(ops=[slack, "mul", "sin", "add"]), folder=tmp_path)
    def any_expression(): ...

    assert "f_and_args=(lambda x: math.slack(x), (0.5,))" in failing(any_expression)
    (path,) = tmp_path.glob("*.py")
    text = path.read_text()
    assert "def f(x):\n    return math.slack(x)\n" in text
    assert path.with_suffix(".svg").read_text().lstrip().startswith("<?xml")


def test_a_wrong_gradient_from_elsewhere_is_found(tmp_path):
    @some
    @given_gradient(standard.sin, (-3, 3), grad=standard.sin, folder=tmp_path)
    def wave(): ...

    assert "wrong" in failing(wave)
    (text,) = [path.read_text() for path in tmp_path.glob("*.py")]
    assert ", grad=" in text


def test_what_the_test_itself_says_is_found(tmp_path):
    @some
    @given_gradient(math.exp, folder=tmp_path)
    def small(x):
        assert math.exp(x) < 2

    told = failing(small)
    assert "GradientError" not in told
    assert "shows it again" in told
    assert [path.suffix for path in sorted(tmp_path.iterdir())] == [".py", ".svg"]


def test_nothing_is_written_where_nothing_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    @some
    @given_gradient(math.exp, folder=None)
    def small(x):
        assert math.exp(x) < 2

    failing(small)
    assert list(tmp_path.iterdir()) == []


def test_a_check_that_judges_nothing_fails():
    @settings(max_examples=5)
    @given_gradient(lambda x: standard.sin(1e14 * x), (0.1, 1), folder=None,
                    grad=lambda x: 1e14 * standard.cos(1e14 * x))  # fmt: skip
    def steep(): ...

    with pytest.raises(AssertionError, match=r"at none of .* points could the derivatives"):
        steep()


def test_settings_above_count():
    met = []

    @settings(max_examples=7, database=None)
    @given_gradient(math.sin)
    def wave(x):
        met.append(x)

    wave()
    assert len(met) == 7


def test_it_is_called_as_the_test_is():
    assert test_a_right_function_passes.__name__ == "test_a_right_function_passes"
    assert test_a_right_function_passes.__module__ == __name__
    assert test_a_right_function_passes.is_hypothesis_test


def test_refusals():
    with pytest.raises(TypeError, match=r"f must be a function, got float 2\.0"):
        given_gradient(2.0)
    with pytest.raises(
        TypeError, match="takes 'z', which is no argument of the function; it has x"
    ):
        given_gradient(math.sin)(lambda z: None)


# --- a new user's first property test ------------------------------------------------------

FIRST = """
from miniflow import define, math, ops
from miniflow.testing import given_gradient

softsign = define("softsign", lambda x: x / (1 + abs(x)), lambda x, y: 1 / (1 + ops.absolute(x)))


@given_gradient(lambda x, w: math.tanh(softsign(x) * w) + w**2)
def test_softsign(): ...
"""


@pytest.mark.slow
def test_a_first_property_test_fails_shrinks_and_is_drawn(tmp_path):
    (tmp_path / "test_first.py").write_text(FIRST)
    environment = {**os.environ, "HYPOTHESIS_PROFILE": ""}

    def ran(*command):
        return subprocess.run([sys.executable, *command], cwd=tmp_path, env=environment,
                              capture_output=True, text=True)  # fmt: skip

    run = ran("-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "test_first.py")
    assert run.returncode == 1, run.stdout
    assert "operation softsign: the partial by x is wrong" in run.stdout
    assert "python gradient_failures/test_softsign.py shows it again" in run.stdout
    picture = tmp_path / "gradient_failures" / "test_softsign.svg"
    assert "should be" in picture.read_text()
    picture.unlink()
    again = ran("gradient_failures/test_softsign.py")
    assert again.returncode == 0, again.stderr
    assert "operation softsign: the partial by x is wrong" in again.stdout
    assert "should be" in picture.read_text()


@given(st.floats(allow_nan=True), st.lists(st.floats()), st.dictionaries(st.text(), st.floats()))
def test_arguments_are_written_as_python(x, xs, named):
    from miniflow.testing.failures import argument

    args = (x, xs, named, (x,))
    assert repr(eval(argument(args), {"math": standard})) == repr(args)


def test_first_is_as_long_as_is_said():
    assert len([line for line in textwrap.dedent(FIRST).splitlines() if line.strip()]) <= 10
    assert issubclass(GradientError, AssertionError)
