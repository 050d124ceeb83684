"""Cells of micrograd's notebooks that several test files run."""


def graph(root):
    """All nodes and edges below a node, as the notebook collects them."""
    nodes, edges = set(), set()

    def build(v):
        if v not in nodes:
            nodes.add(v)
            for child in v._prev:
                edges.add((child, v))
                build(child)

    build(root)
    return nodes, edges
