"""What the README and the help promise is what the package does."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from scalinglab.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TOP = typer.main.get_command(app).commands
COMMANDS = {
    " ".join(path): command
    for name, top in TOP.items()
    for path, command in (
        [((name, sub), c) for sub, c in top.commands.items()] if hasattr(top, "commands") else [((name,), top)]
    )
}
PUBLIC = sorted(path for path in (ROOT / "scalinglab").rglob("*.py") if path.name != "__init__.py")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_help_an_example_and_a_place_in_the_readme(name):
    command = COMMANDS[name]
    assert command.help
    assert command.epilog.startswith(f"Example: scalinglab {name}")
    assert f"scalinglab {name}" in README
    for option in command.params:
        assert option.help, option.name


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_the_example(name):
    shown = CliRunner().invoke(app, [*name.split(), "--help"])
    assert shown.exit_code == 0
    assert f"scalinglab {name}" in " ".join(shown.stdout.split())


def readme_blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_library_example_of_the_readme_runs_as_written(tmp_path):
    (example,) = readme_blocks("python")
    assert len([line for line in example.splitlines() if line.strip()]) <= 7
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        assert line in README, "the README shows another output"


def test_the_comparison_of_the_readme_runs_as_written(tmp_path):
    (example,) = readme_blocks("py")
    rows = [f"Pythia {size},p{i},8,{i * k}" for size, k in (("1B", 1), ("12B", 1)) for i in range(8)]
    (tmp_path / "counts.csv").write_text("\n".join(["model,problem,n,correct", *rows]))
    command = [sys.executable, "-W", "error", "-c", f"{example}\nprint(found)"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Comparison(Pythia 1B against Pythia 12B: ")


def readme_commands():
    lines = "".join(readme_blocks("console")).splitlines()
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ scalinglab")]


@pytest.mark.parametrize("command", readme_commands())
def test_a_command_of_the_readme_runs_as_written(command, monkeypatch, tmp_path):
    arguments = shlex.split(command, comments=True)[1:]
    if any("../shared" in argument for argument in arguments) and not (ROOT.parent / "shared" / "data").exists():
        pytest.skip("needs ../shared/data, third-party data that is not shipped")
    monkeypatch.chdir(ROOT)
    if "--out" in arguments:
        arguments[arguments.index("--out") + 1] = str(tmp_path / "out")
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.stderr
    if "--json" in arguments:
        json.loads(done.stdout.splitlines()[-1])


def test_links_and_pictures_of_the_readme_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_the_readme_opens_with_the_question_and_names_the_two_commands():
    assert "?" in "".join(README.splitlines()[:6])
    assert "make demo" in README
    assert "make test" in README


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
    from scalinglab import __version__

    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
