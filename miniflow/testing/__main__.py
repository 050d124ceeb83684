"""The command line: write a test file for a function.

python -m miniflow.testing write mypackage.losses:huber
python -m miniflow.testing write mypackage.losses:huber -o tests/test_huber.py
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from miniflow.testing.writing import file_text
from miniflow.util.files import write


def command(arguments: Sequence[str] | None = None) -> int:
    """Write a test file; return 0, or 1 after an error has been printed."""
    parser = argparse.ArgumentParser(
        prog="python -m miniflow.testing", description="Property tests of gradients."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("write", help="write a test file for a function")
    usual = "test_gradient_of_FUNCTION.py"
    writing.add_argument("function", metavar="module:function", help="such as losses:huber")
    writing.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help=f"{usual} if left out, - to print"
    )
    options = parser.parse_args(arguments)
    name = options.function.rpartition(":")[2].replace(".", "_")
    try:
        written(options.function, options.output or Path(f"test_gradient_of_{name}.py"))
    except (ValueError, TypeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def written(address: str, path: Path) -> None:
    """Write a test file, or print it; a file that is there stays."""
    if str(path) == "-":
        print(file_text(address), end="")
        return
    if path.exists():
        raise FileExistsError(f"{path} is there already; give another one with -o, or delete it")
    write(path, file_text(address))
    print(f"{path} is written; run: python -m pytest {path}")


if __name__ == "__main__":
    sys.exit(command())
