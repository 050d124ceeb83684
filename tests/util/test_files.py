"""files.write: whole or not at all, and nothing left lying about."""

import os
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniflow.util import files
from miniflow.util.files import write

CONTENTS = st.text(st.characters(exclude_categories=["Cs"])) | st.binary()


def stored(content):
    return content.encode() if isinstance(content, str) else content


@given(before=st.none() | CONTENTS, content=CONTENTS, as_text=st.booleans())
def test_the_file_holds_exactly_the_content_and_is_alone(before, content, as_text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.json")
        if before is not None:
            path.write_bytes(stored(before))
        write(str(path) if as_text else path, content)
        assert path.read_bytes() == stored(content)
        assert [p.name for p in Path(folder).iterdir()] == ["model.json"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("step", ["write", "replace"])
@pytest.mark.parametrize("before", [None, b"old"])
def test_a_failure_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, error, step, before):
    path = tmp_path / "model.json"
    if before is not None:
        path.write_bytes(before)

    @contextmanager
    def failing(part, *arguments, **options):
        part.write_bytes(b"half of it")
        yield Mock(write=Mock(side_effect=error))

    if step == "write":
        monkeypatch.setattr(files, "open", failing, raising=False)
    else:
        monkeypatch.setattr(Path, step, Mock(side_effect=error))
    with pytest.raises(type(error)):
        write(path, "new")
    monkeypatch.undo()
    assert [p.read_bytes() for p in tmp_path.iterdir()] == ([] if before is None else [before])


def test_a_write_in_the_middle_of_another_disturbs_neither(tmp_path, monkeypatch):
    # what two threads, or a signal handler, do: both must not share a temporary file
    path, genuine = tmp_path / "model.json", Path.replace

    def replace(self, target):
        monkeypatch.undo()
        write(path, "inner")
        assert path.read_text() == "inner"
        return genuine(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    write(path, "outer")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["outer"]


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_any_new_file(tmp_path, umask):
    previous = os.umask(umask)
    try:
        write(tmp_path / "ours", "x")
        (tmp_path / "plain").write_text("x")
    finally:
        os.umask(previous)
    ours, plain = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "plain")]
    assert ours == plain


@pytest.mark.parametrize("name", ["missing/model.json", "file/model.json", "folder"])
def test_where_no_file_can_be_the_error_is_oserror_naming_it(tmp_path, name):
    (tmp_path / "file").write_text("a file")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=Path(name).name):
        write(tmp_path / name, "x")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "folder"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_an_oserror(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OSError, match=r"model\.json"):
            write(tmp_path / "model.json", "x")
    finally:
        tmp_path.chmod(0o700)


def test_as_long_a_name_as_the_system_takes_is_written(tmp_path):
    path = tmp_path / ("m" * 250 + ".json")
    path.write_text("old")
    write(path, "new")
    assert path.read_text() == "new"


def test_text_that_cannot_be_encoded_changes_nothing(tmp_path):
    path = tmp_path / "model.json"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write(path, "\ud800")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]
