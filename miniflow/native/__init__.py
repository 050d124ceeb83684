"""Programs as machine code, by LLVM.

emitter.py         the text of LLVM IR: functions line by line, modules, what they import
rows.py            the rows of the operation table as LLVM IR
vector_math.py     functions on several lanes, as instructions in place
kernel.py          a program as a kernel, on one point or on several lanes
packing.py         which instructions on one point are done several at a time
batch.py           the loop over a batch that runs a kernel
layout.py          where things stand in Python's objects and NumPy's arrays
parts.py           which structures of arguments and results machine code takes and makes
wrapper.py         what is around a kernel: numbers out of objects, results into objects
scalar_wrapper.py  the function that Python calls for one point
batch_wrapper.py   the function that Python calls with arrays, for a batch
machine.py         LLVM, the processor, and what makes object code
python_rows.py     rows that only Python can compute, as C functions
link.py            object code in memory, with the addresses that it needs
probe.py           which functions of C libraries and of our own agree with the table
cache.py           object code on disk
tiers.py           machine code of two tiers, and the thread in the background
tuning.py          which arrangement of a loop over a batch is the fastest, measured
conversion.py      numbers of other kinds than float, as doubles
builtin.py         built-in functions of machine code, their fallback and side exits
batch_function.py  a program over a batch, called from Python
steps.py           many steps of a training: a loop that calls such functions
"""
