"""A cheap command loads nothing heavy, and packages that load lazily still name what they name."""

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "scalinglab"

HEAVY = ("matplotlib", "pandas", "scipy.stats", "statsmodels", "pyarrow", "torch")
LAZY = ("", "advise", "collect", "curves", "evidence", "exchange", "fits", "ledger", "optimal", "plots", "report",
        "samples", "study")  # fmt: skip


def loaded(code):
    """The modules that a fresh interpreter holds after this code."""
    ending = "\nimport json, sys\nprint('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code + ending], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "line", ["specs Qwen3-8B", "specs --ratio 14", "budget --ratio 14 --r 0.79",
             "flops Qwen3-8B --prompt 100 --generate 100"],
)  # fmt: skip
def test_a_command_on_models_alone_loads_nothing_heavy(line):
    ran = f"from scalinglab.cli import app\napp({line.split()!r}, standalone_mode=False)"
    assert not loaded(ran) & set(HEAVY)


def test_a_comparison_loads_no_plots():
    ran = "from scalinglab.exchange import compare\nfrom scalinglab.report import Section, rows"
    assert not loaded(ran) & {"matplotlib", "scipy.stats", "torch"}


@pytest.mark.parametrize("package", LAZY)
def test_every_name_of_a_package_is_found(package):
    module = importlib.import_module(f"scalinglab.{package}".rstrip("."))
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        module.no_such_name  # noqa: B018


def test_a_module_never_hides_the_function_of_its_name():
    ran = """
import scalinglab.fits.fit, scalinglab.exchange.breakeven
from scalinglab.exchange import breakeven
from scalinglab.fits import fit
assert callable(fit) and callable(breakeven)
"""
    assert "scalinglab.fits.fit" in loaded(ran)


def test_rows_print_as_pandas_prints_them():
    import pandas as pd

    from scalinglab.report import table_of, text

    rows = [{"a": 1, "longer name": 0.123456, "c": "x"}, {"a": 12345678, "longer name": float("nan"), "d": True}]
    shown = [{"a": 1, "longer name": "0.1235", "c": "x", "d": "-"},
             {"a": "1.235e+07", "longer name": "-", "c": "-", "d": True}]  # fmt: skip
    assert table_of(rows) == pd.DataFrame(shown, dtype=object).to_string(index=False)
    assert text(pd.DataFrame(rows, dtype=object)) == table_of(rows)
    assert table_of([]) == "(nothing)"


@pytest.mark.parametrize(
    "package", sorted(path.parent for path in PACKAGE.glob("*/__init__.py")), ids=lambda p: p.name
)
def test_no_exported_name_is_hidden_by_a_module_of_another_home(package):
    """``from package import name`` finds the submodule of that name, unless the name is asked of its own home."""
    tree = ast.parse((package / "__init__.py").read_text())
    homes = {
        alias.name: node.module.rpartition(".")[2]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    modules = {path.stem for path in package.glob("*.py")}
    assert {name for name, home in homes.items() if name in modules and name != home} == set()
