"""Groups of parameters, what is saved of an optimiser, and steps that cannot be made."""

import copy
import json
import math
import pickle
from array import array
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow import Value, nn, no_grad, optim
from miniflow.tape.core import here
from miniflow.tape.quick import Bundle
from support.optimizers import OPTIONS, combinations

NUMBER = st.floats(-100, 100)
ALL = {name: list(combinations(name))[-1] for name in OPTIONS}  # every option is on


def made(name, parameters, **more):
    return getattr(optim, name)(parameters, **(ALL[name] | more))


def walked(optimizer, steps, seed=0):
    """The parameters after each of some steps, with gradients that depend on the seed."""
    rng, path = np.random.default_rng(seed), []
    for _ in range(steps):
        for p in optimizer.parameters:
            p.grad = float(rng.normal())
        optimizer.step()
        path.append([p.data for p in optimizer.parameters])
    return path


@pytest.mark.parametrize("name", OPTIONS)
def test_a_group_is_an_optimiser_of_its_own(name):
    rates, rng = [0.1, 0.01, 0.5], np.random.default_rng(3)
    groups = [[Value(float(k)) for k in range(size)] for size in (2, 1, 5)]
    together = made(name, [{"params": x, "lr": lr} for x, lr in zip(groups, rates, strict=True)])
    apart = [made(name, [Value(p.data) for p in x], lr=lr)
             for x, lr in zip(groups, rates, strict=True)]  # fmt: skip
    for _ in range(5):
        for k, group in enumerate(groups):
            for p, q in zip(group, apart[k].parameters, strict=True):
                p.grad = q.grad = float(rng.normal())
        together.step()
        for one in apart:
            one.step()
        found = [[p.data for p in group] for group in groups]
        assert found == [[p.data for p in one.parameters] for one in apart]


def test_options_of_groups():
    a, b, c = Value(1.0), Value(2.0), Value(3.0)
    optimizer = optim.SGD([{"params": [a], "lr": 0.5}, {"params": b}], lr=0.25, momentum=0.5)
    optimizer.add_param_group({"params": [c], "momentum": 0.0, "maximize": True})
    assert [g["lr"] for g in optimizer.param_groups] == [0.5, 0.25, 0.25]
    assert [g["momentum"] for g in optimizer.param_groups] == [0.5, 0.5, 0.0]
    a.grad = b.grad = c.grad = 1.0
    optimizer.step()
    assert [a.data, b.data, c.data] == [0.5, 1.75, 3.25]
    assert optimizer.lr == 0.5  # the first group's
    optimizer.lr = 0.125  # every group's
    assert [g["lr"] for g in optimizer.param_groups] == [0.125] * 3
    optimizer.param_groups[1]["lr"] = 1.0
    optimizer.step()
    assert [a.data, b.data, c.data] == [0.5 - 0.125 * 1.5, 1.75 - 1.5, 3.375]
    assert repr(optimizer).startswith("SGD(3 parameters in 3 groups, lr=0.125, momentum=0.5")


def test_wrong_groups_change_nothing():
    a, b = Value(1.0), Value(2.0)
    optimizer = optim.Adam([a])
    for group, error, text in [
        ({"params": [a]}, ValueError, "in two groups"),
        ({"params": []}, ValueError, "no parameters"),
        ({"params": [b], "lr": -1}, ValueError, "lr must be a finite number"),
        ({"params": [b], "momentum": 0.1}, ValueError, "no option 'momentum'"),
        ({"params": [b * 2]}, TypeError, "leaf"),
        ({"params": [1.0]}, TypeError, "must be a Value"),
        ({"lr": 1.0}, TypeError, "a dict with 'params'"),
        ([b], TypeError, "a dict with 'params'"),
    ]:
        with pytest.raises(error, match=text):
            optimizer.add_param_group(group)
        assert (optimizer.parameters, len(optimizer.param_groups)) == ([a], 1)
    with pytest.raises(ValueError, match="in two groups"):
        optim.SGD([{"params": [a]}, {"params": [b, a]}])
    with pytest.raises(ValueError, match="nesterov needs a momentum"):
        optim.SGD([a], nesterov=True)
    with pytest.raises(ValueError, match="nesterov must be True or False"):
        optim.SGD([a], momentum=0.1, nesterov=1)
    for wrong in (0, -1.0, math.nan, "1"):
        with pytest.raises(ValueError, match="SGD: clip_norm must be"):
            optim.SGD([a], clip_norm=wrong)


