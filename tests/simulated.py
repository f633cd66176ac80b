"""A small study of known truth, recorded as a real one is: a store with its plan beside it."""

import json
from pathlib import Path

import numpy as np

from scalinglab import specs
from scalinglab.samples import Call, RunStore, Solution, Unit

MODELS = {"small": "small", "large": "large", "reviser": "reviser", "prm": "prm", "orm": "orm"}
DATA = Path(specs.__file__).parents[1] / "data" / "testbed" / "base"
JUDGES = {"prm": "prm", "orm": "orm"}
QUESTION, WRITTEN = 20, 30


def solution(rng, chance, at=0, chain=0, *, judges=("prm",)):
    right = rng.random() < chance
    answer = "right" if right else f"wrong {rng.integers(4)}"
    scores = {name: [float(rng.beta(4, 2) if right else rng.beta(2, 4))] for name in judges}
    others = {name: scores[name] for name in judges[1:]}
    grade = "right" if right else "wrong"
    return Solution("t", answer, grade, scores[judges[0]], sample=at, chain=chain, other_scores=others)


def calls(role, model, count, judges):
    made = []
    for i in range(count):
        made.append(Call(role, model, QUESTION, WRITTEN, QUESTION, sample=i, cached_tokens=0))
        made += [
            Call(
                "verifier", JUDGES[j], QUESTION + WRITTEN, 0, QUESTION, scored_tokens=1, sample=i, cached_tokens=0
            )
            for j in judges
        ]
    return made


def cells(samples):
    """Every cell: its unit's fields, how many solutions it has, and who judges them."""
    both = {"samples": samples, "verifier": ["prm", "orm"]}
    yield ("policy", "small", "greedy", {}, 1), 1, ()
    yield ("large", "large", "greedy", {}, 1), 1, ()
    yield ("policy", "small", "parallel", both, samples), samples, ("prm", "orm")
    for beams in (4, 16):
        options = {"beams": beams, "width": 4, "verifier": "prm"}
        yield ("policy", "small", "beam_search", options, beams), beams, ("prm",)
    for length in (1, 4):
        for budget in (4, 16):
            options = {"chains": budget // length, "length": length, "verifier": "orm"}
            yield ("reviser", "reviser", "revisions", options, budget), budget, ("orm",)


def record(folder, *, problems=24, samples=16, seed=0):
    """Write run.sqlite and study.json; return the folder."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    with RunStore(folder / "run.sqlite") as store:
        for i in range(problems):
            ease = rng.beta(1, 1.5)
            chances = {"small": ease, "reviser": ease, "large": ease**0.5}
            for (role, model, strategy, options, budget), count, judges in cells(samples):
                unit = Unit("run", "sums", f"p{i:03d}", role, model, strategy, options, budget)
                length = options.get("length", 1)
                found = [
                    solution(rng, chances[model], at, at // length, judges=judges or ("prm",))
                    for at in range(count)
                ]
                store.append(unit, calls(role, model, count, judges), found)
    (folder / "study.json").write_text(json.dumps(plan(problems)))
    return folder


def plan(problems):
    def model(name):
        at = DATA / MODELS[name]
        manifest = json.loads((at / "manifest.json").read_text())
        config = json.loads((at / "config.json").read_text())
        trained = {"training_tokens": manifest["tokens"], "training_sequence": 64}
        return {"model": f"testbed/base/{name}", "url": [], "spec": config, **trained}

    return {
        "run": "run",
        "task": "sums",
        "problems": [f"p{i:03d}" for i in range(problems)],
        "cells": [],
        "models": {name: model(name) for name in MODELS},
        "verifiers": {"prm": "prm", "orm": "orm"},
    }
