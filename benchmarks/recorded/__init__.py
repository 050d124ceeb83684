"""What eager.py measures: chains that are recorded, replayed and released; a demo; memory.

recorders.py  the chain, and what records it: miniflow, peers, plain numbers; who takes part
tasks.py      what is measured in a process of its own: times, memory, an early stop
processes.py  those processes, and the contenders' turns
tables.py     what is printed: a table for each question
bars.py       what the compiled engine is to reach, and whether it did
"""
