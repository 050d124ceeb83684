"""Where the project is, and where the copy of the package is that the tests run on."""

from pathlib import Path

import miniflow

TESTS = Path(__file__).resolve().parent.parent
ROOT = TESTS.parent
INSTALLED = Path(miniflow.__file__).resolve().parent.parent
