"""Reading diagrams: their nodes, edges and texts."""

import re
import xml.etree.ElementTree as ET
from collections import Counter

SVG = "{http://www.w3.org/2000/svg}"


def edges(diagram):
    """How often each edge is drawn; (tail, head), without the sides of boxes."""
    pairs = re.findall(r"^\t(\w+) -> (\w+(?::\d+)?)", diagram.source, re.M)
    return Counter(pairs)


def nodes(diagram):
    """How often each node is drawn."""
    return Counter(re.findall(r"^\t+((?:v|op)\d+(?:_\d+)?) \[", diagram.source, re.M))


def line(diagram, node):
    (found,) = re.findall(rf"^\t+{node} \[.*$", diagram.source, re.M)
    return found


def numbers_in(diagram, node):
    """The captions in a box, with the numbers beside them."""
    return re.findall(r">(value|gradient)</font></td><td [^>]*>([^<]*)<", line(diagram, node))


def texts(svg):
    """What is written in each node of an SVG."""
    groups = ET.fromstring(svg).iter(f"{SVG}g")
    return {
        group.find(f"{SVG}title").text: [text.text for text in group.iter(f"{SVG}text")]
        for group in groups
        if group.get("class") == "node"
    }


def written(lines):
    """Lines of SVG text as the string that they show."""
    return "\n".join(lines).replace("\xa0", " ")


def shown(label):
    """A label as `written` gives it back: an empty line holds one space."""
    return re.sub("^$", " ", label.replace("\xa0", " "), flags=re.M)


def walk(roots):
    """The Values that `roots` come from, and the pairs (operand, result): the naive way."""
    found, pairs, todo = {}, [], list(roots)
    while todo:
        v = todo.pop()
        if id(v) not in found:
            found[id(v)] = v
            operands = v.inputs
            pairs += [(id(x), id(v)) for x in operands]
            todo += operands
    return list(found.values()), pairs
