"""The engine in C, where a compiler and Cython are at hand; all else is in setup.cfg.

Without them the installation succeeds and says so, and the engine runs as Python.
"""

import os
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SOURCES = Path("miniflow")
GNU = ["-O3", "-g0", "-ffp-contract=off", "-fno-strict-aliasing", "-Wno-unused-function"]
MICROSOFT = ["/O2", "/fp:precise"]


class BuildEngine(build_ext):
    """Rules from the table, C from core.py, and a module from both; or a word on why not."""

    def run(self) -> None:
        if os.environ.get("MINIFLOW_ENGINE") == "python":
            self.without("MINIFLOW_ENGINE=python asks for that")
            return
        try:
            super().run()
        except Exception as error:
            self.without(f"{type(error).__name__}: {error}")

    def without(self, reason: str) -> None:
        self.extensions = []
        print(
            f"miniflow: the engine is not compiled and runs as Python ({reason})", file=sys.stderr
        )

    def build_extension(self, extension: Extension) -> None:
        from Cython.Build import cythonize

        folder = Path(self.build_temp)
        folder.mkdir(parents=True, exist_ok=True)
        rules = [sys.executable, "-m", "miniflow.tape.c_rules"]
        text = subprocess.run(
            rules,
            env={**os.environ, "MINIFLOW_ENGINE": "python"},
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        (folder / "rules.h").write_bytes(text)
        directives = {"language_level": 3, "annotation_typing": False}
        (made,) = cythonize([extension], build_dir=str(folder), compiler_directives=directives)
        extension.sources = made.sources
        extension.include_dirs = [str(folder), str(SOURCES / "tape")]
        microsoft = self.compiler.compiler_type == "msvc"
        extra = os.environ.get("MINIFLOW_CFLAGS", "").split()
        extension.extra_compile_args = [*(MICROSOFT if microsoft else GNU), *extra]
        extension.extra_link_args = extra
        super().build_extension(extension)


setup(
    ext_modules=[
        Extension(
            "miniflow.tape.core",
            [str(SOURCES / "tape" / "core.py")],
            depends=[
                str(path) for path in SOURCES.rglob("*") if path.suffix in (".py", ".pxd", ".h")
            ],
        )
    ],
    cmdclass={"build_ext": BuildEngine},
)
