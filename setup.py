"""The engine in C, where a compiler and Cython are at hand; all else is in setup.cfg.

Without them the installation succeeds and says so, and the engine runs as Python.
"""

import os
import runpy
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

PACKAGE = Path("miniflow")
CHOICE = runpy.run_path(str(PACKAGE / "tape" / "choose.py"), run_name="setup")
GNU = ["-O3", "-g0", "-ffp-contract=off", "-fno-strict-aliasing", "-Wno-unused-function"]
MICROSOFT = ["/O2", "/fp:precise"]


class BuildEngine(build_ext):
    """Rules from the operation table, C from Python files, and modules; or a word on why not."""

    def run(self) -> None:
        if os.environ.get("MINIFLOW_ENGINE") == "python":
            self.without("MINIFLOW_ENGINE=python asks for that")
            return
        try:
            self.parallel = True
            self.translate()
            super().run()
        except Exception as error:
            self.without(f"{type(error).__name__}: {error}")

    def without(self, reason: str) -> None:
        self.extensions = []
        print(
            f"miniflow: the engine is not compiled and runs as Python ({reason})", file=sys.stderr
        )

    def translate(self) -> None:
        """Write the rules as C, and have Cython write the rest."""
        from Cython.Build import cythonize

        folder = Path(self.build_temp)
        folder.mkdir(parents=True, exist_ok=True)
        rules = [sys.executable, "-m", "miniflow.tape.c_rules"]
        environment = {**os.environ, "MINIFLOW_ENGINE": "python"}
        found = subprocess.run(rules, env=environment, stdout=subprocess.PIPE, check=True)
        (folder / "rules.h").write_bytes(found.stdout)
        directives = {"language_level": 3, "annotation_typing": False, "auto_pickle": False}
        python = [x for x in self.extensions if x.sources[0].endswith(".py")]
        made = cythonize(python, build_dir=str(folder), compiler_directives=directives)
        for extension, translated in zip(python, made, strict=True):
            extension.sources = translated.sources
        for extension in self.extensions:
            extension.include_dirs = [str(folder), str(PACKAGE / "tape")]

    def build_extension(self, extension: Extension) -> None:
        microsoft = self.compiler.compiler_type == "msvc"
        extra = os.environ.get("MINIFLOW_CFLAGS", "").split()
        extension.extra_compile_args = [*(MICROSOFT if microsoft else GNU), *extra]
        extension.extra_link_args = extra
        super().build_extension(extension)


def source(name: str) -> str:
    """The file of one of the engine's modules: in C, if there is one."""
    path = PACKAGE.joinpath(*name.split("."))
    c = path.with_suffix(".c")
    return str(c if c.exists() else path.with_suffix(".py"))


setup(
    ext_modules=[
        Extension(f"miniflow.{name}", [source(name)], depends=CHOICE["sources"]())
        for name in CHOICE["MODULES"]
    ],
    cmdclass={"build_ext": BuildEngine},
)
