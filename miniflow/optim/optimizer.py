"""The base of all optimisers: parameter groups, the step, and what is saved of both.

They know nothing of Values but `.data` and `.grad`. A step computes every new number first and
then assigns them, so that an error leaves parameters and memory as they were.
"""

from array import array
from collections.abc import Callable, Iterable
from inspect import signature
from operator import is_
from typing import Any, NamedTuple, Protocol

from miniflow.ops import real
from miniflow.optim.clipping import clipped_by_norm, clipped_by_value
from miniflow.optim.columns import Columns, MoveRule, made_columns
from miniflow.optim.options import Check, Option, positive, rate, yes_or_no
from miniflow.tape.quick import Bundle
from miniflow.util.notebook import InNotebook
from miniflow.util.words import shown

OFF = ("momentum", "weight_decay")  # None in a rule where they are 0
LIMITS = ("clip_norm", "clip_value")
SETTLED = {float, int, bool, tuple, type(None)}  # options of these types change by being replaced


class Parameter(Protocol):
    """What is optimised."""

    data: float
    grad: float


class GroupRule(NamedTuple):
    """What moves the `size` parameters of a group in the next step.

    `numbers` are those that all parameters have in common, by name, the first one `t`; `memory` has
    an array for each thing that is remembered.
    """

    columns: Columns
    size: int
    numbers: dict[str, float]
    memory: dict[str, Any]


class SettledRule(NamedTuple):
    """What moves a group as long as its options stay as they are."""

    group: dict[str, Any]  # as it was, a copy
    columns: Columns
    numbers: dict[str, float]
    memory: dict[str, float]  # how it starts

    def is_of(self, group: dict[str, Any]) -> bool:
        """Whether a group has the same objects: equal ones may be of another type, or change."""
        before = self.group
        return [*before] == [*group] and all(map(is_, before.values(), group.values()))


