"""What roads.py measures besides its own cases, and how.

timing.py      calls in turns, medians, the slowest of many; figures beside their limits
batches.py     batches in structures of all kinds, Jacobians
nist.py        NIST's 27 models of nonlinear regression
background.py  memory that comes back, and waits while a large function compiles
"""
