"""How many examples each property is tried with: Hypothesis's profiles.

    default     a quarter of them, other ones at each run
    ci          all of them, the same at each run
    short       a tenth of them, the same at each run; for the engine as Python, which is slow
    thorough    a hundred times as many
    quick       a few; what `-m quick` takes

The environment variable HYPOTHESIS_PROFILE chooses one.
"""

import os

from hypothesis import HealthCheck, settings

FULL = 100
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

settings.register_profile("default", max_examples=FULL // 4, deadline=None, print_blob=True)
default = settings.get_profile("default")
settings.register_profile("ci", default, max_examples=FULL, derandomize=True)
settings.register_profile("short", default, max_examples=FULL // 10, derandomize=True)
settings.register_profile("thorough", default, max_examples=100 * FULL, suppress_health_check=SLOW)
settings.register_profile("quick", default, max_examples=FULL // 20)


def load(name):
    """Load the profile that is asked for by the environment, or this one."""
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or name)


def stride():
    """One of how many cases is tried: each in the profile `ci`, in proportion in the others."""
    return max(1, FULL // settings().max_examples)


def scaled(count):
    """So many in the profile `ci`, and in proportion in the others."""
    return max(1, count * settings().max_examples // FULL)


def examples(count, **others):
    """Settings for so many examples in the profile `ci`, and in proportion in the others."""
    return settings(max_examples=scaled(count), **others)