class Optimizer(InNotebook):
    """The base: parameters in groups, each with options of its own.

    A subclass has a `rule` (see rules.py), an `Option` for each of its options, and says in
    `memory` what the rule remembers; or it overrides `moved`.

    Args:
        parameters: the Values to optimise, e.g. ``model.parameters()``; one given twice counts
            once, and is found by identity. Or groups of them: dicts with ``params`` and any
            options that are the group's own, such as ``{"params": values, "lr": 0.1}``.
        lr: the learning rate, in units of parameter per step's direction.
        weight_decay: adds ``weight_decay * parameter`` to each gradient; with
            ``decoupled_weight_decay`` it shrinks the parameter instead, by lr times that.
        maximize: whether to climb.
        clip_norm: if all gradients together are longer than that, they are scaled down to it.
        clip_value: no component of the gradient is larger than that, of either sign.
        **options: those of the subclass.

    Attributes:
        param_groups: the groups, as dicts: ``params`` and every option. Options may be set there,
            or as attributes, which is to set them in every group.
        parameters: those of all groups, in order.

    Raises:
        ValueError: there are no parameters, or an option is out of its range or unknown.
        TypeError: a parameter is none.
    """

    lr = Option(rate)
    weight_decay = Option(rate)
    maximize = Option(yes_or_no)
    decoupled_weight_decay = Option(yes_or_no)
    rule: MoveRule

    def __init__(
        self, parameters: Iterable[Any], lr: float, weight_decay: float = 0.0, *,
        maximize: bool = False, clip_norm: float | None = None, clip_value: float | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        given = {"lr": lr, "weight_decay": weight_decay, **options, "maximize": maximize}
        given.setdefault("decoupled_weight_decay", False)
        self.clip_norm, self.clip_value = (
            None if x is None else positive(f"{type(self).__name__}: {name}", x)
            for name, x in zip(LIMITS, (clip_norm, clip_value), strict=True)
        )
        self.parameters: list[Parameter] = []
        self._bundle: Bundle | None = None
        self.param_groups: list[dict[str, Any]] = []
        self._defaults = self._checked(given)
        self._memory: list[dict[str, Any]] = []  # of each group, by name: an array
        self._steps: list[int] = []
        self._settled: dict[int, SettledRule] = {}
        for group in self._groups(parameters):
            self.add_param_group(group)

    def _groups(self, parameters: Iterable[Any]) -> list[Any]:
        name = type(self).__name__
        if not isinstance(parameters, Iterable):
            raise TypeError(
                f"{name}: parameters must be a list, got {shown(parameters)}; "
                "pass model.parameters(), with its ()"
            )
        listed = list(parameters)
        if not listed:
            raise ValueError(f"{name}: no parameters; pass model.parameters()")
        return listed if isinstance(listed[0], dict) else [{"params": listed}]

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Optimise more parameters.

        Args:
            group: ``params``, a list of Values or one Value, and options of its own; all others
                are as they were when the optimiser was made.

        Raises:
            ValueError: there are no parameters, one is in another group, or an option is wrong.
            TypeError: `group` is no such dict, or a parameter is none.
        """
        name = type(self).__name__
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(
                f"{name}: a group must be a dict with 'params', got {shown(group)}; "
                "such as {'params': model.parameters(), 'lr': 0.1}"
            )
        options = self._checked({k: x for k, x in group.items() if k != "params"})
        given = group["params"]
        params = self._distinct(given if isinstance(given, Iterable) else [given])
        self.param_groups.append({"params": params, **self._defaults, **options})
        self.parameters += params
        self._memory.append({})
        self._steps.append(0)

    def _distinct(self, given: Iterable[Any]) -> list[Parameter]:
        """The parameters of a group, once each."""
        name = type(self).__name__
        params: list[Parameter] = list({id(p): p for p in given}.values())
        if not params:
            raise ValueError(f"{name}: no parameters; pass model.parameters()")
        for p in params:
            if not hasattr(p, "data") or not hasattr(p, "grad"):
                raise TypeError(
                    f"{name}: a parameter must be a Value, got {shown(p)}; pass model.parameters()"
                )
            if getattr(p, "op", "leaf") != "leaf":
                raise TypeError(
                    f"{name}: a parameter must be a leaf, got {shown(p)}, "
                    "which is computed or constant; give what it was computed from"
                )
        if {*map(id, self.parameters)} & {*map(id, params)}:
            raise ValueError(f"{name}: a parameter is in two groups; leave it out of one")
        return params

    # --- options ------------------------------------------------------------------

    @classmethod
    def checks(cls) -> dict[str, Check]:
        """The options that there are, by name, and what they may be."""
        homes = [vars(kind) for kind in reversed(cls.__mro__)]
        return {k: x.check for home in homes for k, x in home.items() if isinstance(x, Option)}

    @property
    def options(self) -> dict[str, Any]:
        """The options, by name; those of groups as the first one has them."""
        own = {k: x for k, x in self.param_groups[0].items() if k != "params"}
        return own | {name: getattr(self, name) for name in LIMITS}

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        name, checks = type(self).__name__, self.checks()
        for k in options:
            if k not in checks:
                raise ValueError(f"{name}: there is no option {k!r}; it has {', '.join(checks)}")
        return {k: checks[k](f"{name}: {k}", x) for k, x in options.items()}

    @classmethod
    def _usual(cls) -> dict[str, Any]:
        """What each option is if nobody says otherwise."""
        usual: dict[str, Any] = {"decoupled_weight_decay": False}
        for kind in reversed(cls.__mro__[:-1]):
            usual |= {k: x.default for k, x in signature(kind).parameters.items()}
        return usual

    def __repr__(self) -> str:
        usual = self._usual()
        options = {k: x for k, x in self.options.items() if k == "lr" or usual.get(k, ...) != x}
        listed = "".join(f", {name}={x!r}" for name, x in options.items())
        groups = f" in {n} groups" if (n := len(self.param_groups)) > 1 else ""
        return f"{type(self).__name__}({len(self.parameters)} parameters{groups}{listed})"

    # --- the step -----------------------------------------------------------------

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set the gradient of every parameter to 0; it is a number, so None means the same."""
        self._bundled().zero_gradients()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter once, along its gradient.

        Args:
            closure: called first, if given: it computes gradients and returns the loss, which
                is then the answer.
        """
        import numpy

        loss = None if closure is None else closure()
        bundle, parameters = self._bundled(), self.parameters
        numbers, slopes = bundle.numbers(), bundle.gradients()
        if numbers is None or slopes is None:  # not all are Values of this thread
            numbers = array("d", [real(p.data, "a parameter's data") for p in parameters])
            slopes = array("d", [real(p.grad, "a parameter's grad") for p in parameters])
        put(bundle, self.moved(numpy.frombuffer(numbers), numpy.frombuffer(slopes)))
        return loss

    def _bundled(self) -> Bundle:
        """The parameters, to be read and set all at once."""
        found = self._bundle
        if found is None or not found.holds(self.parameters):
            found = self._bundle = Bundle(self.parameters)
        return found

    def moved(self, numbers: Any, slopes: Any) -> Any:
        """The new numbers, from arrays of the numbers and the gradients, which stay as they are.

        This is a step without Values: only what the optimiser remembers has changed.
        """
        slopes = self._clipped(slopes)
        found, memory, start = [], [], 0
        for k, group in enumerate(self.param_groups):
            stop = start + len(group["params"])
            moved, kept = self._moved(k, group, numbers[start:stop], slopes[start:stop])
            found.append(moved)
            memory.append(kept)
            start = stop
        self._memory, self._steps = memory, [t + 1 for t in self._steps]
        if len(found) == 1:
            return found[0]
        import numpy

        return numpy.concatenate(found)

    def _clipped(self, slopes: Any) -> Any:
        if self.clip_value is not None:
            slopes = clipped_by_value(slopes, self.clip_value)
        return slopes if self.clip_norm is None else clipped_by_norm(slopes, self.clip_norm)

    def _moved(self, k: int, group: dict[str, Any], p: Any, g: Any) -> tuple[Any, dict[str, Any]]:
        """The new numbers of a group, and what is then remembered of it."""
        columns, _, numbers, memory = self._group_rule(k, group)
        moved, *kept = columns([p, g, *memory.values()], [*numbers.values()])
        return moved, dict(zip(memory, kept, strict=True))

    def _group_rule(self, k: int, group: dict[str, Any]) -> GroupRule:
        settled, kept, count = self._settled_rule(k, group), self._memory[k], len(group["params"])
        if [*kept] != [*settled.memory]:
            starts = settled.memory.items()
            kept = {name: self._column(k, name, start, count) for name, start in starts}
        numbers = settled.numbers | {"t": self._steps[k] + 1.0}
        return GroupRule(settled.columns, count, numbers, kept)

    def _settled_rule(self, k: int, group: dict[str, Any]) -> SettledRule:
        """What moves a group: as before, if no option has changed."""
        found = self._settled.get(k)
        if found is not None and found.columns.rule is type(self).rule and found.is_of(group):
            return found
        (numbers, fixed), memory = sorted_out(group), self.memory(group)
        names = tuple(memory), tuple(numbers), tuple(fixed.items())
        columns = made_columns(type(self).rule, *names)
        settled = SettledRule(dict(group), columns, numbers, memory)
        if all(type(x) in SETTLED for name, x in group.items() if name != "params"):
            self._settled[k] = settled
        return settled

    def group_rules(self) -> list[GroupRule] | None:
        """What the next step applies to each group, if a step is that and nothing else."""
        usual = getattr(self.moved, "__func__", None) is Optimizer.moved
        if not usual or self.clip_value is not None or self.clip_norm is not None:
            return None
        return [self._group_rule(k, group) for k, group in enumerate(self.param_groups)]

    def remember(self, memory: list[dict[str, Any]], steps: int) -> None:
        """Take over what is remembered after so many steps that somebody else has made."""
        self._memory, self._steps = memory, [t + steps for t in self._steps]

    def _column(self, k: int, name: str, start: float, count: int) -> Any:
        """What is remembered under a name; at first, how it starts."""
        import numpy

        found = self._memory[k].get(name)
        return numpy.full(count, start) if found is None else found

    def memory(self, group: dict[str, Any]) -> dict[str, float]:
        """What the rule remembers for each parameter of a group, by name: how it starts."""
        raise NotImplementedError

    # --- what is saved ------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All that a step depends on but the parameters and gradients, made of what JSON has.

        Floats are exact: after `load_state_dict` of it the steps are the same, bit for bit.
        """
        groups = [
            {k: _for_json(x) for k, x in group.items() if k != "params"}
            | {"params": len(group["params"])}
            for group in self.param_groups
        ]
        state = [
            {"step": t, **{name: column.tolist() for name, column in memory.items()}}
            for t, memory in zip(self._steps, self._memory, strict=True)
        ]
        limits = {name: getattr(self, name) for name in LIMITS}
        kind = type(self).__name__
        return {"optimizer": kind, **limits, "param_groups": groups, "state": state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` has returned.

        Raises:
            ValueError: it is another optimiser's, or not whole; then nothing has changed.
        """
        from miniflow.optim.state import loaded

        loaded(self, state)

    def __copy__(self) -> "Optimizer":
        """Another one of the same parameters, which goes its own way from here."""
        found = object.__new__(type(self))
        vars(found).update(vars(self))
        found.parameters = list(self.parameters)
        found.param_groups = [
            group | {"params": list(group["params"])} for group in self.param_groups
        ]
        found._memory = list(self._memory)  # a step makes new ones
        found._settled, found._bundle = {}, None
        return found

    def __getstate__(self) -> dict[str, Any]:
        """What pickles take: all but the rules, which are made anew."""
        return vars(self) | {"_settled": {}, "_bundle": None}


def sorted_out(group: dict[str, Any]) -> tuple[dict[str, float], dict[str, Any]]:
    """A group's options as a rule has them: numbers, t first; and what is part of the program."""
    numbers: dict[str, float] = {"t": 1.0}
    fixed: dict[str, Any] = {}
    for name, x in group.items():
        if name == "params":
            continue
        if type(x) is bool:
            fixed[name] = x
        elif name == "betas":
            numbers["b1"], numbers["b2"] = real(x[0], "betas"), real(x[1], "betas")
        elif name in OFF and x == 0:
            fixed[name] = None
        else:
            numbers[name] = x if type(x) is float else real(x, name)
    return numbers, fixed


def _for_json(x: Any) -> Any:
    """An option as JSON has it: a rate may have been set to a number of another library's."""
    if type(x) in (tuple, list):
        return [float(part) for part in x]
    return x if type(x) in (bool, int, float) else float(x)


def put(parameters: Bundle, numbers: Any) -> None:
    """Give parameters new numbers (a list or an array): all, or none if there is an error."""
    import numpy

    found = array("d", numpy.asarray(numbers, dtype=float).tobytes())
    if len(found) == len(parameters.values) and parameters.set_numbers(found):
        return
    before = [p.data for p in parameters.values]
    try:
        for p, number in zip(parameters.values, found, strict=True):
            p.data = number
    except BaseException:
        for p, number in zip(parameters.values, before, strict=True):
            if p.data is not number:
                p.data = number
        raise
