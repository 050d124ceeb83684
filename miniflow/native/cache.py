"""Compiled code kept in files, by what it was made from.

A file is written whole or not at all, and is believed only if it is this user's own and its
checksum, of the key too, is right: any number of processes may use the folder at the same
time, and a damaged file is as good as none. What was not used for longest goes where the files
have grown too many. Deleting the folder is safe.
"""

import hashlib
import json
import os
import re
import stat
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from miniflow.util.files import write
from miniflow.util.words import caller_level

MAGIC = b"miniflow compiled code 2\n"
VARIABLE, SIZE = "MINIFLOW_CACHE_DIR", "MINIFLOW_CACHE_SIZE"
MEGABYTE, MOST_MEGABYTES = 1_000_000, 256
ABANDONED = 3600.0  # seconds after which nobody is still writing a part of a file

_KEY = re.compile(r"[0-9a-f]{64}")
_PART = re.compile(r"\.[0-9a-f]{16}\.part")
_told: set[str] = set()  # what has been warned of


def _tell(name: str, text: str) -> None:
    """Warn, once of each name."""
    if name not in _told:
        _told.add(name)
        warnings.warn(f"miniflow: {text}", RuntimeWarning, stacklevel=caller_level())


# --- where it is, and how large -----------------------------------------------


def folder() -> Path | None:
    """Where the files are: MINIFLOW_CACHE_DIR, or the platform's place; None if there is none.

    Never a place that depends on the current folder: there may be code from anywhere.
    """
    named = os.environ.get(VARIABLE)
    if named is None:
        return _platform_folder()
    if not named:
        return None
    if not Path(named).is_absolute():
        _tell(
            VARIABLE,
            f"{VARIABLE} must be a path from the root on, got {named!r}: compiled code is not kept",
        )
        return None
    return Path(named)


def _platform_folder() -> Path | None:
    if sys.platform == "win32":
        return _folder_below(os.environ.get("LOCALAPPDATA"), "miniflow", "Cache")
    if sys.platform == "darwin":
        return _folder_below(_home(), "Library", "Caches", "miniflow")
    found = _folder_below(os.environ.get("XDG_CACHE_HOME"), "miniflow")
    return found or _folder_below(_home(), ".cache", "miniflow")


def _folder_below(base: str | None, *names: str) -> Path | None:
    return Path(base, *names) if base and Path(base).is_absolute() else None


def _home() -> str | None:
    with suppress(RuntimeError):  # a user without a home, as in many containers
        return os.environ["HOME"] if "HOME" in os.environ else str(Path.home())
    return None


def limit() -> float:
    """How many bytes are kept at most: MINIFLOW_CACHE_SIZE, in megabytes."""
    given = os.environ.get(SIZE, "")
    with suppress(ValueError):
        size = float(given or MOST_MEGABYTES)
        if size >= 0:
            return size * MEGABYTE
    _tell(
        SIZE,
        f"{SIZE} must be a number of megabytes, such as {MOST_MEGABYTES}, got {given!r}: "
        f"{MOST_MEGABYTES} is taken",
    )
    return MOST_MEGABYTES * MEGABYTE


# --- what is trusted ----------------------------------------------------------


def _doubt(found: os.stat_result, kind: Callable[[int], bool]) -> str:
    """Why a file or folder is not to be believed; nothing if it is."""
    if not kind(found.st_mode):
        return "is a link, or something else than it should be"
    if not hasattr(os, "geteuid"):  # Windows: the user's folders are the user's
        return ""
    if found.st_uid != os.geteuid():
        return "belongs to another user"
    return "may be written by others" if found.st_mode & 0o022 else ""


def trusted_folder() -> Path | None:
    """The folder, if there is one and it is this user's alone."""
    place = folder()
    if place is None:
        return None
    try:
        doubt = _doubt(place.lstat(), stat.S_ISDIR)
    except OSError:
        return None
    if doubt:
        _distrust(place, doubt)
        return None
    return place


def _distrust(path: Path, doubt: str) -> None:
    _tell(
        str(path.parent if _KEY.fullmatch(path.name) else path),
        f"compiled code is not taken from {path}: it {doubt}; delete it, or let {VARIABLE} name "
        "a folder of your own",
    )


def _touch(file: int | Path) -> None:
    """Note the last use of a file, where anything may be written."""
    with suppress(OSError):
        os.utime(file)


