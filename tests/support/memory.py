"""How much memory this process has; of Linux."""

import re
from pathlib import Path

STATUS = Path("/proc/self/status")


def resident():
    """Memory of this process that is in use, and the most that was, in bytes."""
    text = STATUS.read_text()
    return [1024 * int(re.search(rf"{key}:\s+(\d+)", text)[1]) for key in ("VmRSS", "VmHWM")]
