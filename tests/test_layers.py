"""From the AST: a module imports only from strictly earlier rows, and a heavy library has one home."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "scalinglab"
ROWS = {
    **dict.fromkeys(("errors", "lazy"), 0),
    **dict.fromkeys(("files", "grids", "names", "outside"), 0.5),
    **dict.fromkeys(("specs", "tasks", "samples", "laws"), 1),
    "flops": 2,
    "ledger": 3,
    "collect": 4,
    "evidence": 5,
    "curves": 6,
    **dict.fromkeys(("optimal", "fits"), 7),
    "exchange": 8,
    "advise": 9,
    "plots": 10,
    "report": 11,
    **dict.fromkeys(("study", "testbed"), 12),
    "cli": 13,
    "__main__": 14,
}
HOMES = {
    "matplotlib": "plots",
    "plotly": "report",
    "statsmodels": "fits",
    "vllm": "collect",
    "aiohttp": "collect",
    "pydantic": "study",
    "pydantic_core": "study",
    "torch": "testbed",
    "transformers": "testbed collect",
    "math_verify": "tasks",
    "sqlite3": "samples",
    "yaml": "samples",
    "typer": "cli",
    "rich": "cli",
}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(source):
    """Dotted names of every import, function-local ones too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def violations(path, source):
    here = room(path)
    for name in imports(source):
        top, *rest = name.split(".")
        if here not in HOMES.get(top, here).split():
            yield f"{here} imports {top}, whose only home is {HOMES[top]}"
        if top == "scalinglab" and rest and rest[0] in ROWS and rest[0] != here and ROWS[rest[0]] >= ROWS[here]:
            yield f"{here} (row {ROWS[here]}) imports {rest[0]} (row {ROWS[rest[0]]})"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_earlier_rows(path):
    assert list(violations(path, path.read_text())) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_version_is_taken_from_the_package_root(path):
    taken = {name for name in imports(path.read_text()) if name.startswith("scalinglab.") and name.count(".") == 1}
    assert {name.split(".")[1] for name in taken} <= {*ROWS, "__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_has_a_row_and_is_short(path):
    assert room(path) in ROWS
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize(
    ("where", "source"),
    [
        ("flops.py", "from scalinglab.ledger import price"),
        ("flops.py", "def f():\n    from scalinglab import ledger"),
        ("specs/shape.py", "import scalinglab.samples"),
        ("curves/pools.py", "import matplotlib.pyplot"),
        ("report.py", "def f():\n    import torch"),
    ],
)
def test_the_check_itself_catches(where, source):
    assert list(violations(PACKAGE / where, source))


def test_the_modules_of_a_package_import_in_one_direction():
    for package in (path for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()):
        graph = {
            path.stem: {
                name.split(".")[2]
                for name in imports(path.read_text())
                if name.startswith(f"scalinglab.{package.name}.") and name.split(".")[2] != path.stem
            }
            for path in package.glob("*.py")
            if path.stem != "__init__"
        }
        while graph:
            leaves = {name for name, needed in graph.items() if not needed & set(graph)}
            assert leaves, f"{package.name} imports in a circle: {sorted(graph)}"
            graph = {name: needed for name, needed in graph.items() if name not in leaves}
