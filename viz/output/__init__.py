"""What all pictures share, from their options to their files.

options.py   format, direction and theme
checks.py    what is refused, in words
palette.py   the colours, on a light and on a dark page
names.py     what things are called in all pictures
columns.py   the layers of a model, and their neurons
samples.py   samples and their labels, checked
text.py      numbers and labels as text, and as DOT holds it
labels.py    labels of edges, and where they touch nothing
pictures.py  DOT to pictures
iframe.py    pages as objects: in a notebook, in another page, in a file
page.html    the head of every page, with places for its body, style and script
iframe.html  the HTML around a page that stands in another one
iframe.js    what makes its iframe as high as the page is
unpack.js    what unpacks the page in its iframe
children.py  programs that are started, and that end with this one
bundled.py   the Graphviz of pygraphviz, where there is no program `dot`
"""