def _trusted_content(path: Path, *, used: bool = True) -> bytes | None:
    """What is in a file, if it is this user's alone; following no link, waiting for no fifo."""
    flags = [getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY", "O_CLOEXEC")]
    try:
        file = os.open(path, os.O_RDONLY | sum(flags))
    except OSError:
        if path.is_symlink():
            _distrust(path, "is a link")
        return None
    try:
        doubt = _doubt(os.fstat(file), stat.S_ISREG)
        if doubt:
            _distrust(path, doubt)
            return None
        if used:
            _touch(file if os.utime in os.supports_fd else path)
        with open(file, "rb", closefd=False) as stream:
            return stream.read()
    except OSError:
        return None
    finally:
        os.close(file)


# --- files --------------------------------------------------------------------


def _sealed(key: str, payload: bytes) -> bytes:
    """What a file begins with."""
    return MAGIC + hashlib.sha256(key.encode() + b"\0" + payload).digest()


START = len(_sealed("", b""))


def store_code(key: str, header: Any, objects: list[bytes], label: str = "") -> None:
    """Keep objects and a header (of what JSON knows) under a key; failing is no error.

    `label` says to people what it is.
    """
    place, most = folder(), limit()
    if place is None:
        return
    text = json.dumps([header, [len(x) for x in objects], label]).encode()
    payload = b"".join([len(text).to_bytes(8, "little"), text, *objects])
    if START + len(payload) > most:
        return
    with suppress(OSError):  # no room, or no right to write: then it is compiled again each time
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if trusted_folder() is not None:
            write(place / key, _sealed(key, payload) + payload, private=True)
            _evict(place, most)


def load_code(key: str) -> tuple[Any, list[bytes]] | None:
    """The header and the objects under a key; None if there are none, or damaged ones."""
    place = trusted_folder()
    content = None if place is None else _trusted_content(place / key)
    if content is None or content[:START] != _sealed(key, content[START:]):
        return None
    with suppress(ValueError, TypeError, RecursionError):  # a right checksum over nonsense
        return _parsed(content[START:])
    return None


def _parsed(payload: bytes) -> tuple[Any, list[bytes]]:
    """The header and the objects in a file."""
    end = 8 + int.from_bytes(payload[:8], "little")
    header, lengths, _ = json.loads(payload[8:end])
    objects = []
    for length in lengths:
        objects.append(payload[end : end + length])
        end += length
    if end != len(payload) or min([0, *lengths]) < 0:
        raise ValueError("lengths that do not add up")
    return header, objects


class KeptFile(NamedTuple):
    """A file of the cache: its size in bytes, and when it was last used."""

    used: float
    size: int
    path: Path

    def label(self) -> str:
        """What is in it, as far as its beginning says so."""
        with suppress(OSError, ValueError, TypeError, LookupError, RecursionError):
            payload = (_trusted_content(self.path, used=False) or b"")[START:]
            return str(json.loads(payload[8 : 8 + int.from_bytes(payload[:8], "little")])[2])
        return ""


def kept_files(place: Path) -> list[KeptFile]:
    """The files of a folder that are the cache's own, those not used for longest first."""
    found = []
    for entry in _own_entries(place, _KEY):
        with suppress(OSError):  # it has gone meanwhile
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                found.append(KeptFile(status.st_mtime, status.st_size, Path(entry.path)))
    return sorted(found)


def _own_entries(place: Path, name: "re.Pattern[str]") -> Iterator["os.DirEntry[str]"]:
    with os.scandir(place) as entries:
        yield from [x for x in entries if name.fullmatch(x.name)]


def remove(files: list[KeptFile]) -> None:
    """Delete files; others may do so at the same time."""
    for file in files:
        with suppress(OSError):
            file.path.unlink()


def _evict(place: Path, most: float) -> None:
    """Delete what was not used for longest until the rest is within bounds, and what was left."""
    files = kept_files(place)
    total, count = sum(x.size for x in files), 0
    while total > most and count < len(files):
        total -= files[count].size
        count += 1
    remove(files[:count])
    for part in _own_entries(place, _PART):
        with suppress(OSError):
            if part.stat(follow_symlinks=False).st_mtime < time.time() - ABANDONED:
                Path(part.path).unlink()
