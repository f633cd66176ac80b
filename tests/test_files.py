import os
from contextlib import suppress
from pathlib import Path

import pytest

from scalinglab.errors import DataError
from scalinglab.files import SHIPPED, is_partial, save, whole, whole_folder
from scalinglab.grids import doublings


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_there_whole_at_the_end_and_not_before(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with whole(tmp_path / "a.txt") as partial:
        partial.write_text("new")
        assert (tmp_path / "a.txt").read_text() == "old"
        assert is_partial(partial.name)
    assert (tmp_path / "a.txt").read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_or_ctrl_c_leaves_what_was_there_and_nothing_else(error, tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with suppress(error), whole(tmp_path / "a.txt") as partial:
        partial.write_text("half")
        raise error
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").write_text("mine")
    with suppress(error), whole_folder(tmp_path / "folder") as partial:
        (partial / "half").write_text("half")
        raise error
    assert names(tmp_path) == ["a.txt", "folder"]
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path / "folder") == ["mine"]


def test_nobodys_file_is_written_over_or_dropped(tmp_path):
    for name in ("a.txt.partial", "a.txt.old", "folder.partial", "folder.old"):
        (tmp_path / name).write_text("mine")
    save(tmp_path / "a.txt", "text")
    for content in ("one", "two"):
        with whole_folder(tmp_path / "folder") as partial:
            (partial / content).write_text(content)
    assert names(tmp_path) == ["a.txt", "a.txt.old", "a.txt.partial", "folder", "folder.old", "folder.partial"]
    assert {path.read_text() for path in tmp_path.glob("*.*") if path.name != "a.txt"} == {"mine"}
    assert names(tmp_path / "folder") == ["two"]


def test_no_link_at_the_temporary_name_is_followed(tmp_path, monkeypatch):
    monkeypatch.setattr("scalinglab.files.token_hex", lambda _: "0" * 16)
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / f".{'0' * 16}.partial").symlink_to(tmp_path / "theirs")
    with pytest.raises(DataError, match="cannot write"):
        save(tmp_path / "a.txt", "text")
    assert (tmp_path / "theirs").read_text() == "theirs"
    assert (tmp_path / f".{'0' * 16}.partial").is_symlink()


def test_a_folder_that_cannot_take_its_place_leaves_what_was_there(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotADirectoryError), whole_folder(tmp_path / "file"):
        pass
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_behind_a_link_is_written_where_it_is(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with whole_folder(tmp_path / "link") as partial:
        (partial / "x").write_text("x")
    assert (tmp_path / "link").is_symlink()
    assert names(tmp_path / "real") == ["x"]


def test_a_file_has_the_rights_of_any_new_file_and_a_long_name_fits(tmp_path):
    (tmp_path / "plain").touch()
    save(tmp_path / ("a" * 250), b"")
    assert (tmp_path / ("a" * 250)).stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_place_that_cannot_be_is_refused_in_three_parts(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot write .*below.*; expected a writable folder") as refused:
        save(tmp_path / "file" / "below", "text")
    assert len(refused.value.args) == 3
    assert os.listdir(tmp_path) == ["file"]


def test_text_is_utf_8_and_the_package_has_its_data(tmp_path):
    assert save(tmp_path / "new" / "é.txt", "ü\n").read_bytes() == "ü\n".encode()
    assert (SHIPPED / "models.json").is_file()
    assert not any(is_partial(name) for name in ("study.json.partial", ".partial", ".0.partial", "0" * 16))


@pytest.mark.parametrize(
    ("most", "found", "with_end"),
    [(0, [], []), (1, [1], [1]), (6, [1, 2, 4], [1, 2, 4, 6]), (8, [1, 2, 4, 8], [1, 2, 4, 8])],
)
def test_doublings(most, found, with_end):
    assert doublings(most).tolist() == found
    assert doublings(most, end=True).tolist() == with_end


def test_one_file_writes_whole_or_not_at_all():
    package = SHIPPED.parent
    others = [path for path in package.rglob("*.py") if path.name != "files.py" or path.parent != package]
    assert [path for path in map(Path, others) if "os.replace" in path.read_text()] == []
