"""A family of sizes trained by one recipe, measured each: data for L(N, D) and pass@k(N, D)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import LlamaForCausalLM

from scalinglab.curves import pass_at_k
from scalinglab.errors import DataError
from scalinglab.files import save
from scalinglab.tasks import Problem, grade, problems
from scalinglab.testbed.attempts import limit
from scalinglab.testbed.policy import load_model, solved_rows, train_policy
from scalinglab.testbed.sampling import sample
from scalinglab.testbed.scales import LADDER, Ladder, Shape
from scalinglab.testbed.training import Progress, explained, mean_loss, next_token_loss
from scalinglab.testbed.vocabulary import encode

LOSS_ROWS = 1000
"""Validation problems of a loss."""
_K = (1, 4, 16, 64)


def train_ladder(
    folder: str | Path, *, ladder: Ladder = LADDER, seed: int = 0, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """A row a size, seed and number of tokens: parameters N, tokens D, flops, validation loss, right samples.

    Each is a training of its own, in a folder of its own; a stopped call is gone on with. Losses are nats a token
    of the solution, on ``1000`` validation problems; ``correct`` counts right ones of ``ladder.samples`` samples
    at temperature 1 of each of ``ladder.problems`` test problems. Raises DataError where nothing can be written.
    """
    runs = [(shape, seed) for shape in ladder.shapes]
    runs += [
        (shape, seed + i)
        for i in range(1, ladder.seeds)
        for shape in ladder.shapes
        if shape.hidden in ladder.repeated
    ]
    return [
        _rung(shape, mark, place / f"{mark}", ladder, seed=own, progress=progress)
        for shape, own in runs
        for place in [Path(folder) / f"d{shape.hidden}-seed{own}"]
        for mark in ladder.marks
    ]


def ladder_table(folder: str | Path) -> pd.DataFrame:
    """A trained ladder's rows: model, seed, parameters, tokens, FLOPs, loss and mean pass@k with k = 1, 4, 16, 64.

    Raises DataError where the folder holds no measured model.
    """
    rows = _measured(folder)
    kept = ("model", "seed", "parameters", "non_embedding", "tokens", "flops", "loss", "n", "correct")
    table = pd.DataFrame([{key: row[key] for key in kept} for row in rows])
    for rule in table["flops"].iloc[0]:
        table[f"flops ({rule})"] = [spent[rule] for spent in table["flops"]]
    for k in (k for k in _K if k <= table["n"].min()):
        table[f"pass@{k}"] = [pass_at_k(n, c, k).mean() for n, c in zip(table["n"], table["correct"], strict=True)]
    return table.drop(columns=["flops", "correct"])


def ladder_counts(folder: str | Path) -> pd.DataFrame:
    """The same models as counts (see ``samples.read_counts``): model, problem, n, correct."""
    return pd.DataFrame(
        [
            {"model": f"{row['model']} {row['tokens']} tokens", "problem": i, "n": row["n"], "correct": correct}
            for row in _measured(folder)
            for i, correct in enumerate(row["correct"])
        ]
    )


def _measured(folder: str | Path) -> list[dict[str, Any]]:
    rows = [json.loads(path.read_text()) for path in Path(folder).glob("*/*/measured.json")]
    if not rows:
        raise DataError(
            f"no ladder in {folder}", "a folder of `scalinglab testbed train --scale ladder`", "train it"
        )
    return sorted(rows, key=lambda row: (row["parameters"], row["seed"], row["tokens"]))


def _rung(shape: Shape, tokens: int, folder: Path, ladder: Ladder, *, seed: int, progress: Progress | None) -> Any:
    """One policy, trained and measured, or as an earlier call left it."""
    done = folder / "measured.json"
    if not done.is_file():
        scale = replace(ladder.scale, policy=replace(ladder.scale.policy, tokens=tokens))
        trained = train_policy(scale, shape, folder, seed=seed, progress=progress)
        row = {
            "model": folder.parent.name,
            "parameters": trained.parameters,
            "non_embedding": trained.non_embedding,
            "tokens": trained.tokens,
            "flops": trained.flops,
            "seed": seed,
            **_measure(load_model(folder), ladder, seed),
        }
        with explained(folder):
            save(done, json.dumps(row) + "\n")
    return json.loads(done.read_text())


def _measure(model: LlamaForCausalLM, ladder: Ladder, seed: int) -> dict[str, Any]:
    scale = ladder.scale
    drawn = list(islice(problems("test", scale.levels, seed=seed), ladder.problems))
    texts = sample(
        model,
        [encode(p.question) for p in drawn],
        limits=[limit(p) for p in drawn],
        samples=ladder.samples,
        seed=seed,
    )
    loss = validation_loss(model, list(islice(problems("validation", scale.practised, seed=seed), LOSS_ROWS)))
    correct = [sum(grade(p, t) == "right" for t in ts) for p, ts in zip(drawn, texts, strict=True)]
    return {"loss": loss, "n": ladder.samples, "correct": correct}


@torch.inference_mode()
def validation_loss(model: LlamaForCausalLM, drawn: Sequence[Problem]) -> float:
    """Cross-entropy in nats a solution token (its EOS included)."""
    rows = solved_rows(drawn)
    parts = [rows[i : i + 100] for i in range(0, len(rows), 100)]
    weights = [sum(target >= 0 for _, targets in part for target in targets) for part in parts]
    losses = [float(mean_loss(next_token_loss, model, part)) for part in parts]
    return float(np.average(losses, weights=weights))
