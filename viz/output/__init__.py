"""What all pictures share, from their options to their files.

options.py   format, direction and theme
checks.py    what is refused, in words
palette.py   the colours, on a light and on a dark page
text.py      numbers and labels as text, and as DOT holds it
pictures.py  DOT to pictures
bundled.py   the Graphviz of pygraphviz, where there is no program `dot`
"""
