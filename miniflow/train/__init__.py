"""Training with Keras's words: `fit`, `evaluate`, `predict`, `summary`, and callbacks.

fit.py         `fit`
training.py    one training: its position, a step, an epoch, interruptions
data.py        samples and batches, and what is refused before anything is computed
chunks.py      the same of Dask arrays, one block of rows at a time
problem.py     a loss and metrics for a model and data, checked
fused.py       many steps in one call of machine code
network.py     a model whose parameters are one array, and the kernels that are made of it
objectives.py  losses of one sample, without branches
metrics.py     accuracy and the like
evaluate.py    `evaluate` and `predict`
callbacks.py   what is called while a model learns
stopping.py    callbacks that end a training
rates.py       callbacks that change the learning rate
saving.py      callbacks that write files
history.py     the numbers of a training
progress.py    a bar, or lines
interrupts.py  Ctrl-C
summary.py     `summary`
"""

from miniflow.train.callbacks import Callback
from miniflow.train.evaluate import evaluate, predict
from miniflow.train.fit import fit
from miniflow.train.history import History
from miniflow.train.rates import LearningRateScheduler, ReduceLROnPlateau
from miniflow.train.saving import BackupAndRestore, CSVLogger, ModelCheckpoint
from miniflow.train.stopping import EarlyStopping, TerminateOnNaN
from miniflow.train.summary import summary

__all__ = [
    "BackupAndRestore", "CSVLogger", "Callback", "EarlyStopping", "History",
    "LearningRateScheduler", "ModelCheckpoint", "ReduceLROnPlateau", "TerminateOnNaN", "evaluate",
    "fit", "predict", "summary",
]  # fmt: skip
