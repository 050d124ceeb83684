"""Files are written whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path


def _private(path: str, flags: int) -> int:
    """Open a file that nobody else may read."""
    return os.open(path, flags, 0o600)


def write(path: str | os.PathLike[str], content: str | bytes, *, private: bool = False) -> None:
    """Replace a file atomically: what was there stays until the new content is complete.

    Args:
        path: where; a symbolic link is followed.
        content: all of it.
        private: whether nobody else may read it; then a link is replaced, not followed.

    Raises:
        OSError: the file cannot be written; nothing has changed.
    """
    asked, path = os.fspath(path), Path(path if private else os.path.realpath(path))
    data = content.encode() if isinstance(content, str) else content
    partial = path.parent / f".{os.urandom(8).hex()}.part"  # nobody else's, however many write
    try:
        with open(partial, "xb", opener=_private if private else None) as stream:
            stream.write(data)
        partial.replace(path)
    except BaseException as error:
        with suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError) and error.errno:  # name the file that was asked for
            raise OSError(error.errno, error.strerror, asked) from error
        raise
