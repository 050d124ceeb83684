"""Fuzz a target: hand it bytes until it fails, or so many times.

    python tests/fuzz/run.py                           each target, 20,000 times
    python tests/fuzz/run.py programs --runs 1000000
    python tests/fuzz/run.py programs --input crash    once more what failed

With atheris (``pip install -r tests/fuzz/requirements.txt``), which looks for bytes that reach new
code; without it bytes are random, or some that were tried before, changed. What fails is kept in a
file; an error ends the run.
"""

import argparse
import importlib.util
import random
import subprocess
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

LONGEST = 160  # bytes
KEPT = 500  # strings of bytes that are changed again


def instrumented():
    """Import what is fuzzed in such a way that atheris sees which of it runs."""
    import atheris

    with atheris.instrument_imports(include=["miniflow", "viz"]):
        return targets()


def targets():
    from targets import TARGETS

    return TARGETS


# --- with atheris -----------------------------------------------------------------


def guided(name, options):
    """Fuzz by coverage; libFuzzer ends the process."""
    import atheris

    target = instrumented()[name]
    arguments = [f"-runs={options.runs}", f"-max_len={LONGEST}", f"-seed={options.seed + 1}"]
    arguments += ["-print_final_stats=1", f"-artifact_prefix={options.keep}/{name}-"]
    atheris.Setup([sys.argv[0], *arguments], target)
    atheris.Fuzz()


# --- without ----------------------------------------------------------------------


def drawn(source, kept):
    """Random bytes, or known ones with a change."""
    if not kept or source.random() < 0.5:
        return source.randbytes(source.randrange(LONGEST))
    data = bytearray(source.choice(kept))
    for _ in range(source.randint(1, 4)):
        place = source.randrange(len(data) + 1)
        data[place : place + source.randint(0, 2)] = source.randbytes(source.randint(0, 2))
    return bytes(data)


def unguided(name, options):
    """Fuzz by chance."""
    from tqdm import tqdm

    source, target, kept = random.Random(f"{name} {options.seed}"), targets()[name], []
    for _ in tqdm(range(options.runs), desc=name, disable=None):
        data = drawn(source, kept)
        kept[source.randrange(KEPT) : KEPT] = [data] if len(kept) < KEPT else []
        try:
            target(data)
        except BaseException:
            path = Path(options.keep) / f"{name}-crash"
            path.write_bytes(data)
            print(f"{name}: failed; the bytes are in {path}", file=sys.stderr)
            raise


# --- the command ------------------------------------------------------------------


def run(name, options):
    """Fuzz one target in this process."""
    start = time.monotonic()
    if options.input:
        targets()[name](options.input.read_bytes())
    elif options.random or not importlib.util.find_spec("atheris"):
        unguided(name, options)
    else:
        guided(name, options)
    print(f"{name}: {options.runs} executions without a fault, {time.monotonic() - start:.0f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target", nargs="?", help="its name; each of them, if left out")
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--random", action="store_true", help="without atheris, also if it is here")
    parser.add_argument("--input", type=Path, help="run the bytes of a file, once")
    parser.add_argument("--keep", default=".", help="the folder for what fails")
    options = parser.parse_args()
    if options.target:
        run(options.target, options)
        return 0
    failed = [name for name in targets()
              if subprocess.run([*sys.orig_argv, name], check=False).returncode]  # fmt: skip
    print(f"failed: {', '.join(failed) or 'none'}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
