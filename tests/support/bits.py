"""Numbers to the last bit."""

import numpy as np

from miniflow import Value


def bits(tree):
    if isinstance(tree, dict):
        return {name: bits(part) for name, part in tree.items()}
    if isinstance(tree, (list, tuple, np.ndarray)):
        return [bits(part) for part in tree]
    return float(tree.data if tree.__class__ is Value else tree).hex()