# --- what is saved --------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("how", ["json", "copy", "deepcopy", "pickle"])
def test_what_goes_on_from_a_state_goes_the_same_way(name, how):
    model = nn.MLP(2, [2, 1], seed=1)
    whole = model.parameters()
    optimizer = made(name, [{"params": whole[:3], "lr": 0.1}, {"params": whole[3:]}], clip_norm=2.0)
    walked(optimizer, 7)
    start = [p.data for p in whole]
    if how == "json":
        twins = [Value(x) for x in start]
        twin = made(name, [{"params": twins[:3]}, {"params": twins[3:]}])
        twin.load_state_dict(json.loads(json.dumps(optimizer.state_dict())))
    else:
        makes = {"copy": copy.copy, "deepcopy": copy.deepcopy}
        twin = makes.get(how, lambda x: pickle.loads(pickle.dumps(x)))(optimizer)
    path = walked(optimizer, 5, seed=1)
    for p, x in zip(whole, start, strict=True):
        p.data = x
    assert walked(twin, 5, seed=1) == path
    assert twin.state_dict() == optimizer.state_dict()
    assert all(p is q for p, q in zip(twin.parameters, whole, strict=True)) == (how == "copy")
    twin.lr = 7.0
    assert optimizer.lr == 0.1


def test_states_that_are_not_finite_are_exact():
    a, b = Value(math.inf), Value(-0.0)
    optimizer = optim.Adam([a, b])
    a.grad, b.grad = math.nan, -0.0
    optimizer.step()
    twin = optim.Adam([Value(0.0), Value(0.0)])
    twin.load_state_dict(json.loads(json.dumps(optimizer.state_dict())))
    assert repr(twin.state_dict()) == repr(optimizer.state_dict())


def test_rates_of_other_libraries_are_saved():
    optimizer = optim.Adam([Value(1.0)])
    optimizer.lr, optimizer.betas = np.float32(0.5), (np.float64(0.5), 0.75)
    saved = json.loads(json.dumps(optimizer.state_dict()))["param_groups"][0]
    assert (saved["lr"], saved["betas"], saved["params"]) == (0.5, [0.5, 0.75], 1)


def wrong_states(right):
    """States that are not whole, or somebody else's."""
    for name in right:
        if not name.startswith("clip"):
            yield {k: x for k, x in right.items() if k != name}
            yield right | {name: None}
    for name in right["param_groups"][0]:
        yield right | {"param_groups": [{k: x for k, x in g.items() if k != name}
                                        for g in right["param_groups"]]}  # fmt: skip
        yield right | {"param_groups": [g | {name: "x"} for g in right["param_groups"]]}
    for name in right["state"][0]:
        yield right | {"state": [{k: x for k, x in s.items() if k != name} for s in right["state"]]}
        yield right | {"state": [s | {name: "x"} for s in right["state"]]}
        yield right | {"state": [s | {name: [1.0]} for s in right["state"]]}
        yield right | {"state": [s | {name: [None] * 2} for s in right["state"]]}
    yield right | {"param_groups": right["param_groups"] * 2, "state": right["state"] * 2}
    yield from (None, [], "x", {})
    yield right | {"clip_norm": -1.0}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_wrong_state_is_named_and_changes_nothing(name):
    optimizer = made(name, [Value(1.0), Value(2.0)])
    walked(optimizer, 3)
    right = json.loads(json.dumps(optimizer.state_dict()))
    before, states = repr(optimizer.state_dict()), list(wrong_states(right))
    assert len(states) > 25
    for state in states:
        with pytest.raises(ValueError, match=name):
            optimizer.load_state_dict(state)
        assert repr(optimizer.state_dict()) == before


# --- parameters of all kinds ------------------------------------------------------


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("count", [1, 10_000])
def test_each_parameter_moves_as_if_it_were_alone(name, count):
    numbers = np.random.default_rng(1).normal(size=(3, count))
    numbers[1, 0] = 0.0
    many, one = made(name, [Value(x) for x in numbers[0]]), made(name, [Value(numbers[0, -1])])
    for slopes in numbers[1:]:
        for p, g in zip(many.parameters, slopes.tolist(), strict=True):
            p.grad = g
        one.parameters[0].grad = float(slopes[-1])
        many.step()
        one.step()
        assert many.parameters[-1].data == one.parameters[0].data


