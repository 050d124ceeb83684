"""micrograd's whole surface on miniflow's tape: change the imports, and its programs run.

engine.py  Value, with everything in reach that micrograd and its lecture leave in reach
nn.py      Module, Neuron, Layer, MLP
"""
