"""Compiled code kept in files, by what it was made from.

A file is written whole or not at all, and is believed only if its checksum is right: any
number of processes may use the folder at the same time, and a damaged file is as good as
none. Deleting the folder is safe.
"""

import hashlib
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from miniflow.util.files import write

MAGIC = b"miniflow compiled code 1\n"
VARIABLE = "MINIFLOW_CACHE_DIR"


def folder() -> Path | None:
    """Where the files are: MINIFLOW_CACHE_DIR, or the platform's place; None if there is none."""
    with suppress(RuntimeError):  # a user without a home
        return _folder()
    return None


def _folder() -> Path | None:
    named = os.environ.get(VARIABLE)
    if named is not None:
        return Path(named) if named else None
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        return Path(base, "miniflow", "Cache") if base else None
    if sys.platform == "darwin":
        return Path("~/Library/Caches/miniflow").expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "miniflow"


def store_code(key: str, header: Any, objects: list[bytes]) -> None:
    """Keep objects and a header (of what JSON knows) under a key; failing is no error."""
    place = folder()
    if place is None:
        return
    text = json.dumps([header, [len(x) for x in objects]]).encode()
    payload = b"".join([len(text).to_bytes(8, "little"), text, *objects])
    with suppress(OSError):  # no room, or no right to write: then it is compiled again each time
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        write(place / key, MAGIC + hashlib.sha256(payload).digest() + payload)


def load_code(key: str) -> tuple[Any, list[bytes]] | None:
    """The header and the objects under a key; None if there are none, or damaged ones."""
    place = folder()
    if place is None:
        return None
    try:
        content = (place / key).read_bytes()
    except OSError:
        return None
    start = len(MAGIC) + 32
    payload = content[start:]
    if content[:start] != MAGIC + hashlib.sha256(payload).digest():
        return None
    end = 8 + int.from_bytes(payload[:8], "little")
    header, lengths = json.loads(payload[8:end])
    objects = []
    for length in lengths:
        objects.append(payload[end : end + length])
        end += length
    return header, objects
