"""Programs that this one starts, and that end with it, however it ends."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from math import ceil

EXTRA_SECONDS = 2  # seconds of work that a child has beyond its time, should nobody end it


def output_of(
    command: list[str], given: bytes, environment: Mapping[str, str], seconds: float
) -> tuple[int, bytes, str]:
    """Run a program; it ends with the thread that started it, and after so many seconds.

    Args:
        command: the program and its arguments.
        given: what it reads.
        environment: its variables.
        seconds: how long it may take.

    Returns:
        Its exit status (negative for a signal), what it wrote, and its complaints.

    Raises:
        subprocess.TimeoutExpired: it takes longer.
    """
    done = subprocess.run(
        _bounded(command, seconds),
        input=given,
        env=environment,
        capture_output=True,
        check=False,
        timeout=seconds,
    )
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")


def _bounded(command: list[str], seconds: float) -> list[str]:
    """The command for a child that cannot outlive a Python that is killed.

    Linux ends it with its parent; elsewhere the time that it may use of the processor ends it.
    """
    if os.name == "nt":
        return command
    limit = f'ulimit -t {max(0, ceil(seconds)) + EXTRA_SECONDS} 2>/dev/null; exec "$@"'
    return ["/bin/sh", "-c", limit, "sh", *_tied(), *command]


@cache
def _tied() -> list[str]:
    """What to put before a command so that it ends with its parent, where that is there."""
    setpriv = shutil.which("setpriv", path=os.defpath)
    tied = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
    if tied:
        trial = subprocess.run([*tied, "/bin/sh", "-c", ":"], capture_output=True, check=False)
        tied = tied if trial.returncode == 0 else []
    return tied
