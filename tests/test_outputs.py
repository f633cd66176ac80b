"""What commands write harms nothing: a folder is new or the same command's, and written as one or not at all."""

import json
import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from commands import assert_refused

from scalinglab.errors import DataError
from scalinglab.files import MANIFEST, own_files, save_all
from scalinglab.report import Report, Section
from scalinglab.study import RECORDED

REPORT = "report COUNTS --small Pythia-2.8B --large Pythia-6.9B --bins 1 --r 22 --out OUT"
SAVE = ["scalinglab", "report", "x"]


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def files(*names, text="new"):
    manifest = {"command": "scalinglab report x", "files": list(names)}
    return {**{name: text.encode() for name in names}, MANIFEST: json.dumps(manifest).encode()}


@pytest.mark.parametrize("line", [REPORT, "paper --out OUT", "laws RUN --out OUT --bootstrap 0", "demo --out OUT",
                                  "atlas --shipped --out OUT", "export RUN --out OUT"])  # fmt: skip
@pytest.mark.parametrize("name", ["verdicts.csv", "report.html", "notes.txt", "manifest.json", "study.json"])
def test_a_folder_of_somebodys_is_refused_and_left_as_it_was(scalinglab, tmp_path, line, name):
    (tmp_path / name).write_text('{"command": "their own", "files": []}')
    assert_refused(scalinglab(line, OUT=tmp_path), "which this command did not write; expected a new folder")
    assert contents(tmp_path) == {name: b'{"command": "their own", "files": []}'}


def test_a_report_takes_the_place_of_an_earlier_one_and_of_nothing_else(scalinglab, tmp_path):
    out = tmp_path / "out"
    assert scalinglab(REPORT, OUT=out).code == 0
    (out / "notes.txt").write_text("mine")
    (out / "verdicts.csv").write_text("old")
    assert scalinglab(REPORT, OUT=out).code == 0
    assert not (out / "verdicts.csv").read_text().startswith("old")
    assert (out / "notes.txt").read_text() == "mine"
    assert_refused(scalinglab("paper --out OUT", OUT=out), "holds breakeven.csv")


def test_a_new_file_is_not_written_over_one_that_no_manifest_lists(tmp_path):
    save_all(tmp_path, files("a.csv"), command=SAVE)
    (tmp_path / "b.csv").write_text("mine")
    with pytest.raises(DataError, match=r"holds b\.csv, which this command did not write"):
        save_all(tmp_path, files("a.csv", "b.csv", text="newer"), command=SAVE)
    assert (tmp_path / "a.csv").read_text() == "new"
    assert (tmp_path / "b.csv").read_text() == "mine"


def test_what_an_earlier_output_had_and_a_later_one_has_not_goes(tmp_path):
    save_all(tmp_path, files("a.csv", "b.csv"), command=SAVE)
    save_all(tmp_path, files("b.csv"), command=["scalinglab", "report", "y"])
    assert {path.name for path in tmp_path.iterdir()} == {"b.csv", MANIFEST}


def test_a_manifest_that_lists_files_elsewhere_gives_no_right_to_them(tmp_path):
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "out").mkdir()
    listed = {"command": "scalinglab report x", "files": ["../theirs", str(tmp_path / "theirs")]}
    (tmp_path / "out" / MANIFEST).write_text(json.dumps(listed))
    assert own_files(tmp_path / "out", command=SAVE) == {MANIFEST}
    save_all(tmp_path / "out", files("a.csv"), command=SAVE)
    assert (tmp_path / "theirs").read_text() == "theirs"


def test_no_link_is_followed(tmp_path):
    (tmp_path / "theirs").write_text("theirs")
    out = tmp_path / "out"
    save_all(out, files("report.html"), command=SAVE)
    (out / "report.html").unlink()
    for name in ("report.html", "report.html.partial"):
        (out / name).symlink_to(tmp_path / "theirs")
    save_all(out, files("report.html"), command=SAVE)
    assert (tmp_path / "theirs").read_text() == "theirs"
    assert (out / "report.html").read_text() == "new"
    assert (out / "report.html.partial").is_symlink()


