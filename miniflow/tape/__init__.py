"""The engine."""

from miniflow.tape import choose as choose  # first of all: it says which engine runs
