"""How many answers two workers grade in a second: numbers as in GSM8K, and expressions as in MATH.

pytest tests/benchmarks/test_grading.py --benchmark-enable
"""

import asyncio
from itertools import count

import pytest

from scalinglab.collect import Grader

pytest.importorskip("math_verify")
FRESH = count()
"""Answers graded before are remembered, so each round has answers of its own."""


def numbers(i):
    return str(i), f"{i}.0"


def expressions(i):
    return f"\\frac{{{i}}}{{7}} + \\sqrt{{2}}", f"\\sqrt{{2}} + \\frac{{{2 * i}}}{{14}}"


@pytest.mark.parametrize("kind", [numbers, expressions])
def test_grade_answers(benchmark, kind):
    answers = 4 if benchmark.disabled else 200

    async def grade_all(grader):
        return await asyncio.gather(*(grader.grade(*kind(next(FRESH) + 1)) for _ in range(answers)))

    with Grader(workers=2) as grader:
        asyncio.run(grade_all(grader))
        grades = benchmark(lambda: asyncio.run(grade_all(grader)))
    assert {grade for grade, _ in grades} == {"right"}
    if not benchmark.disabled:
        benchmark.extra_info["grades_per_second"] = answers / benchmark.stats.stats.median
