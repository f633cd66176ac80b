"""DataFrames to give to the samples reader, each with what must come out: (rows, right, by problem as right/n)."""

import pandas as pd

PLAIN = pd.DataFrame(
    {"model": ["small"] * 4, "problem": ["p1", "p1", "p2", "p2"], "correct": [True, False, False, True]}
)

FRAMES = {
    "plain": (PLAIN, "import", 4, 2, {"p1": "1/2", "p2": "1/2"}),
    # a filtered frame keeps its old index, with holes and repeats: rows go by position
    "odd_index": (PLAIN.set_axis([7, 7, 0, 3]), "import", 4, 2, {"p1": "1/2", "p2": "1/2"}),
    # categories that no row has are not problems
    "unused_category": (
        PLAIN.assign(problem=pd.Categorical(PLAIN["problem"], categories=["p0", "p1", "p2", "p9"])),
        "import",
        4,
        2,
        {"p1": "1/2", "p2": "1/2"},
    ),
    # nullable boolean: pd.NA is a missing grade; bool(pd.NA) raises
    "nullable": (
        PLAIN.assign(correct=pd.array([True, pd.NA, False, True], dtype="boolean")),
        "flag",
        4,
        2,
        {"p1": "1/2", "p2": "1/2"},
    ),
    # grades and samples as objects: numpy bools, 1.0, None
    "objects": (
        PLAIN.assign(correct=pd.Series([1.0, None, False, True], dtype=object)),
        "flag",
        4,
        2,
        {"p1": "1/2", "p2": "1/2"},
    ),
    # model and problem in the index, as groupby leaves them
    "in_the_index": (PLAIN.set_index(["model", "problem"]), "either", 4, 2, {"p1": "1/2", "p2": "1/2"}),
    # token counts as floats, because one is missing: 30.0 is 30, nan is unknown
    "float_tokens": (
        PLAIN.assign(output_tokens=[30.0, float("nan"), 40.0, 41.0]),
        "flag",
        4,
        2,
        {"p1": "1/2", "p2": "1/2"},
    ),
    "half_a_token": (PLAIN.assign(output_tokens=[30.5, 31.0, 40.0, 41.0]), "refuse", None, None, None),
    "no_rows": (PLAIN.iloc[:0], "refuse", None, None, None),
    "two_columns_correct": (
        pd.concat([PLAIN, PLAIN[["correct"]]], axis=1),
        "refuse",
        None,
        None,
        None,
    ),
}
