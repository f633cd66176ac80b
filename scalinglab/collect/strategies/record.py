"""What a strategy is to everything that must know about strategies: one record each, in an open registry."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from types import MappingProxyType
from typing import Any, Literal, Protocol

from scalinglab.collect.strategies.drafts import Draft
from scalinglab.errors import DataError
from scalinglab.outside import imported

Parameters = Mapping[str, Any]
"""A unit's own: those of its strategy's function, and perhaps "verifier" and "temperature"."""


class Entry(Protocol):
    """One of a study's [[strategies]], read key by key.

    Each method raises DataError naming the key where it is not as it says, or is not there and has no default.
    """

    def number(self, key: str, default: Any = ..., *, least: int = 1, word: str | None = None) -> Any:
        """A whole number, or the word that may stand for one."""
        ...

    def numbers(self, key: str, default: Any = ..., *, least: int = 1) -> tuple[int, ...]:
        """Whole numbers, one or more."""
        ...

    def texts(self, key: str, default: Any = ...) -> Any:
        """A list of texts, one or more, none empty."""
        ...

    def real(self, key: str, default: Any = ...) -> Any:
        """A number >= 0."""
        ...

    def text(self, key: str, default: Any = ...) -> Any:
        """A text, not empty."""
        ...

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        ...

    def wrong(self, key: str, value: object, allowed: str) -> DataError:
        """The error that a key has a value it cannot have."""
        ...


@dataclass(frozen=True)
class Selectors:
    """How the answer is chosen among a strategy's solutions: without a verifier, and by each that judged them."""

    alone: tuple[str, ...] = ()
    judged: tuple[str, ...] = ()


OUTCOME = Selectors(("recorded",), ("recorded",))
"""Of what others recorded as the outcome of a whole arm: chosen already, by its verifier where one is named."""
SAMPLES = Selectors(("majority",), ("weighted", "best-of-n"))
"""Of independent samples, which every selector of ``curves`` can read at every k."""


