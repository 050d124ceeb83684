"""What the cases take of miniflow."""

from typing import Any

import miniflow

flow: Any = miniflow
READY = 600.0  # seconds to wait for optimised code


def miniflow_ready(f: Any, *args: Any) -> Any:
    """A compiled function with its optimised code in place."""
    f(*args)
    if not f.ready(READY):
        raise SystemExit(f"miniflow: not optimised after {READY} seconds")
    return f
