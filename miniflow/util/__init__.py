"""What the other rooms use and that knows nothing of them.

trees.py      nested lists, tuples, dicts and arrays
files.py      files are written whole or not at all
habits.py     what people know from other libraries by other names
words.py      what errors and warnings say, and of whose code
later.py      packages that are loaded when they are first used
notebook.py   what a notebook shows of an object
pickles.py    how objects made of functions are pickled
trained.py    the methods of models that miniflow.train has as functions
garbage.py    Python's collector, which is put off for a while
functions.py  functions made of functions: refusals, names, reprs
"""
