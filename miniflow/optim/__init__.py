"""Optimisers: they turn gradients into new parameters.

optimizer.py  the base: parameters, steps, and the optimisers
"""

from miniflow.optim.optimizer import SGD, Adam, AdamW, Optimizer, Parameter

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "Parameter"]
