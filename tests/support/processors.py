"""How many processes the tests run in."""

import os
from pathlib import Path

MOST = 8  # each of them takes some memory, and looks for the tests anew


def workers(arguments):
    """One process for a file or two, as many as this process may use processors for more."""
    few = 0 < len(arguments) <= 2 and all(".py" in x for x in arguments)
    return 0 if few else min(processors(), MOST)


def processors():
    """How many processors this process may use, by its mask and by its container's quota."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, min(len(os.sched_getaffinity(0)), quota()))
    return os.cpu_count() or 1


def quota(file=Path("/sys/fs/cgroup/cpu.max")):
    """How many processors' time this process may use, in whole numbers; as many as there are."""
    try:
        most, period = file.read_text().split()
        return int(most) // int(period)
    except (OSError, ValueError):  # no such file, or "max"
        return os.cpu_count() or 1
