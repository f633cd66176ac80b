"""What a server asks for tokens, in dollars per million of each kind, and what a query then costs."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from scalinglab.advise.hardware import Work
from scalinglab.errors import DataError

_FORM = "MODEL=INPUT/CACHED/OUTPUT[/THINKING] in dollars per million tokens, or a .toml file"
_MILLION = 1e6


@dataclass(frozen=True)
class Rates:
    """Dollars per million tokens: of prompts, of what a cache held of them, of answers and of thoughts."""

    input: float
    cached: float
    output: float
    thinking: float


def read_prices(given: Iterable[str]) -> dict[str, Rates]:
    """``small=0.05/0.01/0.2``, thoughts priced as output, or ``small=0.05/0.01/0.2/0.3``; or a .toml file.

    The file has a table a model with input, output, and where they differ cached and thinking. Raises DataError
    for anything else, or a model that is priced twice.
    """
    found: dict[str, Rates] = {}
    for text in given:
        pairs = _file(Path(text)) if text.endswith(".toml") and "=" not in text else [_pair(text)]
        for name, rates in pairs:
            if name in found:
                raise DataError(f"two prices of {name}", "one", "take one out of --prices")
            found[name] = rates
    return found


def dollars(works: Sequence[Work], prices: Mapping[str, Rates]) -> tuple[float | None, str]:
    """Dollars that these works cost, and what is said of the number.

    None where a model has no price. A cache or thoughts that nobody reported are billed as input and output: said
    where that makes a difference.
    """
    lacking = [work.model for work in works if work.model not in prices]
    if lacking:
        return None, f"no price of {', '.join(lacking)} (--prices)"
    total, said = 0.0, []
    for work in works:
        rates = prices[work.model]
        cached, thinking = work.cached or 0.0, work.thinking or 0.0
        total += rates.input * (work.prompts - cached) + rates.cached * cached
        total += rates.output * (work.written - thinking) + rates.thinking * thinking
        for what, tokens, one, other in (
            ("cached tokens", work.cached, rates.cached, rates.input),
            ("thinking tokens", work.thinking, rates.thinking, rates.output),
        ):
            if tokens is None and one != other:
                said.append(f"{what} of {work.model} were not reported: billed as the others")
    return total / _MILLION, "; ".join(said)


def _pair(text: str) -> tuple[str, Rates]:
    name, equals, numbers = text.rpartition("=")
    parts = numbers.split("/")
    if not (name and equals) or len(parts) not in (3, 4):
        raise DataError(f"--prices {text}", _FORM, "write for example small=0.05/0.01/0.2")
    values = [_number(part, f"--prices {text}") for part in parts]
    return name, Rates(*values, *values[2:3]) if len(values) == 3 else Rates(*values)


def _file(path: Path) -> list[tuple[str, Rates]]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"prices in {path} ({error})", "a TOML file with a table a model", "mend --prices"
        ) from None
    return [(name, _table(f"{path}, [{name}]", table)) for name, table in tables.items()]


def _table(where: str, table: Any) -> Rates:
    known = [one.name for one in fields(Rates)]
    if not isinstance(table, dict) or not {"input", "output"} <= set(table) <= set(known):
        raise DataError(where, f"a table with input and output, and of {', '.join(known)} no others", "mend it")
    full = {"cached": table["input"], "thinking": table["output"]} | table
    return Rates(**{name: _number(full[name], f"{where}, {name}") for name in known})


def _number(given: Any, where: str) -> float:
    try:
        value = float(given)
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and value >= 0) or isinstance(given, bool):
        raise DataError(f"{where}: {given!r}", "dollars per million tokens, 0 or more", "mend the price")
    return value