@pytest.mark.parametrize("name", OPTIONS)
def test_parameters_of_another_thread(name):
    home = [Value(1.0), Value(2.0)]
    with ThreadPoolExecutor(1) as pool:
        away = pool.submit(lambda: [Value(1.0), Value(2.0)]).result()
        expected = walked(made(name, home), 4)
        assert walked(made(name, away), 4) == expected
        there = made(name, [Value(1.0), Value(2.0)])
        assert pool.submit(walked, there, 4).result() == expected
        mixed = made(name, [Value(1.0), pool.submit(Value, 2.0).result()])
        assert walked(mixed, 4) == expected


def test_steps_in_a_muted_block():
    with no_grad():
        optimizer = made("Adam", [Value(1.0)])
        muted = walked(optimizer, 3)
    assert muted == walked(made("Adam", [Value(1.0)]), 3)


class Stubborn:
    """A parameter that refuses to move."""

    grad = 1.0

    def __init__(self):
        self.moves = 0

    @property
    def data(self):
        return 1.0

    @data.setter
    def data(self, number):
        raise PermissionError("not me")


def test_a_parameter_that_refuses_leaves_the_others_where_they_were():
    values = [Value(1.0), Value(2.0)]
    optimizer = optim.SGD([values[0], Stubborn(), values[1]])
    for p in values:
        p.grad = 1.0
    with pytest.raises(PermissionError):
        optimizer.step()
    assert [p.data for p in values] == [1.0, 2.0]


def test_a_step_takes_a_closure():
    p = Value(3.0)
    optimizer = optim.SGD([p], lr=0.25)

    def closure():
        optimizer.zero_grad(set_to_none=True)
        loss = p * p
        loss.backward()
        return loss

    assert optimizer.step(closure).data == 9.0
    assert p.data == 1.5


# --- clipping ---------------------------------------------------------------------


@given(slopes=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=9), limit=st.floats(1e-2, 1e2))
def test_clipped_gradients_keep_their_direction(slopes, limit):
    values = [Value(0.0) for _ in slopes]
    for kind in (1.0, 2.0, 3.5, math.inf):
        for p, g in zip(values, slopes, strict=True):
            p.grad = g
        norm = optim.clip_grad_norm_(values, limit, kind)
        size = np.linalg.norm(slopes, kind)
        assert norm == pytest.approx(size, rel=1e-12, abs=1e-80)
        factor = min(1.0, limit / (size + 1e-6))
        assert [p.grad for p in values] == pytest.approx([g * factor for g in slopes], rel=1e-12)
    for p, g in zip(values, slopes, strict=True):
        p.grad = g
    optim.clip_grad_value_(values, limit)
    assert [p.grad for p in values] == np.clip(slopes, -limit, limit).tolist()


def test_clipping_is_pytorchs():
    torch = pytest.importorskip("torch")
    from torch.nn import utils

    for slopes in ([3.0, -4.0], [0.0, 0.0], [math.inf, 1.0], [math.nan, 1.0], [1e-3, 2e-3]):
        for kind in (2.0, 1.0, math.inf):
            tensors = [torch.zeros(1, dtype=torch.float64, requires_grad=True) for _ in slopes]
            values = [Value(0.0) for _ in slopes]
            for t, p, g in zip(tensors, values, slopes, strict=True):
                t.grad, p.grad = torch.tensor([g], dtype=torch.float64), g
            norm = utils.clip_grad_norm_(tensors, 1.0, kind).item()
            assert optim.clip_grad_norm_(values, 1.0, kind) == pytest.approx(norm, nan_ok=True)
            expected = [t.grad.item() for t in tensors]
            assert [p.grad for p in values] == pytest.approx(expected, rel=1e-12, nan_ok=True)


def test_norms_overflow_only_where_they_must():
    values = [Value(0.0), Value(0.0)]
    for kind in (1.5, 2.0, 3.0):
        for p in values:
            p.grad = 1e300
        assert optim.clip_grad_norm_(values, 1.0, kind) == pytest.approx(1e300 * 2 ** (1 / kind))
        assert values[0].grad == pytest.approx(2 ** (-1 / kind))


def test_wrong_clipping_changes_nothing():
    p = Value(1.0)
    p.grad = math.inf
    with pytest.raises(ValueError, match="norm is inf"):
        optim.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)
    for wrong in (0.0, -1.0, math.nan, math.inf, "1", None):
        with pytest.raises(ValueError, match="clip_grad_norm_: max_norm"):
            optim.clip_grad_norm_([p], wrong)
        with pytest.raises(ValueError, match="clip_grad_value_: clip_value"):
            optim.clip_grad_value_([p], wrong)
    with pytest.raises(TypeError, match=r"model\.parameters\(\)"):
        optim.clip_grad_norm_([1.0], 1.0)
    assert p.grad == math.inf


