"""A run as records of Every Eval Ever (evaleval.github.io, schema 0.3.0): what one model did on one task a pair of
files, an aggregate and a line an answer. ``samples.read_logs`` reads them back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pandas as pd

from scalinglab import __version__
from scalinglab.errors import DataError
from scalinglab.files import whole_folder
from scalinglab.report import manifest
from scalinglab.samples import read_references, read_run
from scalinglab.samples.columns import INDEPENDENT

_SCHEMA = "0.3.0"
_COUNTS = ["prompt_tokens", "generated_tokens", "cached_tokens", "thinking_tokens"]
_UNKNOWN = "unknown"


def export_records(folder: str | Path, out: str | Path, *, command: Sequence[str]) -> list[Path]:
    """Write the answers of a run as records, and return the files: data/TASK/DEVELOPER/MODEL/ID.json and
    ID_samples.jsonl, and a manifest.

    Tokens stand beside single samples; what a search spent is no answer's own, and is left out, and so are
    questions, which a run does not hold. Raises DataError where there is no run, or ``out`` is there already.
    """
    folder, out = Path(folder), Path(out)
    answers = _answers(folder)
    if out.exists():
        raise DataError(f"--out {out}, which is there already", "a new folder", "choose another, or remove it")
    stamp = int(max(path.stat().st_mtime for path in (folder, *folder.rglob("*")) if path.is_file()))
    files: dict[str, str] = {}
    for (task, model), rows in answers.groupby(["task", "model"], sort=True):
        files |= _pair(str(task), str(model), rows, stamp)
    about = manifest(command, sorted(files), seed=None)
    files["manifest.json"] = json.dumps(about, indent=1) + "\n"
    try:
        with whole_folder(out) as partial:
            for name, content in files.items():
                (partial / name).parent.mkdir(parents=True, exist_ok=True)
                (partial / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"cannot write {out} ({error.strerror})", "a folder with room", "choose another"
        ) from error
    return [out / name for name in files]


def _answers(folder: Path) -> pd.DataFrame:
    """A row a solution of a policy: its unit's fields, its own, the tokens of its calls (NA: unknown or shared),
    its label (arm) and the right answer to its problem."""
    run, golds = read_run(folder), read_references(folder)
    units = run.units[run.units["role"].isin(["policy", "large"])].set_index("key")
    rows = run.solutions[run.solutions["unit"].isin(units.index)].join(units, on="unit")
    calls = run.calls[run.calls["unit"].isin(units.index) & run.calls["role"].isin(["policy", "large"])]
    by = calls.groupby(["unit", "sample"])
    known = by[_COUNTS].count().eq(by.size(), axis=0)
    spent = by[_COUNTS].sum().where(known).join(by["finish_reason"].last())
    rows = rows.join(spent, on=["unit", "sample"])
    single = rows["strategy"].isin(INDEPENDENT)
    rows["number"] = rows["sample"].where(single, rows["position"])
    rows[_COUNTS] = rows[_COUNTS].where(single)
    rows["effort"] = [_effort(text) for text in rows["setting"]]
    labels = zip(rows["strategy"], rows["effort"], rows["budget"], rows["seed"], strict=True)
    rows["arm"] = [", ".join(filter(None, (s, e, f"budget {b}", f"seed {d}"))) for s, e, b, d in labels]
    rows["gold"] = [golds.get(key) for key in zip(rows["task"], rows["problem"], strict=True)]
    return rows


def _effort(setting: str) -> str:
    """What tells arms of a strategy apart, as one label."""
    told = json.loads(setting)
    return str(told["effort"]) if set(told) == {"effort"} else ", ".join(f"{k}={v}" for k, v in told.items())


def _pair(task: str, model: str, rows: pd.DataFrame, stamp: int) -> dict[str, str]:
    """An aggregate and its lines, by their paths."""
    about = {"schema_version": _SCHEMA, "evaluation_id": f"{task}/{model}/{stamp}"}
    told = [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]
    records = [about | _record(row, task, model) for row in told]
    lines = "".join(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n" for record in records)
    digest = sha256(lines.encode())
    name = UUID(bytes=digest.digest()[:16], version=4)
    developer, _, rest = model.rpartition("/")
    place = "/".join(map(_safe, ("data", task, developer or _UNKNOWN, rest)))
    aggregate = about | _aggregate(task, model, rows, stamp)
    aggregate["detailed_evaluation_results"] = {
        "format": "jsonl",
        "file_path": f"{place}/{name}_samples.jsonl",
        "hash_algorithm": "sha256",
        "checksum": digest.hexdigest(),
        "total_rows": len(records),
    }
    whole = json.dumps(aggregate, indent=1, ensure_ascii=False) + "\n"
    return {f"{place}/{name}.json": whole, f"{place}/{name}_samples.jsonl": lines}


def _aggregate(task: str, model: str, rows: pd.DataFrame, stamp: int) -> dict[str, Any]:
    return {
        "retrieved_timestamp": str(stamp),
        "source_metadata": {
            "source_name": "scalinglab",
            "source_type": "evaluation_run",
            "source_organization_name": _UNKNOWN,
            "evaluator_relationship": "other",
        },
        "eval_library": {"name": "scalinglab", "version": __version__},
        "model_info": {
            "name": model,
            "id": model,
            "developer": model.rpartition("/")[0] or _UNKNOWN,
            "additional_details": {"deployment_type": _UNKNOWN, "model_availability": _UNKNOWN},
        },
        "evaluation_results": [_result(task, str(arm), group) for arm, group in rows.groupby("arm", sort=True)],
    }


def _result(task: str, arm: str, rows: pd.DataFrame) -> dict[str, Any]:
    """One arm's accuracy: the mean over problems of the share of right answers."""
    right = (rows["grade"] == "right").groupby(rows["problem"]).mean()
    return {
        "evaluation_result_id": arm,
        "evaluation_name": task,
        "source_data": {"dataset_name": task, "source_type": "other"},
        "metric_config": {
            "evaluation_description": f"share of right answers of {arm}, a mean over problems",
            "metric_name": "accuracy",
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": 1.0,
        },
        "score_details": {"score": float(right.mean()), "uncertainty": {"num_samples": len(rows)}},
    }


