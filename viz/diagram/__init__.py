"""Graphs as Graphviz diagrams."""
