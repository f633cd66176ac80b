from dataclasses import replace
from pathlib import Path
from time import process_time

import pandas as pd
import pytest

from scalinglab.errors import DataError
from scalinglab.samples import Run, Unit, read_run, scored_by, write_jsonl, write_parquet

FIRST = Path(__file__).parent / "data" / "first-study"
TYPED = ["options", "setting", "verifiers"]


@pytest.fixture(scope="module")
def run():
    return read_run(FIRST)


def test_parameters_are_typed_where_a_run_is_read(run):
    units = run.units
    assert ("prm", "orm") in set(units.loc[units["strategy"] == "parallel", "verifiers"])
    assert set(units.loc[units["strategy"] == "greedy", "setting"]) == {"{}"}
    searched = units[units["strategy"] == "beam_search"].iloc[0]
    beams, guide = int(searched["budget"]), searched["verifiers"][0]
    assert searched["options"] == {"beams": beams, "width": min(beams, 4), "verifier": guide}
    assert searched["setting"] == f'{{"beams": {beams}, "width": {min(beams, 4)}}}'
    texts = units["parameters"].nunique()
    assert len({id(options) for options in units["options"]}) == texts < len(units)  # each parsed once


def test_a_part_of_a_run_keeps_them_and_every_run_has_them(run):
    part = replace(run, units=run.units[run.units["strategy"] == "parallel"])
    assert part.units["options"].iloc[0] is run.units.loc[part.units.index[0], "options"]
    bare = replace(run, units=run.units.drop(columns=TYPED))
    pd.testing.assert_frame_equal(bare.units, run.units)
    assert list(scored_by(run, "orm", model="orm").units["verifiers"]) == list(run.units["verifiers"])


def test_they_are_not_written(run, tmp_path):
    units = run.units.head(20)
    run = Run(units, *(frame[frame["unit"].isin(units["key"])] for frame in (run.calls, run.solutions)))
    write_parquet(run, tmp_path / "samples")
    names = [list(pd.read_parquet(at / "samples" / "units.parquet")) for at in (tmp_path, FIRST)]
    assert names[0] == names[1]
    write_jsonl(run, tmp_path / "run.jsonl")
    assert '"options"' not in (tmp_path / "run.jsonl").read_text()
    for path in ("samples", "run.jsonl"):
        again = read_run(tmp_path / path).units.sort_values("key", ignore_index=True)
        pd.testing.assert_frame_equal(again, units.sort_values("key", ignore_index=True))


@pytest.mark.parametrize("text", ["[1]", "{", "3", None, float("nan"), 3])
def test_what_holds_no_parameters_is_refused(text, run):
    units = run.units.drop(columns=TYPED).head(3)
    units["parameters"] = pd.Series([text] * 3, units.index, dtype=object)
    with pytest.raises(DataError, match=r"has parameters .*; expected a JSON object"):
        Run(units, run.calls.head(0), run.solutions.head(0))


@pytest.mark.parametrize(
    ("given", "names"), [({}, ()), ({"verifier": "prm"}, ("prm",)), ({"verifier": ["prm", "orm"]}, ("prm", "orm"))]
)
def test_a_unit_names_its_verifiers(given, names):
    assert Unit("run", "t", "p", "policy", "small", "parallel", {"samples": 2, **given}).verifiers == names


@pytest.mark.parametrize(("distinct", "seconds"), [(5, 0.5), (100_000, 4)])
def test_a_hundred_thousand_units_are_typed_at_once(distinct, seconds):
    texts = [f'{{"beams":{i % distinct},"verifier":["prm","orm"]}}' for i in range(100_000)]
    units = pd.DataFrame({"key": range(100_000), "parameters": texts})
    start = process_time()
    typed = Run(units, pd.DataFrame(), pd.DataFrame()).units
    assert process_time() - start < seconds
    assert typed["setting"].iloc[-1] == f'{{"beams": {99_999 % distinct}}}'
