"""What jit.py compares: cases in plain scalar Python, the same by peers and by C, timed.

timing.py      rows: contenders checked, timed in turns, printed
ours.py        miniflow's functions, and when their optimised code is in place
peers.py       the peers' names for mathematics, their gradients
c_code.py      C, by hand or CasADi's: made by gcc, called with its buffers bound
network.py     (a) a small network: loss and gradient
options.py     (b) the price of an option and its derivatives
rosenbrock.py  (c) Rosenbrock's function of many numbers, and the time to compile it
mixture.py     (d) ADBench's mixture of Gaussians
lengths.py     (e) the time to compile, against the number of instructions
call.py        (f) one call of the smallest function
"""
