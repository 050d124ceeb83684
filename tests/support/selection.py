"""Marks that nobody has to write: a test's room, whether it needs a browser, a sample of each file.

Terms:
    room    the folder under tests/, as in miniflow/ and viz/
    sample  some tests of a file, which stand for all of it where time is short
"""

from support.project import TESTS

ROOMS = {"tape": "core", "program": "programs", "native": "native", "compiled": "compiled"}
ROOMS["viz"] = "viz"
CORE = ("test_ops.py", "test_kinks.py")  # of the operation table
FUNCTIONS, CASES = 4, 2  # of a file, and of a function


def mark(items):
    """Give each test the marks that follow from where it stands."""
    files = {}
    for item in items:
        for name in marks(item):
            item.add_marker(name)
        files.setdefault(item.path, []).append(item)
    for tests in files.values():
        for item in sample(tests):
            item.add_marker("quick")


def marks(item):
    """The marks of one test."""
    folder, *rest = item.path.relative_to(TESTS).parts
    if folder in CORE:
        yield "core"
    if rest and folder in ROOMS:
        yield ROOMS[folder]
    if "browser" in getattr(item, "fixturenames", ()):
        yield "browser"


def sample(tests):
    """A few cases of a few functions of one file, spread over it, and none that is slow."""
    functions = {}
    for item in [x for x in tests if not x.get_closest_marker("slow")] or tests[:1]:
        functions.setdefault(getattr(item, "originalname", item.name), []).append(item)
    chosen = spread(list(functions.values()), FUNCTIONS)
    return [item for cases in chosen for item in spread(cases, CASES)]


def spread(things, count):
    """Up to `count` of some things, from the first to the last."""
    if len(things) <= count:
        return things
    return [things[k * (len(things) - 1) // (count - 1)] for k in range(count)]
