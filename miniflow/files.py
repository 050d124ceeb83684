"""Files are written whole or not at all."""

import os
from pathlib import Path


def write(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Replace a file atomically: what was there stays until the new content is complete.

    Raises:
        OSError: the file cannot be written; nothing has changed.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
