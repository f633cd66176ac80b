"""Whether what is released works: ``python tests/smoke.py [PYTHON ...]`` (``make smoke``).

Builds the source distribution, the wheel from it alone, and for each Python an environment with nothing but that
wheel and what it requires; one more of the first Python with the lowest versions that pyproject.toml allows. There
it runs verbs in an empty folder, without the settings of whoever runs it. Says what the wheel weighs, and what of
it is not the testbed's weights. Exit code 1 with the command that failed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
PIP = ["-m", "pip", "--disable-pip-version-check", "--quiet"]
BUILT = "import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))"
TYPED = (
    "import scalinglab as sl; from pathlib import Path; assert (Path(sl.__file__).parent / 'py.typed').is_file();"
    "print(sl.match_specs(sl.find('Pythia-1B'), sl.find('Pythia-12B'), prompt=512, generated=512,"
    " convention=sl.CONVENTIONS['paper']).k(0.79))"
)
COUNTS = [f"{m},p{i},8,{min(8, s * i % 9)}" for m, s in (("Pythia-1B", 2), ("Pythia-12B", 3)) for i in range(12)]


def run(*command: object, folder: Path = HERE, env: dict[str, str] | None = None) -> str:
    """What a command prints; ends this process where it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"smoke: {' '.join(words)} in {folder}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def build(python: str, folder: Path) -> Path:
    """The wheel, built from the source distribution and nothing else."""
    run(python, "-m", "venv", folder / "build")
    builder = folder / "build" / "bin" / "python"
    run(builder, *PIP, "install", "setuptools>=77", "wheel", "uv")
    made = run(builder, "-c", BUILT, folder, folder=HERE).splitlines()[-1]
    run(builder, *PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, folder / made)
    (wheel,) = folder.glob("*.whl")
    print(f"{made}: {(folder / made).stat().st_size / 1e6:.2f} MB")
    return wheel


def oldest(folder: Path, python: str) -> Path:
    """The lowest versions allowed of what the wheel requires, for this Python, as pip's constraints."""
    found = folder / "oldest.txt"
    asked = ["--resolution", "lowest-direct", "--python", python, "--quiet", "--output-file", found]
    run(folder / "build" / "bin" / "uv", "pip", "compile", "pyproject.toml", *asked)
    return found


def weigh(wheel: Path) -> None:
    """Print what the wheel weighs, its heaviest parts, and what it weighs without the testbed's weights."""
    parts: Counter[str] = Counter()
    for file in zipfile.ZipFile(wheel).infolist():
        depth = 5 if "testbed/base" in file.filename else 3
        parts["/".join(file.filename.split("/")[:depth])] += file.compress_size
    weights = sum(size for name, size in parts.items() if "data/testbed" in name)
    whole = wheel.stat().st_size
    print(f"{wheel.name}: {whole / 1e6:.2f} MB, {(whole - weights) / 1e6:.2f} without data/testbed, of which")
    for name, size in parts.most_common(6):
        print(f"  {size / 1e6:5.2f} {name}")


def smoke(python: str, wheel: Path, folder: Path, constraints: Path | None = None) -> None:
    """Install the wheel into a new environment and run verbs there."""
    run(python, "-m", "venv", folder / "venv")
    binaries = folder / "venv" / "bin"
    bound = [] if constraints is None else ["--constraint", constraints]
    run(binaries / "python", *PIP, "install", "--no-compile", *bound, wheel)
    clean = {"PATH": os.defpath, "HOME": str(folder), "MPLBACKEND": "agg"}
    (folder / "counts.csv").write_text("model,problem,n,correct\n" + "\n".join(COUNTS) + "\n")
    verb = binaries / "scalinglab"
    pair = ["counts.csv", "--small", "Pythia-1B", "--large", "Pythia-12B", "--bins", 1]
    lines = [
        ["-h"],
        ["specs", "Qwen3-8B", "--json"],
        ["budget", "--ratio", 14, "--r", 0.79],
        ["exchange", *pair],
        ["report", *pair, "--out", "report"],
        ["atlas", "--shipped", "--json"],
    ]
    for line in lines:
        run(verb, *line, folder=folder, env=clean)
    run(binaries / "python", "-W", "error", "-c", TYPED, folder=folder, env=clean)
    assert (folder / "report" / "report.html").is_file()
    found = json.loads(run(binaries / "python", "-m", "pip", "list", "--format", "json"))
    versions = "the newest" if constraints is None else "the oldest allowed"
    print(f"{run(python, '-V').strip()}: works with {len(found)} packages, {versions}")


def main() -> None:
    """Build once, and try on each Python given, this one without any; on the first with the oldest of all."""
    pythons = sys.argv[1:] or [sys.executable]
    with tempfile.TemporaryDirectory(prefix="scalinglab-smoke-") as made:
        wheel = build(pythons[0], Path(made))
        weigh(wheel)
        tries = [(python, None) for python in pythons] + [(pythons[0], oldest(Path(made), pythons[0]))]
        for i, (python, constraints) in enumerate(tries):
            folder = Path(made) / str(i)
            folder.mkdir()
            smoke(python, wheel, folder, constraints)


if __name__ == "__main__":
    main()
