"""What report and paper write, and where they cannot."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from commands import assert_refused

# Files written

REPORT = "report COUNTS --small Pythia-2.8B --large Pythia-6.9B --bins 1 --r 22 --out OUT"


@pytest.fixture(scope="session")
def reported(scalinglab, document, tmp_path_factory):
    """A report written over an older one, beside a file of somebody's: its line, folder and document."""
    out = tmp_path_factory.mktemp("report") / "a" / "b"
    assert scalinglab(REPORT, OUT=out).code == 0
    (out / "verdicts.csv").write_text("old")
    (out / "verdicts.csv.partial").write_text("somebody's own")
    return out, document(f"{REPORT} --seed 3 --convention kaplan", OUT=out)


def test_a_report_lists_the_files_it_wrote_and_leaves_no_partial_one(reported):
    out, shown = reported
    assert sorted(shown) == ["files"]
    assert sorted(shown["files"]) == sorted(str(path) for path in out.iterdir() if path.suffix != ".partial")
    assert all(path.stat().st_size for path in out.iterdir())
    assert not (out / "verdicts.csv").read_text().startswith("old")
    assert [path.name for path in out.glob("*.partial")] == ["verdicts.csv.partial"]  # it was somebody's


def test_the_manifest_holds_the_command_that_rebuilds_the_folder(reported, counts):
    out, shown = reported
    manifest = json.loads((out / "manifest.json").read_text())
    line = REPORT.replace("COUNTS", str(counts)).replace("OUT", str(out))
    assert manifest["command"] == f"scalinglab {line} --seed 3 --convention kaplan --json"
    assert manifest["seed"] == 3
    assert {*manifest["files"], "manifest.json"} == {Path(name).name for name in shown["files"]}
    assert "kaplan" in (out / "verdicts.csv").read_text()


def test_paper_shows_the_paper_and_writes_it(scalinglab, tmp_path):
    done = scalinglab("paper --out OUT", OUT=tmp_path / "demo")
    assert (done.code, done.err) == (0, "")
    text, files = done.out.split("Wrote:\n")
    assert text.startswith("By the paper's own bars")
    assert "+21.6" in text
    assert sorted(map(str.strip, files.splitlines())) == sorted(map(str, (tmp_path / "demo").iterdir()))


def test_a_folder_that_cannot_be_is_refused(scalinglab, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert_refused(scalinglab("paper --out OUT", OUT=tmp_path / "file" / "below"), "cannot write")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount command")
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_ends_a_report_in_one_line_and_nothing_half_written(scalinglab, small_disk):
    assert_refused(scalinglab(REPORT, OUT=small_disk / "out"), "No space left on device")
    assert list(small_disk.iterdir()) == []
