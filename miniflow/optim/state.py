"""What `load_state_dict` takes: all of it is checked before anything changes."""

from typing import Any

from miniflow.ops import real
from miniflow.optim.options import positive
from miniflow.util.words import shown


def loaded(optimizer: Any, state: Any) -> None:
    """Let an optimiser go on from a state; a state that is wrong is an error, and no change."""
    kind = type(optimizer).__name__
    what = f"{kind}.load_state_dict"
    _expect(isinstance(state, dict), what, f"the state must be a dict, got {shown(state)}")
    other = state.get("optimizer")
    _expect(other == kind, what, f"the state must be {kind}'s, got {other!r}")
    groups = _whole_list(what, state, "param_groups", optimizer)
    states = _whole_list(what, state, "state", optimizer)
    limits = {
        name: None if (x := state.get(name)) is None else positive(f"{what}: {name}", x)
        for name in ("clip_norm", "clip_value")
    }
    found = [
        _one_group(what, optimizer, k, *both)
        for k, both in enumerate(zip(groups, states, strict=True))
    ]
    for group, (options, _, _) in zip(optimizer.param_groups, found, strict=True):
        group.update(options)
    vars(optimizer).update(limits)
    optimizer._steps = [t for _, t, _ in found]
    optimizer._memory = [memory for _, _, memory in found]


def _one_group(what: str, optimizer: Any, k: int, given: Any, state: Any) -> tuple[Any, int, Any]:
    """A group's options, steps and memory."""
    params = optimizer.param_groups[k]["params"]
    whole = isinstance(given, dict) and isinstance(state, dict)
    _expect(whole, what, f"group {k} must be a dict, got {shown(given)} and {shown(state)}")
    count = given.get("params")
    _expect(
        count == len(params), what, f"group {k} has {len(params)} parameters, the state {count!r}"
    )
    missing = optimizer.checks().keys() - given.keys()
    _expect(not missing, what, f"group {k} lacks {', '.join(sorted(missing))}")
    options = optimizer._checked({name: x for name, x in given.items() if name != "params"})
    step = state.get("step")
    _expect(type(step) is int and step >= 0, what, f"group {k} has made {shown(step)} steps")
    needed = optimizer.memory(options).keys() if step else set()
    lacking = needed - state.keys()
    _expect(not lacking, what, f"group {k} lacks {', '.join(sorted(lacking))}")
    memory = {
        name: _column(f"{what}: {name} of group {k}", state[name], len(params)) for name in needed
    }
    return options, step, memory


def _column(what: str, numbers: Any, count: int) -> Any:
    """An array of what is remembered, a number for each parameter."""
    import numpy

    whole = isinstance(numbers, list) and len(numbers) == count
    _expect(whole, what, f"it must be a list of {count} numbers, got {shown(numbers)}")
    try:
        return numpy.array([real(x, what) for x in numbers])
    except TypeError as error:
        raise ValueError(str(error)) from None


def _whole_list(what: str, state: dict[str, Any], name: str, optimizer: Any) -> list[Any]:
    found, count = state.get(name), len(optimizer.param_groups)
    whole = isinstance(found, list) and len(found) == count
    _expect(whole, what, f"{name} must be a list for {count} groups, got {shown(found)}")
    return found  # type: ignore[return-value]


def _expect(holds: bool, what: str, otherwise: str) -> None:
    if not holds:
        raise ValueError(f"{what}: {otherwise}; nothing was loaded")
