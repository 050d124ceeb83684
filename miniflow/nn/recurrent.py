"""Recurrent networks: cells that take one step, and stacks of them that take a sequence.

A cell's parameters are PyTorch's, names, shapes and order of gates included, so that a
`state_dict` of its module of the same name can be loaded: the rows of ``weight_ih`` (of the
input) and ``weight_hh`` (of the state) are the gates one below the other.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from miniflow import ops
from miniflow.nn.arguments import flag, rng_of, values_of, whole
from miniflow.nn.inits import Init, biases, drawn_weights
from miniflow.nn.layers import affine
from miniflow.nn.module import Seeded
from miniflow.ops import sigmoid, tanh
from miniflow.tape.core import Value, current
from miniflow.util.words import shown

State = Any  # a list of Values, or of an LSTM a pair of them


class Cell(Seeded):
    """The base of cells: ``state = cell(x, state)`` takes one step.

    Args:
        nin: how many numbers an input has.
        nhidden: how many numbers the state has.
        bias: whether there are biases.
        init: how weights begin: a name, such as "glorot", or a function; see `nn.inits`. By
            default all parameters are uniform, of variance 1/(3 nhidden), as in PyTorch.
        seed: makes the initial parameters reproducible.
    """

    gates = 1

    def __init__(
        self, nin: int, nhidden: int, bias: bool = True, *, init: Init = "torch", seed: Any = None
    ) -> None:
        name, rng = type(self).__name__, rng_of(seed)
        nin, nhidden = whole(f"{name}: nin", nin), whole(f"{name}: nhidden", nhidden)
        flag(f"{name}: bias", bias)
        fan = nhidden if init == "torch" else 0
        rows = range(self.gates * nhidden)
        self.weight_ih = [drawn_weights(init, nin, nhidden, rng, fan) for _ in rows]
        self.weight_hh = [drawn_weights(init, nhidden, nhidden, rng) for _ in rows]
        self.bias_ih, self.bias_hh = [
            biases(init, nhidden, len(rows), rng) if bias else None for _ in range(2)
        ]

    def __call__(self, x: Any, state: State = None) -> State:
        """The next state.

        Args:
            x: a list of `nin` numbers.
            state: what the last call returned; zeros if left out.

        Raises:
            ValueError: x or the state has another length.
        """
        name = type(self).__name__
        nin, nhidden = self.shape()
        xs = values_of(x, f"{name}: x", nin)
        state = self.zeros() if state is None else self.checked(state)
        hidden = self.hidden(state)
        from_input = _gates(affine(self.weight_ih, self.bias_ih, xs), nhidden)
        from_state = _gates(affine(self.weight_hh, self.bias_hh, hidden), nhidden)
        return self.step(from_input, from_state, state)

    def step(self, a: list[list[Any]], b: list[list[Any]], state: State) -> State:
        """The next state, from the last one and what each gate gets from input and state."""
        raise NotImplementedError

    def zeros(self) -> State:
        """The state before the first step."""
        constant = current().constant
        return [constant(0.0) for _ in range(self.shape()[1])]

    def checked(self, state: State) -> State:
        """The state as Values, if it has the right lengths."""
        return values_of(state, f"{type(self).__name__}: the state", self.shape()[1])

    def hidden(self, state: State) -> list[Value]:
        """What of the state the gates are shown, and what goes out."""
        return state  # type: ignore[no-any-return]

    def shape(self) -> tuple[int, int]:
        return len(self.weight_ih[0]), len(self.weight_hh[0])

    def config(self) -> dict[str, Any]:
        nin, nhidden = self.shape()
        bias = self.bias_ih is not None
        return {**super().config(), "nin": nin, "nhidden": nhidden, "bias": bias}

    @classmethod
    def least_parameters(cls, config: dict[str, Any]) -> int:
        nin, nhidden = whole("nin", config["nin"]), whole("nhidden", config["nhidden"])
        return cls.gates * nhidden * (nin + nhidden)

    def __repr__(self) -> str:
        nin, nhidden = self.shape()
        return f"{type(self).__name__}({nin}, {nhidden})"


def _gates(rows: list[Any], size: int) -> list[list[Any]]:
    """What belongs to each gate."""
    return [rows[k : k + size] for k in range(0, len(rows), size)]


def _sums(a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
    return [x + y for x, y in zip(a, b, strict=True)]


class RNNCell(Cell):
    """``h = tanh(W_ih x + b_ih + W_hh h + b_hh)``, or relu.

    Args:
        nonlinearity: "tanh" or "relu".

    Source: Elman, Finding Structure in Time (1990), as PyTorch's RNNCell has it.

    Example:
        >>> cell = RNNCell(2, 3, seed=1)
        >>> state = cell([1.0, 2.0])
        >>> len(cell([0.0, 1.0], state))
        3
    """

    def __init__(
        self, nin: int, nhidden: int, bias: bool = True, nonlinearity: str = "tanh", *,
        init: Init = "torch", seed: Any = None,
    ) -> None:  # fmt: skip
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"RNNCell: nonlinearity must be 'tanh' or 'relu', got {shown(nonlinearity)}"
            )
        self.nonlinearity = nonlinearity
        super().__init__(nin, nhidden, bias, init=init, seed=seed)

    def step(self, a: list[list[Any]], b: list[list[Any]], state: State) -> State:
        op = tanh if self.nonlinearity == "tanh" else ops.relu
        return [op(x) for x in _sums(a[0], b[0])]

    def config(self) -> dict[str, Any]:
        return {**super().config(), "nonlinearity": self.nonlinearity}


class GRUCell(Cell):
    """A gated recurrent unit: a reset gate r, an update gate z, and a new state n.

    ``n = tanh(a_n + r b_n)``, ``h = (1 - z) n + z h``, where r and z are sigmoids of a + b, a being
    ``W_ih x + b_ih`` and b being ``W_hh h + b_hh``.

    Source: Cho et al., Learning Phrase Representations using RNN Encoder-Decoder (2014), as
    PyTorch's GRUCell has it.
    """

    gates = 3

    def step(self, a: list[list[Any]], b: list[list[Any]], state: State) -> State:
        r, z = [[sigmoid(x) for x in _sums(a[k], b[k])] for k in range(2)]
        n = [tanh(x + gate * y) for x, gate, y in zip(a[2], r, b[2], strict=True)]
        return [(1.0 - u) * x + u * h for u, x, h in zip(z, n, state, strict=True)]


class LSTMCell(Cell):
    """Long short-term memory: its state is a pair of lists, (h, c).

    ``c = f c + i g``, ``h = o tanh(c)``, where the gates i, f, o are sigmoids and g is a tanh of
    ``W_ih x + b_ih + W_hh h + b_hh``; in the parameters their order is i, f, g, o.

    Source: Hochreiter & Schmidhuber, Long Short-Term Memory (1997), with the forget gate of Gers
    et al. (2000), as PyTorch's LSTMCell has it.
    """

    gates = 4

    def step(self, a: list[list[Any]], b: list[list[Any]], state: State) -> State:
        i, f, g, o = [
            [(tanh if k == 2 else sigmoid)(x) for x in _sums(a[k], b[k])] for k in range(4)
        ]
        c = [f * c + i * g for f, c, i, g in zip(f, state[1], i, g, strict=True)]
        return [gate * tanh(x) for gate, x in zip(o, c, strict=True)], c

    def zeros(self) -> State:
        return super().zeros(), super().zeros()

    def checked(self, state: State) -> State:
        if not isinstance(state, (tuple, list)) or len(state) != 2:
            raise TypeError(f"LSTMCell: the state must be a pair (h, c), got {shown(state)}")
        return tuple(map(super().checked, state))

    def hidden(self, state: State) -> list[Value]:
        return state[0]  # type: ignore[no-any-return]


# --- sequences ----------------------------------------------------------------


class Recurrent(Seeded):
    """The base of stacks of cells: ``outputs, state = stack(xs, state)`` takes a sequence.

    The parameters of layer k are called ``weight_ih_l<k>`` and so on, as in PyTorch.

    Args:
        nin: how many numbers an input has.
        nhidden: how many numbers a state has.
        num_layers: how many cells there are; each is given the states of the one before it.
        bias, init, seed: as of the cells.
        options: other arguments of the cells.
    """

    cell: type[Cell]

    def __init__(
        self, nin: int, nhidden: int, num_layers: int = 1, bias: bool = True, *,
        init: Init = "torch", seed: Any = None, **options: Any,
    ) -> None:  # fmt: skip
        name, rng = type(self).__name__, rng_of(seed)
        sizes = [nin, *[nhidden] * (whole(f"{name}: num_layers", num_layers) - 1)]
        cells = [self.cell(n, nhidden, bias, init=init, seed=rng, **options) for n in sizes]
        for k, cell in enumerate(cells):  # before the cells: these are the parameters' names
            for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                setattr(self, f"{part}_l{k}", getattr(cell, part))
        self.cells = cells

    def __call__(self, xs: Iterable[Any], state: State = None) -> tuple[list[list[Any]], State]:
        """The last layer's states after each step, and all layers' after the last one.

        Args:
            xs: the inputs, a list of lists of `nin` numbers.
            state: what the last call returned: for each layer a list of numbers, of an LSTM a
                pair of such lists; zeros if left out.

        Raises:
            ValueError: there is no input, or something has another length.
        """
        name = type(self).__name__
        if isinstance(xs, (str, Value)) or not isinstance(xs, Iterable):
            raise TypeError(f"{name}: xs must be a list of inputs, got {shown(xs)}")
        outputs = list(xs)
        if not outputs:
            raise ValueError(f"{name}: no inputs; give a list of at least one")
        last = []
        for cell, here in zip(self.cells, self._by_layer(state), strict=True):
            steps = []
            for x in outputs:
                here = cell(x, here)
                steps.append(cell.hidden(here))
            outputs = steps
            last.append(here)
        return outputs, self._together(last)

    def _by_layer(self, state: State) -> list[State]:
        """The state of each layer."""
        count = len(self.cells)
        if state is None:
            return [None] * count
        layers = self._apart(state)
        if len(layers) != count:
            raise ValueError(
                f"{type(self).__name__}: the state must be of {count} layers, got {len(layers)}"
            )
        return layers

    def _apart(self, state: State) -> list[State]:
        if not isinstance(state, (list, tuple)):
            raise TypeError(
                f"{type(self).__name__}: the state must be a list for each layer, got "
                f"{shown(state)}"
            )
        return list(state)

    def _together(self, layers: list[State]) -> State:
        return layers

    def shape(self) -> tuple[int, int]:
        return self.cells[0].shape()[0], self.cells[0].shape()[1]

    def config(self) -> dict[str, Any]:
        first = self.cells[0].config()
        return {**first, **super().config(), "num_layers": len(self.cells)}

    @classmethod
    def least_parameters(cls, config: dict[str, Any]) -> int:
        layers = whole("num_layers", config["num_layers"])
        nhidden = whole("nhidden", config["nhidden"])
        more = cls.cell.gates * nhidden * 2 * nhidden * (layers - 1)
        return more + cls.cell.least_parameters(config)

    def __repr__(self) -> str:
        nin, nhidden = self.shape()
        many = f", num_layers={len(self.cells)}" if len(self.cells) > 1 else ""
        return f"{type(self).__name__}({nin}, {nhidden}{many})"


class RNN(Recurrent):
    """`RNNCell` over a sequence.

    Example:
        >>> outputs, state = RNN(2, 3, seed=1)([[1.0, 2.0], [0.0, 1.0]])
        >>> len(outputs), len(outputs[0]), state[0] == outputs[-1]
        (2, 3, True)
    """

    cell = RNNCell

    def __init__(
        self, nin: int, nhidden: int, num_layers: int = 1, nonlinearity: str = "tanh",
        bias: bool = True, *, init: Init = "torch", seed: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            nin, nhidden, num_layers, bias, init=init, seed=seed, nonlinearity=nonlinearity
        )


class GRU(Recurrent):
    """`GRUCell` over a sequence."""

    cell = GRUCell


class LSTM(Recurrent):
    """`LSTMCell` over a sequence; the state is a pair (h, c), each with a list for each layer."""

    cell = LSTMCell

    def _apart(self, state: State) -> list[State]:
        if not isinstance(state, (tuple, list)) or len(state) != 2:
            raise TypeError(f"LSTM: the state must be a pair (h, c), got {shown(state)}")
        h, c = map(super()._apart, state)
        if len(h) != len(c):
            raise ValueError(f"LSTM: the state has h of {len(h)} layers and c of {len(c)}")
        return list(zip(h, c, strict=True))

    def _together(self, layers: list[State]) -> State:
        h, c = zip(*layers, strict=True)
        return list(h), list(c)
