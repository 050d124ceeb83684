"""Pages that step through a tape or a training, in any browser.

page.py       play: one file that needs nothing else
live.py       live: sliders for the arguments of a function
recording.py  record: what a training loop leaves to be shown
sample.py     one sample's part of a graph that is too large
boundary.py   the samples, and what the model says of everything between them
steps.py      what a tape does, one operation or contribution at a time
frames.py     frames of a graph, which the page opens and closes
whatif.py     what a page needs to compute a graph at other numbers
formula.py    operations and derivatives as text
scene.py      all that a page shows, as JSON
layout.py     where boxes, edges and labels are
columns.py    where boxes are without Graphviz
still.py      a step as a picture that does not move
player.html   the page, with places for its title and data
style/        the style in parts, of which page.py lists the order
script/       the script in parts, of which page.py lists the order
"""
