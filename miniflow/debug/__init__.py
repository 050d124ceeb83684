"""Why a number is wrong: questions about what is on the tape.

noted.py          lines of source that entries come from: a context
answers.py        what every answer is: text and a diagram
wording.py        how numbers, operations, names and places are written
autopsy.py        the chain of operations that leads to a NaN
remedies.py       safer forms
nans.py           the first NaN raises
contributions.py  why a derivative is what it is
corners.py        kinks: where there is no derivative
errors.py         rounding: how many digits are certain
costs.py          profile: entries, time, what is done in vain
"""

from miniflow.debug.contributions import Why, why
from miniflow.debug.corners import Kinks, kinks
from miniflow.debug.costs import Profile, profile
from miniflow.debug.errors import Rounding, rounding
from miniflow.debug.nans import NanError, nans
from miniflow.debug.noted import lines

__all__ = [
    "Kinks",
    "NanError",
    "Profile",
    "Rounding",
    "Why",
    "kinks",
    "lines",
    "nans",
    "profile",
    "rounding",
    "why",
]
