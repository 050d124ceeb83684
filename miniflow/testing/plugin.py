"""The pytest plugin: it does nothing unless one of its options is given.

--gradcheck-seed N         the seed of vectors, where there are too many derivatives for all
--gradcheck-artifacts DIR  keep the report and the diagram of each derivative that is wrong there
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def pytest_addoption(parser: Any) -> None:
    """The options."""
    group = parser.getgroup("miniflow", "derivatives checked by miniflow.testing.check_grads")
    group.addoption(
        "--gradcheck-seed", type=int, metavar="N",
        help="seed of the vectors of check_grads, where there are too many derivatives for all",
    )  # fmt: skip
    group.addoption(
        "--gradcheck-artifacts", metavar="DIR",
        help="keep the report and the diagram of each wrong derivative in that folder",
    )  # fmt: skip


def pytest_configure(config: Any) -> None:
    """Do what the options ask for."""
    seed, folder = config.option.gradcheck_seed, config.option.gradcheck_artifacts
    if seed is not None:
        from miniflow.testing import vectors

        vectors.seed = seed
    if folder is not None:
        config.pluginmanager.register(_keeper(Path(folder)), "miniflow-artifacts")


def pytest_report_header(config: Any) -> list[str]:
    """The seed, so that a run can be repeated."""
    seed = config.option.gradcheck_seed
    return [] if seed is None else [f"gradcheck: --gradcheck-seed={seed}"]


def _keeper(folder: Path) -> Any:
    """A plugin that keeps what failures leave in a folder."""
    import pytest

    class Keeper:
        @pytest.hookimpl(hookwrapper=True)
        def pytest_runtest_makereport(self, item: Any, call: Any) -> Iterator[None]:
            outcome: Any = yield
            found = _report_of(call.excinfo.value if call.excinfo else None)
            if found is not None:
                paths = keep(found, folder, item.nodeid)
                text = "\n".join(map(str, paths))
                outcome.get_result().sections.append(("wrong derivatives are kept in", text))

    return Keeper()


def _report_of(error: BaseException | None) -> Any:
    """The report that an error brings, or one of those that it was raised from, or has in it."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        x = waiting.pop()
        if x is None or id(x) in seen:
            continue
        seen.add(id(x))
        report = getattr(x, "report", None)
        if type(report).__module__ == "miniflow.testing.report":
            return report
        waiting += [x.__cause__, x.__context__, *getattr(x, "exceptions", ())]
    return None


def keep(report: Any, folder: Path, name: str) -> list[Path]:
    """Write a report and its diagram into a folder; the files.

    Args:
        report: what `check_grads` found.
        folder: where to; it is made if it is not there.
        name: what to call the files, such as a test's id.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^\w.-]+", "_", name).strip("_")[-120:]
    text = folder / f"{stem}.txt"
    text.write_text(f"{report}\n", encoding="utf-8")
    if not report.outputs:
        return [text]
    try:
        return [text, report.draw(folder / f"{stem}.svg")]
    except RuntimeError:  # there is no Graphviz: the DOT can be drawn elsewhere
        return [text, report.draw(folder / f"{stem}.dot")]
