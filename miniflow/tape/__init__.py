"""The engine: one tape for each thread, the Values on it, and the sweep.

core.py           what a learner reads: a number, recording, the sweep, operators
storage.py        the columns and side tables of a tape
compaction.py     room for entries, and how entries go that nobody needs
reading.py        how entries are looked at, and what a Value shows of itself
replaying.py      computing entries again, and whether that is needed
operands.py       what may stand beside a Value
methods.py        the operation table's functions as methods of Values
refusals.py       everything that is refused, in words
threads.py        whose tape is whose
notes.py          what a trace notes besides
muting.py         who is muted, of those that can be paused
grad_mode.py      no_grad
gradient_tape.py  Tape and scope: stretches of the tape
recorded.py       the recorded sweep: gradients to be differentiated again
merging.py        adjoints of choices in it, in the order of Python's max
forward.py        forward mode: tangents from inputs to outputs
quick.py          the short way of grad
pullback.py       gradients without a trace: by the sweep, or by the recorded one
choose.py         which engine runs: these files as Python, or compiled
columns.py        the columns as Python lists; *.pxd and *.h are the same in C
c_rules.py        the operation table's rules as C
"""

from miniflow.tape import choose as choose  # first of all: it says which engine runs
