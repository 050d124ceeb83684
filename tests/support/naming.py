"""Names of test cases: the same in every process, so that several can share the work."""

import re


def label(x):
    """What an object is called in a test's name: its repr without where it stands in memory."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(x))
