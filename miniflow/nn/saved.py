"""The file of a saved model: JSON that says what the model is, its parameters, and who wrote it.

    {"format": "miniflow 2", "version": "0.1.0", "model": {"class": "Linear", "nin": 2, ...},
     "state": {"weight.0.0": 0.5, "bias.0": "nan", ...}, "crc32": 1234567890}

The model's configuration names its architecture; `state` has each parameter by its name, with
all digits; JSON has no infinities and NaNs, so they are strings. The checksum is of all the
rest, written without spaces and in the order of the keys: what was changed is noticed. Files of
the format before, "miniflow 1", have neither version nor checksum.
"""

import json
import os
import re
import sys
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from miniflow.util.words import shown

FORMAT, OLDER = "miniflow 2", "miniflow 1"
NOT_FINITE = {"nan": nan, "inf": inf, "-inf": -inf}
# how files begin that others write, and what to do with such a file
FOREIGN = {
    b"PK\x03\x04": "a zip file, such as PyTorch's and Keras's: load it there, and give the "
    "numbers to load_state_dict",
    b"\x80": "a pickle: open it with pickle",
    b"\x89HDF": "an HDF5 file, such as Keras's: load it there, and give the numbers to "
    "load_state_dict",
}


class Saved(NamedTuple):
    """What is in a file."""

    config: Any  # of the model, a dict in right ones
    state: Any  # its parameters by name, a dict in right ones


def content(config: dict[str, Any], state: dict[str, float]) -> str:
    """The text of a model's file.

    Raises:
        TypeError: the configuration holds what JSON cannot.
    """
    try:
        json.dumps(config, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(
            f"save: config of {config.get('class')} holds what JSON cannot: {error}; give "
            "finite numbers, strings, lists and dicts"
        ) from error
    numbers = {name: x if isfinite(x) else repr(x) for name, x in state.items()}
    version = sys.modules["miniflow"].__version__
    return sealed({"format": FORMAT, "version": version, "model": config, "state": numbers})


def sealed(parts: dict[str, Any]) -> str:
    """The text of a file of such parts, with their checksum.

    Example:
        >>> print(sealed({"format": "miniflow 2"}))
        {
         "format": "miniflow 2",
         "crc32": 1274825441
        }
        <BLANKLINE>
    """
    plain = json.loads(json.dumps(parts, allow_nan=False))  # tuples are lists in a file
    return json.dumps({**plain, "crc32": _checksum(plain)}, indent=1) + "\n"


def _checksum(parts: dict[str, Any]) -> int:
    """The checksum of a file's parts, but for itself."""
    rest = {name: x for name, x in parts.items() if name != "crc32"}
    return crc32(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode())


def read(path: str | os.PathLike[str]) -> Saved:
    """The configuration and the state in a file that `save` wrote.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a saved model, or a damaged one.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"load: path must be a file's name, got {shown(path)}")
    name = os.fspath(path)
    try:
        return _saved_in(Path(path).read_bytes())
    except RecursionError:
        wrong = "it is nested too deeply"
    except ValueError as error:
        wrong = str(error)
    raise ValueError(f"load: {name!r} is not a saved model, a file that Module.save wrote: {wrong}")


def _saved_in(data: bytes) -> Saved:
    """What a file's bytes say.

    Raises:
        ValueError: why they are no saved model's.
    """
    parts = _json_in(data)
    if not isinstance(parts, dict):
        raise ValueError(f"expected an object of JSON, got {shown(parts)}")
    missing = [name for name in ("format", "model", "state") if name not in parts]
    if missing:
        raise ValueError(f"it has no {', '.join(map(repr, missing))}")
    if parts["format"] == OLDER:
        return Saved(parts["model"], parts["state"])
    if parts["format"] != FORMAT:
        raise ValueError(
            f"it has format {parts['format']!r:.60}, written by miniflow "
            f"{parts.get('version')!r:.60}; this miniflow reads {OLDER!r} and {FORMAT!r}"
        )
    if "crc32" not in parts:
        raise ValueError("it has no 'crc32': its end is missing")
    if type(parts["crc32"]) is not int or parts["crc32"] != _checksum(parts):
        raise ValueError("its checksum is not that of its content: it was damaged, or edited")
    return Saved(parts["model"], _with_infinities(parts["state"]))


def _json_in(data: bytes) -> Any:
    """The JSON in a file."""
    if not data.strip():
        raise ValueError("it is empty")
    for start, what in FOREIGN.items():
        if data.startswith(start):
            raise ValueError(f"it is {what}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not text, at byte {error.start}") from None
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        rest = text[error.pos :]
        ends = error.msg.startswith("Unterminated") or re.fullmatch(r"[\w.+-]*\s*", rest)
        if text.startswith("{") and ends:
            raise ValueError(f"it is cut off, in line {error.lineno}") from None
        raise ValueError(f"in line {error.lineno} it is no JSON: {error.msg}") from None


def _with_infinities(state: Any) -> Any:
    """The state with numbers for the strings that stand for what is not finite."""
    if not isinstance(state, dict):
        return state
    return {k: NOT_FINITE.get(x, x) if isinstance(x, str) else x for k, x in state.items()}
