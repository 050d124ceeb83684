"""Paper for a class.

sheet.py    worksheet: a graph to be computed by hand, with a key
numbers.py  the same graph with other numbers, for each student
sheet.css   how it looks on paper
"""
