"""A recording, frozen: a program, to be simplified, printed, run.

trace.py        `trace`: one call of a function as a program
program.py      `Program`: what a user calls, prints and draws
ir.py           code: instructions and guards on slots, and their grammar
check.py        whether code keeps the rules of the IR
freeze.py       what a call has recorded, as code
choices.py      `max` and `min` in a traced function
observers.py    whether a function could tell a choice from what Python's `max` returns
simplify.py     the builder of code: instructions simplified, and only those needed
formulas.py     whether a user's function of floats is a formula of rows
expand.py       an operation as simpler ones
schedule.py     what a batch computes once, what for each element, and in which order
structures.py   numbers apart from the lists, dicts and arrays that hold them
places.py       where entries come from: lines, variables, scopes
randomness.py   whether a traced call has drawn random numbers
names.py        identifiers
writer.py       what the printers have in common
python.py       code as Python
braces.py       what C and JavaScript write alike
c.py            code as C
javascript.py   code as JavaScript
functions.js    rows that JavaScript does not have
kinds.py        the table's rows on arrays, fractions, decimals, mpmath's numbers
replay.py       the interpreter; replay.pxd is the same in C
"""
