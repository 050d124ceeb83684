"""What a notebook shows of miniflow's objects.

show.py       each kind of object as HTML
highlight.py  Python's source with its words told apart
notebook.css  how tables and source look
"""
