"""The state machine finds faults in own operations and in other engines, and no others."""

from typing import ClassVar

import micrograd.engine
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from miniflow.testing import GradientMachine
from miniflow.testing.naive import OPERATIONS, Operation
from support.profiles import scaled


def run(machine, count=None, phases=(Phase.generate,)):
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=count or scaled(30), database=None, deadline=None,
                          phases=phases, stateful_step_count=25,
                          suppress_health_check=list(HealthCheck)),
    )  # fmt: skip


def cube(slopes, others=OPERATIONS):
    """A machine with an operation that has these slopes, beside others."""
    own = Operation(1, lambda x: x**3, slopes, lambda v: v**3)
    return type("Cubes", (GradientMachine,), {"operations": {**others, "cube": own}})


def test_an_operation_of_ones_own():
    run(cube(lambda x, y: [3 * x * x]))


def test_a_wrong_slope_is_found_by_a_short_program():
    with pytest.raises(AssertionError, match=r"gradient is [\d.-]+, not [\d.-]+") as error:
        run(cube(lambda x, y: [2 * x * x], {}), 1000, (Phase.generate, Phase.shrink))
    steps = [x for x in "".join(error.value.__notes__).splitlines() if "kept_values" not in x]
    assert sum(x.startswith("state.") for x in steps) <= 4  # leaf, cube, backward, teardown


class Micrograd(GradientMachine):
    """micrograd, whose own gradients add up in what is computed, too: they are set to 0 before."""

    operations: ClassVar = {name: OPERATIONS[name] for name in ("add", "sub", "mul", "neg")}
    leaves_add_up = computed_too = False

    def make(self, x):
        return micrograd.engine.Value(x)

    def sweep(self, value):
        for v in reached(value):
            v.grad = 0
        value.backward()


def reached(value):
    found, waiting = set(), [value]
    while waiting:
        v = waiting.pop()
        if v not in found:
            found.add(v)
            waiting += v._prev
    return found


def test_another_engine():
    run(Micrograd)


class Unsigned(Micrograd):
    """An engine that loses the sign of its gradients."""

    def gradient_of(self, value):
        return abs(value.grad)


def test_a_fault_of_another_engine_is_found():
    with pytest.raises(AssertionError, match="its gradient is"):
        run(Unsigned, 1000)


class Doubled(GradientMachine):
    """miniflow, if it swept twice."""

    def sweep(self, value):
        value.backward()
        value.backward()


def test_a_gradient_that_is_twice_itself_is_found():
    with pytest.raises(AssertionError, match="its gradient is"):
        run(Doubled, 1000)
