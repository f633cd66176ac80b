"""The parameters of units: stored as JSON text, parsed once where a run is read, each distinct text once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.errors import DataError

TYPED = ("options", "setting", "verifiers")
"""The columns of units that are made of their parameters."""


def with_options(units: pd.DataFrame) -> pd.DataFrame:
    """Units with the columns of ``TYPED``; as they are where they have them already.

    options: the parameters, a mapping that units of the same text share: not to be changed. setting: see
    ``setting_of``. verifiers: see ``verifiers_of``. Raises DataError for a text that holds no parameters.
    """
    if set(TYPED) <= set(units.columns) or "parameters" not in units:
        return units
    codes, texts = pd.factorize(units["parameters"], use_na_sentinel=False)
    options = [_options(text) for text in texts]
    columns: dict[str, list[Any]] = {
        "options": options,
        "setting": [setting_of(one) for one in options],
        "verifiers": [verifiers_of(one) for one in options],
    }
    return units.assign(**{name: _spread(values, codes, units.index) for name, values in columns.items()})


def setting_of(options: Mapping[str, Any]) -> str:
    """What tells arms of a strategy apart, as JSON with sorted keys: all but verifiers and number of samples."""
    kept = {key: value for key, value in options.items() if key not in ("verifier", "samples")}
    return json.dumps(kept, sort_keys=True)


def verifiers_of(options: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the verifiers, the one whose scores are the solutions' own first."""
    found = options.get("verifier")
    return tuple(found) if isinstance(found, (list, tuple)) else () if found is None else (found,)


def options_of(text: object) -> dict[str, Any] | None:
    """The object that a text holds as JSON; None where it holds none."""
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else None


def _options(text: object) -> dict[str, Any]:
    found = options_of(text)
    if found is None:
        raise DataError(f"a unit has parameters {text!r:.80}", "a JSON object", "record or export the run again")
    return found


def _spread(values: Sequence[Any], codes: np.ndarray[Any, Any], index: pd.Index) -> pd.Series:
    """The value of each code, as objects: numpy would take tuples and lists apart."""
    held = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        held[i] = value
    return pd.Series(held[codes] if len(values) else [], index, dtype=object)
