"""What a user calls: `jit` and `vmap`.

jit.py              `jit`
vmap.py             `vmap`
called.py           objects whose calls lead straight to machine code; called.c is the same in C
static.py           arguments that are static because the user says so
function.py         what both return: a function with its specializations and its machine code
paths.py            one specialization for each path: guards, side exits
beyond.py           calls beyond the limit of paths: eager ones
evaluators.py       how a program is computed: replayed, as Python, as machine code
captured.py         the numbers of captured Values
entries.py          results as entries on the tape
batch_arguments.py  the arguments of a batch, taken apart
batch_run.py        all elements on one path, those that leave it on others
exits.py            side exits of a batch that lead to plain numbers
executors.py        blocks of a batch on the workers of an executor
sums.py             sums over a batch as entries on the tape
"""