def _record(row: Mapping[str, Any], task: str, model: str) -> dict[str, Any]:
    grade, gold, given = row["grade"], _said(row["gold"]), _said(row["answer"])
    score = row["value"] if grade == "partial" else float(grade == "right")
    answer = {"turn_idx": 0, "source": "output.raw", "extraction_method": "scalinglab", "is_terminal": True}
    return {
        "model_id": model,
        "evaluation_name": task,
        "evaluation_result_id": row["arm"],
        "sample_id": row["problem"],
        "sample_hash": None,
        "interaction_type": "single_turn",
        "input": {"raw": "", "reference": [] if gold is None else [gold]},
        "output": {"raw": [row["text"]]},
        "answer_attribution": [] if given is None else [answer | {"extracted_value": given}],
        "evaluation": {"score": score, "is_correct": grade == "right"},
        "token_usage": _usage(row),
        "error": "error" if grade == "error" else None,
        "metadata": dict(_metadata(row)),
    }


def _said(value: Any) -> str | None:
    """A text; None where pandas holds nothing."""
    return None if pd.isna(value) else str(value)


def _usage(row: Mapping[str, Any]) -> dict[str, int | None] | None:
    """Its tokens, the cached ones among the input; None where the prompt or the output is unknown."""
    prompt, output, cached, thinking = (None if pd.isna(row[name]) else int(row[name]) for name in _COUNTS)
    if prompt is None or output is None:
        return None
    told = {"input_tokens": prompt, "output_tokens": output, "total_tokens": prompt + output}
    return told | {"input_tokens_cache_read": cached, "reasoning_tokens": thinking}


def _metadata(row: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """How the answer came to be, in texts."""
    yield from ((name, str(row[name])) for name in ("strategy", "budget", "seed", "grade"))
    yield "sample", str(row["number"])
    if row["effort"]:
        yield "effort", row["effort"]
    if not pd.isna(row["finish_reason"]):
        yield "stop_reason", str(row["finish_reason"])
    if len(row["verifiers"]):
        yield "verifier", row["verifiers"][0]
    if len(row["scores"]) == 1:
        yield "score", repr(float(row["scores"][0]))


def _safe(name: str) -> str:
    """A name as one folder's."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).strip(".") or _UNKNOWN
