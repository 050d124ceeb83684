"""What the disk cache of compiled code holds: ``python -m miniflow.cache [list | clear]``.

Where it is and how large it may grow say the environment variables MINIFLOW_CACHE_DIR and
MINIFLOW_CACHE_SIZE (in megabytes).
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from miniflow.native.cache import (
    MEGABYTE,
    VARIABLE,
    KeptFile,
    folder,
    kept_files,
    limit,
    remove,
    trusted_folder,
)


def cache_command(arguments: Sequence[str] | None = None) -> int:
    """List what the disk cache holds, what was used last first, or clear it.

    Args:
        arguments: those of the command line; by default the process's own.

    Returns:
        The exit status: 0, or 1 where the folder is not this user's alone.
    """
    parser = argparse.ArgumentParser(
        "python -m miniflow.cache", description="The disk cache of compiled code."
    )
    parser.add_argument("what", nargs="?", choices=("list", "clear"), default="list")
    what = parser.parse_args(arguments).what
    place = folder()
    if place is None:
        print(f"nothing is kept: {VARIABLE} is empty or no path from the root on")
        return 0
    if not place.is_dir():
        print(f"{place}: nothing is kept yet")
        return 0
    if trusted_folder() is None:
        return 1
    (_clear_cache if what == "clear" else _list_cache)(place)
    return 0


def _list_cache(place: Path) -> None:
    files = kept_files(place)
    size = sum(x.size for x in files) / MEGABYTE
    print(f"{place}: {_programs(files)}, {size:.3g} of at most {limit() / MEGABYTE:.3g} MB")
    for file in reversed(files):
        used = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(file.used))
        print(f"{used}  {file.size / 1000:10.1f} kB  {file.path.name[:12]}  {file.label()}")


def _clear_cache(place: Path) -> None:
    files = kept_files(place)
    remove(files)
    print(f"{place}: {_programs(files)} removed, {sum(x.size for x in files) / MEGABYTE:.3g} MB")


def _programs(files: list[KeptFile]) -> str:
    return f"{len(files)} program{'s' * (len(files) != 1)}"


if __name__ == "__main__":
    raise SystemExit(cache_command())
