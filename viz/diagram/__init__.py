"""Graphs of Values, tapes and programs, as DOT.

dot.py      draw_dot and render: what a user calls
options.py  the options of all drawings of graphs
graph.py    what is drawn, whatever it is taken from; snapshot
folding.py  which entries share a box where there are many
cards.py    what stands in a box
reach.py    how far edges lead, and what is drawn again where it is used
drawing.py  boxes, frames and edges as lines of DOT
legend.py   what colours and shapes mean, below a diagram
compare.py  diff: two recordings in one diagram
marking.py  entries that are to be seen first: draw_marked
"""
