"""Files are written whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path


def write(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Replace a file atomically: what was there stays until the new content is complete.

    Raises:
        OSError: the file cannot be written; nothing has changed.
    """
    asked, path = os.fspath(path), Path(os.path.realpath(path))  # through a symbolic link
    data = content.encode() if isinstance(content, str) else content
    partial = path.parent / f".{os.urandom(8).hex()}.part"  # nobody else's, however many write
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except BaseException as error:
        with suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError) and error.errno:  # name the file that was asked for
            raise OSError(error.errno, error.strerror, asked) from error
        raise
