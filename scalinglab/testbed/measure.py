"""What a testbed's models do on fresh test problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from transformers import LlamaForCausalLM

from scalinglab.curves import Floats, Graded, Pool
from scalinglab.tasks import Problem, extract, grade, problems, split_steps, step_is_right
from scalinglab.testbed.attempts import limit
from scalinglab.testbed.controls import CONTROLS, helper_costs
from scalinglab.testbed.ladder import LOSS_ROWS, validation_loss
from scalinglab.testbed.policy import load_model
from scalinglab.testbed.reviser import revise
from scalinglab.testbed.sampling import sample
from scalinglab.testbed.scales import HELPERS, Scale
from scalinglab.testbed.training import finished, trained_in
from scalinglab.testbed.verifiers import score
from scalinglab.testbed.vocabulary import encode

PARTS = ("small", "large", *HELPERS)
SAMPLES = 128
CHAINS, LENGTH = 8, 8


@dataclass(frozen=True)
class Measured:
    """Everything the criteria judge, a row a problem.

    ratio: of the policies' parameters, large to small. costs: of each helper, what it and its data took, as a
    share of the small policy's pretraining (convention ``exact``). small, large: whether greedy answers are right.
    prm, orm: the small policy's samples with the scores of each verifier's last step.
    step_scores, step_right: per problem, the process verifier's score of every step of its samples, and what
    the exact checker says. chains: right or not, (problems, chains, length).
    """

    drawn: tuple[Problem, ...]
    ratio: float
    costs: dict[str, float]
    small: Floats
    large: Floats
    prm: Pool
    orm: Pool
    step_scores: list[Floats]
    step_right: list[npt.NDArray[np.bool_]]
    chains: npt.NDArray[np.bool_]
    losses: Mapping[str, float] = field(default_factory=dict)


def measure(scale: Scale, folder: str | Path, *, count: int, seed: int) -> Measured:
    """Draw ``count`` test problems of that seed and run every model of the testbed on them.

    128 samples of the small policy at temperature 1, the greedy answers of both, the scores of both verifiers,
    and 8 chains of 8 revisions a problem. Raises DataError where the folder lacks a model.
    """
    models = {name: load_model(Path(folder) / name) for name in PARTS}
    drawn = tuple(islice(problems("test", scale.levels, seed=seed), count))
    questions = [p.question for p in drawn]
    texts = _answers(models["small"], drawn, samples=SAMPLES, seed=seed)
    prm, orm = (score(models[name], questions, texts) for name in ("prm", "orm"))
    chains = revise(models["reviser"], drawn, chains=CHAINS, length=LENGTH, seed=seed)
    small, large = (_right(drawn, _answers(models[n], drawn, temperature=0))[:, 0] for n in ("small", "large"))
    runs = {name: trained_in(Path(folder) / name) for name in PARTS}
    return Measured(
        drawn=drawn,
        ratio=runs["large"].parameters / runs["small"].parameters,
        costs=helper_costs(folder),
        small=small,
        large=large,
        prm=_pool(drawn, texts, prm),
        orm=_pool(drawn, texts, orm),
        step_scores=[np.array([s for steps in scores for s in steps]) for scores in prm],
        step_right=[_checked(p, ts) for p, ts in zip(drawn, texts, strict=True)],
        chains=np.array([_right([p] * CHAINS, cs) for p, cs in zip(drawn, chains, strict=True)], dtype=bool),
        losses=_losses(scale, Path(folder), seed),
    )


def _losses(scale: Scale, folder: Path, seed: int) -> dict[str, float]:
    held_out = list(islice(problems("validation", scale.practised, seed=seed), LOSS_ROWS))
    there = [name for name in ("small", "large", *CONTROLS) if finished(folder / name) is not None]
    return {name: validation_loss(load_model(folder / name), held_out) for name in there}


def _answers(
    model: LlamaForCausalLM, drawn: Sequence[Problem], *, samples: int = 1, temperature: float = 1.0, seed: int = 0
) -> list[list[str]]:
    prompts, limits = [encode(p.question) for p in drawn], [limit(p) for p in drawn]
    return sample(model, prompts, limits=limits, samples=samples, temperature=temperature, seed=seed)


def _right(drawn: Sequence[Problem], texts: Sequence[Sequence[str]]) -> Floats:
    return np.array(
        [[grade(p, t) == "right" for t in ts] for p, ts in zip(drawn, texts, strict=True)], dtype=np.float64
    )


def _pool(
    drawn: Sequence[Problem], texts: Sequence[Sequence[str]], scores: Sequence[Sequence[list[float]]]
) -> Pool:
    right = _right(drawn, texts) > 0
    graded = Graded(
        right,
        np.array([_codes(ts) for ts in texts], dtype=np.int64),
        np.array([[steps[-1] if steps else 0.0 for steps in row] for row in scores]),
    )
    count = np.full(len(drawn), right.shape[1], dtype=np.int64)
    return Pool("small", tuple(p.question for p in drawn), count, right.sum(axis=1, dtype=np.int64), graded)


def _codes(texts: Sequence[str]) -> list[int]:
    """Answers as numbers within the problem, -1 where there is none."""
    known: dict[str, int] = {}
    answers = [extract(text) for text in texts]
    return [-1 if a is None else known.setdefault(a, len(known)) for a in answers]


def _checked(problem: Problem, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
    steps = [split_steps(text) for text in texts]
    return np.array([step_is_right(problem, ss, i) for ss in steps for i in range(len(ss))], dtype=bool)
