"""Models and their training, as pictures.

network.py  draw_network: layers, neurons and weights
plots.py    losses, decision boundaries and gradients, with matplotlib
"""
