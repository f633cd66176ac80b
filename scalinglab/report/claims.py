"""What the shipped evidence on real models says, each claim in words made from its numbers, with its caveat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from scalinglab.evidence import REAL_MODELS, Body, bodies_of
from scalinglab.exchange import CANNOT_PAY, OUTSIDE, PAPER_R, TEST_TIME, Atlas, Charges, atlas
from scalinglab.flops import CONVENTIONS, Convention, with_axes
from scalinglab.report.atlas import affordable, ends, points

DRAWS = 20_000
"""Resamples behind what is said in words: as many as leave the first decimal alone."""
PAPER, PAYS = CONVENTIONS["paper"], CONVENTIONS["small-pays"]
BILLED = with_axes(PAPER, "prompts=per-sample")
_R: float = PAPER_R[1]
_BEST, _TREE, _SAMPLES = "best-of-100, by {}", "tree-of-thoughts", "best of 100 samples by a perfect verifier, cot"
_STEPS = ((0, 2, "up to 2"), (3, 3, "3"), (4, 4, "4"), (5, 99, "5 and more"))
"""Groups of problems by calculation steps of the reference solution."""
_SAID = {
    TEST_TIME: "At equal inference FLOPs it wins",
    CANNOT_PAY: "At equal inference FLOPs it cannot pay for one answer",
    OUTSIDE: "It takes less than it may and does not decidedly win: outside",
}


@dataclass(frozen=True)
class Claim:
    """A gain with its interval (shares), what it costs in a few words, and all of it in sentences."""

    label: str
    gain: float
    low: float
    high: float
    remark: str
    text: str


@dataclass(frozen=True)
class Evidence:
    """The claims that one body of evidence bears, with the atlases that they were read from."""

    body: Body
    atlases: tuple[Atlas, ...]
    claims: tuple[Claim, ...]
    caveats: tuple[str, ...]


def shipped_evidence(
    *, names: Sequence[str] = ("openai-gsm8k", "epoch-otis", "tot-game24"), seed: int = 0
) -> list[Evidence]:
    """The claims of these folders of the shipped evidence, in order."""
    makers = {"openai-gsm8k": _verifier, "epoch-otis": _thinking, "tot-game24": _search}
    return [makers[name](bodies_of([REAL_MODELS / name])[0], seed) for name in names]


def _verifier(body: Body, seed: int) -> Evidence:
    free, pays = (_atlas(body, rule, seed) for rule in (PAPER, PAYS))
    key = ("6b", _BEST.format("6b"), "175b", "greedy")
    row, own = _pair(free, *key), _pair(free, "6b", key[1], "175b", _BEST.format("175b"))
    claims = [
        Claim("6B best of 100 by its verifier\nagainst 175B greedy (GSM8K)", *_gain(row),
              f"{_times(row)} the FLOPs a query;\ncosts no more {affordable(row)} (paper),\n"
              f"{affordable(_pair(pays, *key))} (small-pays)", " ".join(_first(free, pays, key))),
        Claim(f"the same, where the small side pays\nits verifier, at R = {_R:g}", *_at(pays, key),
              f"affords it for {_at_share(pays, key):.0f} % of queries", " ".join(_decides(free, pays, key))),
        Claim("6B best of 100 by its verifier\nagainst 175B best of 100 by its own", *_gain(own),
              f"{_times(own)} the FLOPs a query",
              f"Against 175B with its own verifier, which takes {1 / own['flops_ratio']:.3g} times the FLOPs a "
              f"query, 6B with its verifier {_than(own, 'it')}."),
    ]  # fmt: skip
    caveats = (
        _by_steps(body, key, seed),
        "No tokens were recorded: all answers are taken to be equally long. Nobody is charged fine-tuning or the "
        "training of verifiers; each model is one training run.",
    )
    return Evidence(body, (free, pays), tuple(claims), caveats)


def _first(free: Atlas, pays: Atlas, key: tuple[str, str, str, str]) -> Iterator[str]:
    row, other = _pair(free, *key), _pair(pays, *key)
    yield (
        "OpenAI's 6B model with a verifier (the best of 100 samples) "
        f"{_than(row, 'the 175B model by its greedy answer')} on {row['problems']:,} problems of GSM8K "
        f"({_accuracies(row)})."
    )
    yield (
        f"Over both lifetimes it costs no more {affordable(row)} where the verifier is free (paper), and "
        f"{affordable(other)} where the small side pays it (small-pays)."
    )


def _decides(free: Atlas, pays: Atlas, key: tuple[str, str, str, str]) -> Iterator[str]:
    first, second = (_verdict(found, key) for found in (free, pays))
    same = first["verdict"] == second["verdict"]
    yield (
        f"At R = {_R:g} {'both rules agree' if same else 'the rule decides'}: {first['verdict']} under paper; "
        f"where the small side pays, it affords this for {100 * second['share']:.0f} % of queries, and with its "
        f"greedy answer to the others it {_than(second, '175B', 'difference')}: {second['verdict']}."
    )


def _by_steps(body: Body, key: tuple[str, str, str, str], seed: int) -> str:
    steps = pd.read_csv(REAL_MODELS / "openai-gsm8k" / "problems.csv", dtype={"problem": str})
    told = []
    for low, high, name in _STEPS:
        here = steps.loc[steps["reference_steps"].between(low, high), "problem"]
        row = _pair(_atlas(Body(body.evidence.of_problems(here)), PAPER, seed), *key)
        told.append(f"{name}: {points(row['gain'])} ({ends(row['low'], row['high'])}; {row['problems']} problems)")
    return f"By calculation steps of the reference solution, in points: {', '.join(told)}."


def _thinking(body: Body, seed: int) -> Evidence:
    found = _atlas(body, PAPER, seed)
    large = "mistral-large-2411"
    listed = (
        ("magistral-small-2506", "thinking"),
        ("mistral-small-2503", "no thinking"),
        ("phi-4", "no thinking"),
    )
    claims = [_against(body, found, name, how, large) for name, how in listed]
    caveats = (
        _overall(found),
        f"Sunk where D is not published. {_uncharged(found)} Models differ in data and age.",
    )
    return Evidence(body, (found,), tuple(claims), caveats)


def _against(body: Body, found: Atlas, small: str, how: str, large: str) -> Claim:
    key = (small, "one sample", large, "one sample")
    row, at = _pair(found, *key), _verdict(found, key)
    sizes = [f"{body.evidence.spec(name).active / 1e9:.3g}B" for name in (small, large)]
    free = f" Nobody is charged {body.uncharged[small]}." if small in body.uncharged else ""
    text = (
        f"{small} ({sizes[0]}, {how}) {_than(row, f'{large} ({sizes[1]})')} on {row['problems']} problems of OTIS "
        f"Mock AIME ({_accuracies(row)}), at {_times(row)} its inference FLOPs. {_SAID[str(at['verdict'])]}, "
        f"pretraining sunk.{free} In the unknown, at R = {_R:g}: {at['unknown']}."
    )
    label = f"{small} ({sizes[0]}, {how})\nagainst {large} ({sizes[1]}; OTIS)"
    return Claim(label, *_gain(row), f"{_times(row)} its inference FLOPs; sunk", text)


def _overall(found: Atlas) -> str:
    """Of all pairs with fewer active parameters on the small side: how many are better, and at what."""
    rows = found.pairs[found.pairs["n_ratio"] > 1]
    better, worse = rows["low"] > 0, rows["high"] < 0
    cheap = int((better & (rows["flops_ratio"] < 1)).sum())
    return (
        f"Of {len(rows)} pairs of open models the one with fewer active parameters is better in "
        f"{int(better.sum())} ({cheap} of them at fewer inference FLOPs), worse in {int(worse.sum())} and "
        f"undecided in {int((~better & ~worse).sum())} (95 %, each alone)."
    )


def _uncharged(found: Atlas) -> str:
    names = sorted(
        {str(name).split(":")[0] for row in found.pairs["uncharged"] for name in str(row).split("; ") if name}
    )
    return (
        f"Post-training is unknown and charged to nobody, reinforcement learning of {', '.join(names)} included."
    )


def _search(body: Body, seed: int) -> Evidence:
    free, billed = (_atlas(body, rule, seed) for rule in (PAPER, BILLED))
    claims = []
    for arm, name in ((_TREE, "its chosen answer"), (f"{_TREE}, any of five", "any of its five")):
        key = ("gpt-4", arm, "gpt-4", _SAMPLES)
        row, dear = _pair(free, *key), _pair(billed, *key)
        back = _verdict(billed, (*key[2:], *key[:2]))
        bound = ""
        if back["verdict"] == OUTSIDE and dear["flops_ratio"] > 1:
            bound = (
                " At the tree's cost more than 100 samples could be drawn: "
                f"{_percent(row['large_accuracy'])} is a lower bound for sampling there, {points(row['gain'])} an "
                "upper bound of the gain, and the verdict at equal compute is outside."
            )
        text = (
            f"Tree of thoughts, by {name}, {_than(row, 'the best of 100 samples by a perfect verifier')}, which "
            f"is real here, on {row['problems']} games of 24 ({_accuracies(row)}), at {_times(dear)} its "
            f"FLOPs with prompts as billed and {_times(row)} with prompts free.{bound}"
        )
        label = f"GPT-4, tree of thoughts, {name}\nagainst the best of 100 samples (24)"
        remark = (
            f"{_times(dear)} the FLOPs, {_times(row)} with prompts free;\nan upper bound"
            if bound
            else _times(dear)
        )
        claims.append(Claim(label, *_gain(row), remark, text))
    caveats = ("The size of GPT-4 is not public: only what is free of N is said.",)
    return Evidence(body, (free, billed), tuple(claims), caveats)


def _atlas(body: Body, rule: Convention, seed: int) -> Atlas:
    return atlas(body, Charges(rule), draws=DRAWS, seed=seed)


def _pair(found: Atlas, *key: str) -> pd.Series:
    return _of(found.pairs, key).iloc[0]


def _verdict(found: Atlas, key: tuple[str, str, str, str]) -> pd.Series:
    """What is said of a pair at the middle R, or of one model at equal FLOPs."""
    rows = _of(found.verdicts, key)
    return rows[rows["R"].isna() | (rows["R"] == _R)].iloc[0]


def _of(frame: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    names = ("small", "small_arm", "large", "large_arm")
    return frame[(frame[list(names)] == list(key)).all(axis=1)]


def _gain(row: pd.Series) -> tuple[float, float, float]:
    return float(row["gain"]), float(row["low"]), float(row["high"])


def _at(found: Atlas, key: tuple[str, str, str, str]) -> tuple[float, float, float]:
    row = _verdict(found, key)
    return float(row["difference"]), float(row["low"]), float(row["high"])


def _at_share(found: Atlas, key: tuple[str, str, str, str]) -> float:
    return 100 * float(_verdict(found, key)["share"])


def _than(row: pd.Series, other: str, gain: str = "gain") -> str:
    """Better or worse than another, by so many points, with the interval; or not decided."""
    value, low, high = (float(row[name]) for name in (gain, "low", "high"))
    if low <= 0 <= high:
        return f"is not decidedly better or worse than {other}, {points(value)} points (95 % {ends(low, high)})"
    word, far = ("better", (low, high)) if value > 0 else ("worse", (-high, -low))
    return f"is {100 * abs(value):.1f} points (95 % {ends(*far)}) {word} than {other}"


def _times(row: pd.Series) -> str:
    return f"{row['flops_ratio']:.3g} times"


def _accuracies(row: pd.Series) -> str:
    return f"{_percent(row['small_accuracy'])} against {_percent(row['large_accuracy'])}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
