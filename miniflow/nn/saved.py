"""Files of saved models: what is in them, read."""

import json
import os
from pathlib import Path
from typing import Any

from miniflow.util.words import shown

FORMAT = "miniflow 1"  # of the files that `save` writes


def read(path: str | os.PathLike[str]) -> tuple[Any, Any]:
    """The configuration and the state in a file that `save` wrote."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"load: path must be a file's name, got {shown(path)}")
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        version, model, state = content["format"], content["model"], content["state"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(
            f"load: {os.fspath(path)!r} is not a saved model, a file that Module.save wrote"
        ) from error
    if version != FORMAT:
        raise ValueError(f"load: {os.fspath(path)!r} has format {version!r}, not {FORMAT!r}")
    return model, state