@dataclass(frozen=True)
class Strategy:
    """One way to answer a problem.

    name: as units and studies give it.
    solve: an async function (problem, policy, verifier, **parameters) -> solutions; see ``parallel``.
    scales: its parameters that grow with the budget; all others tell its families apart.
    block: samples that are drawn apart from all others, so that any number of such blocks is a smaller run of the
        same: 1 where samples are independent, a parameter that says how many, None where none can be taken off.
    selectors: how its answer is chosen where its samples are not independent.
    verifier: whether one guides it, and must be given, or judges its solutions if given, or none can be.
    reading: from a study's entry, its own parameters in each of its cells. None: the key budgets, each of which
        is the one parameter of ``scales``.
    size: from parameters, the budget in samples. Raises DataError where they cannot be. None: the product of
        ``scales``.
    model: which of a study's models it is for, where the study does not say.
    sampled: whether it draws at a temperature that can be chosen.
    answers: whether its solutions are answers, and not drawn for another purpose.
    continues: whether it asks the policy to go on with a text that it has begun, which a chat server cannot; or
        the parameter that says so.
    read_as: the strategy as whose its samples are read, told apart by their parameters: "parallel" of samples that
        are independent and nothing but the model's own. "": as themselves.
    """

    name: str
    solve: Callable[..., Awaitable[list[Draft]]]
    scales: tuple[str, ...] = ()
    block: int | str | None = None
    selectors: Selectors = SAMPLES
    verifier: Literal["guides", "judges", "none"] = "judges"
    reading: Callable[[Entry], list[Parameters]] | None = None
    size: Callable[[Parameters], int] | None = None
    model: str = "small"
    sampled: bool = True
    answers: bool = True
    continues: bool | str = False
    read_as: str = ""

    @property
    def draws(self) -> bool:
        """Whether each of its solutions is a sample of its budget, of which fewer may have been drawn."""
        return self.scales == ("samples",) and self.selectors is not OUTCOME

    def cells(self, entry: Entry) -> list[Parameters]:
        """Its own parameters in each cell that a study's entry asks for. Raises DataError naming a wrong key."""
        if self.reading is not None:
            return self.reading(entry)
        return [{self.scales[0]: budget} for budget in sorted(set(entry.numbers("budgets")))]

    def budget(self, parameters: Parameters) -> int:
        """What it costs, in samples. Raises DataError where a number is missing, or is none it can be."""
        if self.size is not None:
            return self.size(parameters)
        return prod(whole(self.name, parameters, scale) for scale in self.scales)

    def goes_on(self, parameters: Parameters) -> bool:
        """Whether it asks the policy to go on with a text that it has begun."""
        if isinstance(self.continues, str):
            return bool(parameters.get(self.continues, False))
        return self.continues

    def block_of(self, parameters: Parameters) -> int | None:
        """Samples of one block; None where nothing below its budget is read."""
        if isinstance(self.block, str):
            return int(parameters[self.block]) if self.block in parameters else None
        return self.block

    def independent(self, parameters: Parameters) -> bool:
        """Whether its samples are, so that every k up to its budget is read from them."""
        return self.block_of(parameters) == 1

    def choosers(self, parameters: Parameters, verifiers: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """The selectors under each of the verifiers that judged its solutions; "" stands for none."""
        if self.selectors is OUTCOME:
            return dict.fromkeys(verifiers or ("",), OUTCOME.alone)
        selectors = SAMPLES if self.independent(parameters) else self.selectors
        alone = {"": selectors.alone} if selectors.alone else {}
        return alone | dict.fromkeys(verifiers, selectors.judged)

    def family(self, parameters: Parameters) -> dict[str, Any]:
        """The parameters that tell it from others of its name: all but what grows with the budget."""
        return {
            key: value for key, value in parameters.items() if key not in (*self.scales, "samples", "verifier")
        }


_NAMED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
_known: dict[str, Strategy] = {}
STRATEGIES: Mapping[str, Strategy] = MappingProxyType(_known)
"""Every strategy that is registered, by name."""


def register(strategy: Strategy) -> Strategy:
    """Make a strategy known by its name, to collect it and to read what it did. Returns it.

    Raises DataError where another has that name, or it lacks what makes its cells.
    """
    if _known.get(strategy.name, strategy) != strategy:
        raise DataError(f"a second strategy {strategy.name!r}", "one of each name", "choose another name")
    if strategy.reading is None and len(strategy.scales) != 1:
        raise DataError(
            f"strategy {strategy.name!r} with scales {', '.join(strategy.scales) or 'none'}",
            "one, which a study's budgets are, or a function reading",
            "give reading",
        )
    return _known.setdefault(strategy.name, strategy)


def find(name: str) -> Strategy:
    """The strategy of a name, or of "module:attribute", which is imported and registered as that.

    Raises DataError where there is none.
    """
    if name not in _known and ":" in name:
        register(replace(_imported(name), name=name))
    if name not in _known:
        raise DataError(
            f"strategy {name!r}",
            f"one of {', '.join(_known)}, or module:attribute of another",
            "name one of them, or register it first",
        )
    return _known[name]


def known(name: str) -> Strategy:
    """What reads the strategy of a recorded unit: its own record, or that of an arm that others ran.

    Raises DataError where it is module:attribute, and cannot be imported here.
    """
    return find(name) if name in _known or _NAMED.fullmatch(name) else replace(_OUTCOME, name=name)


def whole(strategy: str, parameters: Parameters, name: str) -> int:
    """A parameter that must be a whole number above 0. Raises DataError."""
    value = parameters.get(name)
    if type(value) is not int or value < 1:
        raise DataError(f"{strategy} with {name} {value!r}", "a whole number above 0", f"mend {name}")
    return value


def odd(strategy: str, budget: int, allowed: str) -> DataError:
    """The error that a strategy cannot have a budget."""
    return DataError(f"{strategy} with budget {budget}", allowed, "change budgets, or what they are divided by")


def given(**parameters: Any) -> dict[str, Any]:
    """Those that are not None: the function's own default stands for what a study does not say."""
    return {name: value for name, value in parameters.items() if value is not None}


async def _elsewhere(*_: Any, **__: Any) -> list[Draft]:
    raise NotImplementedError("what others ran is read, not collected")


_OUTCOME = Strategy("outcome", _elsewhere, scales=("samples",), selectors=OUTCOME)


def _imported(name: str) -> Strategy:
    found = imported(name, "strategy")
    if not isinstance(found, Strategy):
        kind = type(found).__name__
        raise DataError(f"strategy {name!r} is a {kind}", "a Strategy record", "make a Strategy of the function")
    return found
