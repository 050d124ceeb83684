"""What all pictures share, from their options to their files.

options.py   format, direction and theme
checks.py    what is refused, in words
palette.py   the colours, on a light and on a dark page
names.py     what things are called in all pictures
text.py      numbers and labels as text, and as DOT holds it
pictures.py  DOT to pictures
iframe.py    pages as objects: in a notebook, in another page, in a file
iframe.html  the HTML around a page that stands in another one
iframe.js    what makes its iframe as high as the page is
unpack.js    what unpacks the page in its iframe
bundled.py   the Graphviz of pygraphviz, where there is no program `dot`
"""
