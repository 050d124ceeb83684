"""Pages that step through a tape or a training, in any browser.

page.py       play: one file that needs nothing else
recording.py  record: what a training loop leaves to be shown
steps.py      what a tape does, one operation or contribution at a time
formula.py    operations and derivatives as text
scene.py      all that a page shows, as JSON
player.html   the page, with places for style, script and data
style/        the style in parts, of which page.py lists the order
script/       the script in parts, of which page.py lists the order
"""
