"""What the README, docs/ and the help promise is what the package does."""

import json
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import typer.main
import yaml
from typer.testing import CliRunner

from scalinglab import __version__
from scalinglab.cli import app
from scalinglab.study import read_study

ROOT = Path(__file__).parents[1]
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in FILES}
CAPTURED = {"capture_output": True, "text": True, "cwd": ROOT, "check": False}
TOP = typer.main.get_command(app).commands
COMMANDS = {
    " ".join(path): command
    for name, top in TOP.items()
    for path, command in (
        [((name, sub), c) for sub, c in top.commands.items()] if hasattr(top, "commands") else [((name,), top)]
    )
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_help_an_example_and_a_line_among_the_commands(name):
    command = COMMANDS[name]
    assert command.help
    assert command.epilog.startswith(f"Example: scalinglab {name}")
    lines = PAGES["docs/commands.md"].splitlines()
    assert len([line for line in lines if re.match(rf"- `scalinglab {name}[ `]", line)]) == 1
    for option in command.params:
        assert option.help, option.name


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_the_example(name):
    shown = CliRunner().invoke(app, [*name.split(), "--help"])
    assert shown.exit_code == 0
    assert f"scalinglab {name}" in " ".join(shown.stdout.split())


def blocks(page):
    """Language and text of each code block of a page, in order."""
    return re.findall(r"^```(\w*)\n(.*?)^```", PAGES[page], flags=re.DOTALL | re.MULTILINE)


def flat(text):
    return " ".join(text.split())


def programs():
    """Each page's Python as one program, and what it prints by the page; strategies.md has a test of its own."""
    for page in PAGES:
        every = blocks(page)
        code = [text for language, text in every if language == "python"]
        told = [two[1] for one, two in pairwise(every) if one[0] == "python" and two[0] == "text"]
        if code and page != "docs/strategies.md":
            yield pytest.param("\n".join(code), told, id=page)


def commands():
    """Each line of shell of each page, and what the page says that it prints, after the last line of a block."""
    for page in PAGES:
        every = [*blocks(page), ("", "")]
        for (language, text), (after, told) in pairwise(every):
            lines = text.replace("\\\n", " ").splitlines() if language == "sh" else []
            for number, line in enumerate(lines, 1):
                says = told if after == "text" and number == len(lines) else ""
                yield pytest.param(line, says, id=f"{page}: {flat(line)}")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_keeps_to_its_lines_and_to_the_languages_that_the_index_explains(page):
    assert {language for language, _ in blocks(page)} <= {"sh", "python", "toml", "text", "console"}
    long = [line for line in PAGES[page].splitlines() if len(line) > 120 and not line.startswith("|")]
    assert long == [], "only a row of a table cannot be broken"


@pytest.mark.parametrize(("code", "told"), [*programs()])
def test_the_python_of_a_page_runs_and_prints_what_the_page_says(code, told):
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], **CAPTURED)
    assert done.returncode == 0, done.stderr
    for text in told:
        assert flat(text) in flat(done.stdout), "the page shows another output"


@pytest.mark.parametrize(("command", "says"), [*commands()])
def test_a_command_of_a_page_runs_as_written(command, says, monkeypatch, tmp_path):
    program, *arguments = shlex.split(command, comments=True)
    assert program == "scalinglab"
    if any("../shared" in argument for argument in arguments) and not (ROOT.parent / "shared" / "data").exists():
        pytest.skip("needs ../shared/data, third-party data that is not shipped")
    monkeypatch.chdir(ROOT)
    if "--out" in arguments:
        arguments[arguments.index("--out") + 1] = str(tmp_path / "out")
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.stderr
    assert flat(says) in flat(done.stdout)
    if "--json" in arguments:
        json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_of_a_page_exist(page):
    for target in re.findall(r"\]\(([^)]+)\)", PAGES[page]):
        path, _, heading = target.partition("#")
        found = ROOT / Path(page).parent / path if path else ROOT / page
        assert target.startswith("http") or found.exists(), target
        if heading and not target.startswith("http"):
            titles = re.findall(r"^#+ (.*)", found.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert heading in [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles], target


def test_the_readme_is_short_and_opens_with_the_question_a_picture_and_the_two_commands():
    readme = PAGES["README.md"]
    assert len(readme.split()) < 1200
    assert "?" in "".join(readme.splitlines()[:6])
    places = [readme.index(text) for text in ("![", "$ make demo", "$ make test", "## I have", "## From Python")]
    assert places == sorted(places)
    (example,) = [text for language, text in blocks("README.md") if language == "python"]
    assert len([line for line in example.splitlines() if line.strip()]) == 5


def test_the_index_and_the_readme_lead_to_every_page():
    for page in PAGES.keys() - {"README.md", "docs/index.md"}:
        name = Path(page).name
        assert f"({name})" in PAGES["docs/index.md"]
        assert f"(docs/{name})" in PAGES["README.md"]


def test_toml_stands_only_on_pages_whose_toml_a_test_reads():
    pages = {page for page in PAGES if "toml" in dict(blocks(page))}
    read = {
        "docs/collecting.md",
        "docs/servers.md",
        "docs/strategies.md",
    }  # in test_study, here, in test_docs_strategies
    assert pages == read


def test_the_keys_of_a_served_model_make_a_study(tmp_path):
    (keys,) = [text for language, text in blocks("docs/servers.md") if language == "toml"]
    study = '[task]\nkind = "gsm8k"\npath = "few.jsonl"\n[[strategies]]\nname = "greedy"\n'
    (tmp_path / "study.toml").write_text(f"{keys}\n{study}")
    assert read_study(tmp_path / "study.toml").models["small"].model == "Qwen/Qwen3-8B"


def test_the_citation_names_this_version():
    told = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert told["version"] == __version__
    assert {"cff-version", "title", "message", "authors"} <= told.keys()


def test_starting_up_takes_no_heavy_import():
    heavy = ("numpy", "pandas", "scipy", "matplotlib", "pyarrow")
    code = f"import sys, scalinglab.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_committed_results_name_the_command_that_rebuilds_them():
    manifests = sorted((ROOT / "results").glob("*/manifest.json"))
    assert manifests
    for path in manifests:
        if path.parent.name == "demo":
            continue
        manifest = json.loads(path.read_text())
        assert manifest["command"].startswith("scalinglab ")
        assert {"seed", "versions", "machine"} <= set(manifest)
        assert all((path.parent / name).is_file() for name in manifest["files"])


@pytest.mark.parametrize("lock", ["dev", "engine"])
def test_a_lock_holds_pins_only_and_no_build_of_one_machine(lock):
    lines = (ROOT / "requirements" / f"{lock}.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert "torch==2.13.0" in pins
    assert [pin for pin in pins if not re.fullmatch(r"[a-z0-9.-]+==[\w.]+( ; .+)?", pin)] == []


def test_the_changelog_names_the_version():
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
