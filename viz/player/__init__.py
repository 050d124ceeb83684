"""Pages that step through a tape or a training, in any browser.

page.py       play: one file that needs nothing else
live.py       live: sliders for the arguments of a function
recording.py  record: what a training loop leaves to be shown
steps.py      what a tape does, one operation or contribution at a time
whatif.py     what a page needs to compute a graph at other numbers
formula.py    operations and derivatives as text
scene.py      all that a page shows, as JSON
still.py      a step as a picture that does not move
player.html   the page, with places for style, script and data
style/        the style in parts, of which page.py lists the order
script/       the script in parts, of which page.py lists the order
"""
