"""Optimisers: they turn gradients into new parameters.

options.py    what options may be
rules.py      the rules, as formulas on scalars
columns.py    a rule over all parameters, by NumPy or in machine code
clipping.py   gradients that are too large
optimizer.py  the base: groups of parameters, the step
state.py      what was saved is checked, then taken
kinds.py      the optimisers
lbfgs.py      one that SciPy runs
lr_scheduler.py  schedules of the learning rate
"""

from miniflow.optim.clipping import (
    clip_grad_norm_,
    clip_grad_value_,
    clipped_by_norm,
    clipped_by_value,
)
from miniflow.optim.kinds import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, NAdam, RAdam, RMSprop
from miniflow.optim.lbfgs import LBFGS
from miniflow.optim.lr_scheduler import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    Plateau,
    PolynomialLR,
    Schedule,
    StepLR,
)
from miniflow.optim.optimizer import Optimizer, Parameter

__all__ = [
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "LBFGS",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "NAdam",
    "OneCycleLR",
    "Optimizer",
    "Parameter",
    "Plateau",
    "PolynomialLR",
    "RAdam",
    "RMSprop",
    "SGD",
    "Schedule",
    "StepLR",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clipped_by_norm",
    "clipped_by_value",
]