def test_an_optimiser_clips_by_itself():
    for options, clip in [
        ({"clip_norm": 1.0}, lambda ps: optim.clip_grad_norm_(ps, 1.0)),
        ({"clip_value": 0.5}, lambda ps: optim.clip_grad_value_(ps, 0.5)),
    ]:
        ours, theirs = [Value(1.0), Value(2.0)], [Value(1.0), Value(2.0)]
        for ps in (ours, theirs):
            ps[0].grad, ps[1].grad = 3.0, -4.0
        clip(theirs)
        optim.SGD(ours, **options).step()
        optim.SGD(theirs).step()
        assert [p.data for p in ours] == [p.data for p in theirs]
        assert [p.grad for p in ours] == [3.0, -4.0]  # gradients stay as they are


# --- gradients of many parameters at once -----------------------------------------


@given(data=st.data())
def test_gradients_of_many_are_those_of_each(data):
    """Read and set to 0 together, whoever else has gradients on the same tape."""
    everybody = [Value(float(k)) for k in range(data.draw(st.integers(1, 9)))]
    computed = everybody[0] * 2.0
    chosen = data.draw(st.lists(st.sampled_from([*everybody, computed]), min_size=1, unique_by=id))
    for v in data.draw(st.lists(st.sampled_from([*everybody, computed]))):
        v.grad = data.draw(st.floats())
    before = {id(v): v.grad for v in (*everybody, computed)}
    bundle = Bundle(chosen)
    numbers, slopes = bundle.numbers(), bundle.gradients()
    assert repr(slopes.tolist()) == repr([before[id(v)] for v in chosen])
    assert numbers.tolist() == [v.data for v in chosen]
    bundle.zero_gradients()
    for v in (*everybody, computed):
        expected = 0.0 if any(v is x for x in chosen) else before[id(v)]
        assert repr(v.grad) == repr(expected)
    (everybody[0] * 3.0).backward()
    kept = 0.0 if any(everybody[0] is x for x in chosen) else before[id(everybody[0])]
    assert repr(everybody[0].grad) == repr(kept + 3.0)


def test_another_list_of_parameters_is_taken_up():
    first, second = [Value(1.0), Value(2.0)], [Value(3.0), Value(4.0)]
    optimiser = optim.SGD(first, lr=1.0)
    for values in (first, second):
        optimiser.parameters = list(values)
        for v in values:
            v.grad = 0.5
        optimiser.step()
        optimiser.zero_grad()
        assert [v.grad for v in values] == [0.0, 0.0]
    assert [v.data for v in (*first, *second)] == [0.5, 1.5, 2.5, 3.5]
    optimiser.parameters[0] = first[0]
    first[0].grad, second[0].grad = 0.25, 8.0
    optimiser.step()
    assert [v.data for v in (*first, *second)] == [0.25, 1.5, 2.5, 3.5]


def test_parameters_are_found_again_once_their_entries_have_moved():
    garbage = [Value(float(k)) for k in range(1000)]
    values = [Value(1.0), Value(2.0)]
    bundle = Bundle(values)
    assert bundle.numbers().tolist() == [1.0, 2.0]
    garbage.clear()
    here.table.compact()
    others = [Value(9.0), Value(8.0)]
    values[0].grad = 5.0
    assert [x.tolist() for x in (bundle.numbers(), bundle.gradients())] == [[1.0, 2.0], [5.0, 0.0]]
    assert bundle.set_numbers(array("d", [-1.0, -2.0]))
    bundle.zero_gradients()
    assert [v.data for v in (*values, *others)] == [-1.0, -2.0, 9.0, 8.0]
    assert values[0].grad == 0.0


def test_values_that_are_not_of_here_are_left_to_others():
    value, computed = Value(1.0), Value(2.0) * 1.0
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(Bundle([value]).numbers).result() is None
        assert pool.submit(Bundle([value]).set_numbers, array("d", [3.0])).result() is False
    assert not Bundle([value, computed]).set_numbers(array("d", [3.0, 4.0]))
    assert Bundle([value, 1.0]).numbers() is None
    assert (value.data, computed.data) == (1.0, 2.0)
