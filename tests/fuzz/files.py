"""Targets: files that are loaded. A model's file and a file of compiled code, damaged.

A file is loaded whole or refused by the error that is documented; what was loaded is what was
written, and can be written again.
"""

import contextlib
import copy
import json
import os
import tempfile
from pathlib import Path
from unittest import mock

from miniflow import nn
from miniflow.native import cache
from miniflow.nn.saved import sealed
from support.bits import bits

MEMORY = "/dev/shm"  # where files are fastest
FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-", dir=MEMORY if Path(MEMORY).is_dir() else None))
STRANGE = [
    *(
        None,
        True,
        "",
        "MLP",
        "Layer",
        "Neuron",
        "Module",
        "relu",
        "tanh",
        [],
        {},
        [[]],
        -1,
        0,
        1,
        2,
    ),
    *(10**9, 10**400, 0.5, 1e308, "nan", [2, 1], [2, -1], ["layers"], {"class": "Neuron"}),
]
ACTIVATIONS = ("relu", "tanh", None, "sigmoid")


# --- models ---------------------------------------------------------------------


def small(reader):
    """A model."""
    activation = reader.choice(ACTIVATIONS)
    sizes = [1 + reader.below(2) for _ in range(1 + reader.below(2))]
    made = (
        lambda: nn.MLP(1 + reader.below(2), sizes, activation=activation, seed=0),
        lambda: nn.Layer(1 + reader.below(2), sizes[0], activation=activation, seed=0),
        lambda: nn.Neuron(sizes[0], activation=activation, seed=0),
        lambda: nn.Sequential(
            nn.Linear(1, sizes[0], seed=0), nn.Dropout(0.5), nn.ELU(), nn.LayerNorm(sizes[0])
        ),
        lambda: reader.choice((nn.RNN, nn.GRU, nn.LSTM))(1, sizes[0], 2, seed=0),
        lambda: nn.Embedding(sizes[0], 2, seed=0),
    )
    model = reader.choice(made)()
    for p in model.parameters():
        p.data = reader.number()
    return model


def places(tree):
    """Where something stands in what JSON has read: its container and key."""
    found, waiting = [], [tree]
    while waiting:
        here = waiting.pop()
        keys = (
            here if isinstance(here, dict) else range(len(here)) if isinstance(here, list) else ()
        )
        found += [(here, key) for key in keys]
        waiting += [here[key] for key in keys]
    return found


def damaged(reader, text):
    """Text of JSON, in which something stands that should not; its checksum may be right."""
    content = json.loads(text)
    for _ in range(reader.below(3)):
        options = places(content)
        if options:
            container, key = options[(256 * reader.below(256) + reader.below(256)) % len(options)]
            change(reader, container, key)
    return sealed(content) if reader.below(4) else json.dumps(content)


def change(reader, container, key):
    """Remove what stands there, or put another thing into its place."""
    if reader.below(4) == 0:
        del container[key]
    elif reader.below(2):
        container[key] = copy.deepcopy(reader.choice(STRANGE))
    else:
        container[key] = json.loads(json.dumps(container))  # one level deeper


def models(reader):
    """Judge a model's file."""
    path, again = FOLDER / "model.json", FOLDER / "again.json"
    model = small(reader)
    model.save(path)
    kind, text = reader.below(8), path.read_bytes()
    if kind == 7:
        path.write_bytes(reader.rest())
    elif kind == 6:
        place = 256 * reader.below(256) + reader.below(256)
        path.write_bytes(text[: place % len(text)] + reader.rest())
    elif kind:
        path.write_text(damaged(reader, text), encoding="utf-8")
    try:
        found = nn.load(path)
    except ValueError:
        assert kind, f"refused: {text}"
        return
    assert kind or bits(found.state_dict()) == bits(model.state_dict())
    computed(found)
    if reader.below(4) == 0:
        found.save(again)
        assert bits(nn.load(again).state_dict()) == bits(found.state_dict())


def computed(model):
    """What was loaded computes: as many inputs as it has weights, or it says how many."""
    count, _ = model.shape()
    x = [0.5] * (count or 1)
    if isinstance(model, nn.Embedding):
        x = 0
    elif isinstance(model, (nn.RNN, nn.GRU, nn.LSTM)):
        x = [x]
    with contextlib.suppress(ValueError):  # later layers may be of other sizes
        model(x)


# --- compiled code ----------------------------------------------------------------


KEY = "0123456789abcdef" * 4


def caches(reader):
    """Judge a file of compiled code: what was stored, or none."""
    with mock.patch.dict(os.environ, {cache.VARIABLE: str(FOLDER)}):
        stored(reader)


def stored(reader):
    """Store, damage, load."""
    header = {"name": "f", "sizes": [reader.below(256) for _ in range(reader.below(3))]}
    objects = [reader.raw(reader.below(20)) for _ in range(reader.below(3))]
    kind, path = reader.below(4), FOLDER / KEY
    if kind == 3:  # a checksum that is right, over nonsense
        nonsense = reader.rest().decode("latin-1")
        with mock.patch.object(cache.json, "dumps", return_value=nonsense):
            cache.store_code(KEY, header, objects)
        cache.load_code(KEY)
        return
    cache.store_code(KEY, header, objects)
    whole = path.read_bytes()
    content = bytearray(whole)
    if kind == 1:
        content[reader.below(256) % len(content)] ^= 1 + reader.below(255)
    elif kind == 2:
        content = content[: reader.below(256) % len(content)] + reader.rest()
    path.write_bytes(content)
    right = (header, objects) if content == whole else None
    assert cache.load_code(KEY) == right, (bytes(content), right)