def test_an_error_on_the_way_leaves_the_earlier_report_whole(tmp_path):
    report = Report("one", [Section("a", "A", [], pd.DataFrame({"x": [1]}))])
    report.write(tmp_path / "out", command=SAVE)
    before = contents(tmp_path / "out")

    def draw():
        raise KeyboardInterrupt

    drawn = Section("b", "B", [], pd.DataFrame({"x": [2]}), draw)
    for folder in (tmp_path / "out", tmp_path / "new"):
        with pytest.raises(KeyboardInterrupt):
            Report("two", [*report.sections, drawn]).write(folder, command=SAVE)
    assert contents(tmp_path / "out") == before
    assert not (tmp_path / "new").exists()


def test_a_full_disk_leaves_the_earlier_report_whole_and_no_new_folder(small_disk):
    out = small_disk / "out"
    save_all(out, files("a.csv", "b.csv", text="o" * 300_000), command=SAVE)
    before = contents(small_disk)
    for folder in (out, small_disk / "new" / "deep"):
        with pytest.raises(DataError, match="No space left on device"):
            save_all(folder, files("a.csv", "b.csv", text="n" * 300_000), command=SAVE)
        assert contents(small_disk) == before
    assert [path.name for path in small_disk.iterdir()] == ["out"]


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    """The recorded demonstration, and the same run as another study's."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("one", "two"):
        shutil.copytree(RECORDED, folder / name)
    plan = json.loads((folder / "two" / "study.json").read_text())
    (folder / "two" / "study.json").write_text(json.dumps(plan | {"run": "another"}))
    return folder / "one", folder / "two"


def test_an_export_replaces_neither_a_run_nor_the_export_of_another(scalinglab, two_runs, tmp_path):
    one, two = two_runs
    exported = tmp_path / "exported"
    assert scalinglab("export ONE --out OUT", ONE=one, OUT=exported).code == 0
    collected = tmp_path / "collected"
    shutil.copytree(two, collected)
    (collected / MANIFEST).unlink()
    for out, phrase in ((collected, "did not write"), (exported, "the export of another study")):
        before = contents(out)
        assert_refused(scalinglab("export TWO --out OUT", TWO=two if out == exported else one, OUT=out), phrase)
        assert contents(out) == before
    assert scalinglab("export ONE --out OUT", ONE=one, OUT=exported).code == 0


def test_an_export_deletes_no_folder_of_a_name_like_its_own(scalinglab, two_runs, tmp_path):
    out = tmp_path / "exported"
    for _ in range(2):
        assert scalinglab("export ONE --out OUT", ONE=two_runs[0], OUT=out).code == 0
        for name in ("samples.old", "samples.partial"):
            (out / name).mkdir(exist_ok=True)
            (out / name / "mine").write_text("mine")
    assert [(out / name / "mine").read_text() for name in ("samples.old", "samples.partial")] == ["mine"] * 2


def test_two_reports_at_once_leave_one_of_them_whole(tmp_path):
    save_all(tmp_path / "out", files("a.csv", "b.csv"), command=SAVE)
    ran = (
        "import sys, json; from scalinglab.files import save_all\n"
        "m = json.dumps({'command': 'scalinglab report x', 'files': ['a.csv', 'b.csv']}).encode()\n"
        "for _ in range(50):\n"
        "    text = sys.argv[2].encode()\n"
        "    files = {'a.csv': text, 'b.csv': text, 'manifest.json': m}\n"
        "    save_all(sys.argv[1], files, command=['scalinglab', 'report'])"
    )
    both = [subprocess.Popen([sys.executable, "-c", ran, tmp_path / "out", word]) for word in ("one", "two")]
    assert [process.wait(60) for process in both] == [0, 0]
    assert sorted(os.listdir(tmp_path / "out")) == ["a.csv", "b.csv", MANIFEST]
