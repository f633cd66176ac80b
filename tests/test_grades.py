"""Grades of answers as models write them: reduced from public reports of graders that were wrong about them."""

import asyncio
import time
from itertools import combinations

import pytest

from scalinglab.collect import Grader
from scalinglab.tasks.numbers import number, same_number
from scalinglab.tasks.text import USUAL_PLACES, extract

pytest.importorskip("math_verify")


@pytest.fixture(scope="module")
def grader():
    with Grader(workers=1) as one:
        yield one


def graded(grader, gold, text, *, cut=False):
    return asyncio.run(grader.grade_text(gold, text, USUAL_PLACES, cut=cut))


CASES = [
    # several boxes are one answer: modelscope/evalscope#514, lm-evaluation-harness PR#3644
    ("3,5,7", "The roots are \\(\\boxed{3}\\), \\(\\boxed{5}\\), and \\(\\boxed{7}\\).", "right"),
    ("3,5,7", "So $x=\\boxed{3}$, $x=\\boxed{5}$ or $x=\\boxed{7}$.", "right"),
    ("-2,1", "We get $\\boxed{1}$ and $\\boxed{-2}$.", "right"),
    ("7", "I first had \\boxed{5}. That is wrong. The final answer is \\boxed{7}.", "right"),
    ("7", "\\boxed{5}, no: \\boxed{7}.", "right"),
    ("3,5", "The roots are $\\boxed{3}$, $\\boxed{5}$ and $\\boxed{7}$.", "wrong"),
    ("7", "Either $\\boxed{5}$ or $\\boxed{7}$.", "wrong"),
    ("5", "(a) $\\boxed{3}$, (b) $\\boxed{5}$", "right"),
    # the word \boxed hides no answer: lm-evaluation-harness#3477, hendrycks/math#23
    ("42", "The answer is \\boxed{42}. I have put the final answer in \\boxed as required.", "right"),
    ("42", "The answer is \\boxed{42}.\n\nNote: the final answer is in \\boxed{} as asked.", "right"),
    ("42", "\\boxed{42} (I was asked for \\boxed{...} or \\boxed{answer}.)", "right"),
    ("42", "Mark the solution with \\boxed. The answer is 42.", "right"),
    ("3.14", "\\boxed 3.14", "right"),
    ("2", "\\boxed 2", "right"),
    ("2", "\\boxed 2.", "right"),
    # never a distance: Math-Verify#14
    ("\\frac{1}{2004!}", "So it is $\\boxed{\\frac{1}{2006!}}$.", "wrong"),
    ("\\frac{1}{2^{99}}", "So it is $\\boxed{\\frac{1}{2^{98}}}$.", "wrong"),
    ("\\frac{1}{52!}", "So it is $\\boxed{\\frac{1}{51!}}$.", "wrong"),
    ("1.6\\times10^{-19}", "So it is $\\boxed{9.1\\times 10^{-31}}$.", "wrong"),
    ("1.6\\times10^{-19}", "So it is $\\boxed{1.6\\times 10^{-19}}$.", "right"),
    ("1.6\\times10^{-19}", "So it is $\\boxed{1.6e-19}$.", "right"),
    ("\\frac{1}{2^{99}}", "So it is $\\boxed{2^{-99}}$.", "right"),
    ("\\frac{\\sqrt3}{3}", "So it is $\\boxed{0.5773502691896258}$.", "right"),
    ("\\frac{\\sqrt3}{3}", "So it is $\\boxed{0.577}$.", "wrong"),
    ("e^{-100}", "So it is $\\boxed{e^{-101}}$.", "wrong"),
    ("(0, e^{-100})", "So it is $\\boxed{(0, e^{-101})}$.", "wrong"),
    ("12345.67", "It costs $\\boxed{12345.68}$.", "wrong"),
    ("0.3", "So it is $\\boxed{0.30000000000000004}$.", "right"),
    ("1000001", "So it is $\\boxed{1000002}$.", "wrong"),
    # references that math-verify cannot read: Math-Verify#14, inspect_ai PR#5320
    ("10:00", "So it is $\\boxed{9:30}$.", "wrong"),
    ("10:00", "So it is $\\boxed{10:00}$.", "right"),
    ("2:00 p.m.", "So it is $\\boxed{3:00 p.m.}$.", "wrong"),
    ("2:00 p.m.", "So it is $\\boxed{2:00 a.m.}$.", "wrong"),
    ("10:00\\text{ a.m.}", "So it is $\\boxed{10:00}$.", "right"),
    ("\u65e0\u89e3", "So it is $\\boxed{5}$.", "wrong"),
    ("\u662f", "So it is $\\boxed{\u5426}$.", "wrong"),
    ("\u00bd", "So it is $\\boxed{\\frac12}$.", "right"),
    ("\u221a2", "So it is $\\boxed{\\sqrt2}$.", "right"),
    ("\u221e", "So it is $\\boxed{\\infty}$.", "right"),
    ("2\u00b2", "So it is $\\boxed{4}$.", "right"),
    ("\\frac{1}{6}", "So it is $\\boxed{0.1\\overline{6}}$.", "right"),
    # words around an answer: Math-Verify#76, lm-evaluation-harness#3643
    ("73", "**Answer**: 73", "right"),
    ("73", "**Answer:** 73.", "right"),
    ("73", "Final Answer: **73**", "right"),
    ("73", "The answer is **73** residents.", "right"),
    ("73", "The answer is 73, since 905 - 832 = 73.", "right"),
    ("73", "Answer: 73 (all of them)", "right"),
    ("73", "Therefore, the answer is 73 residents, which completes the count.", "right"),
    ("73", "The answer is therefore 73.", "right"),
    ("73", "The answer is approximately 73.", "right"),
    ("73", "#### **73**", "right"),
    ("73", "#### The answer is 73", "right"),
    ("73", "The answer is 73 and not 20.", "right"),
    ("73", "$\\boxed{\\textbf{73}}$", "right"),
    ("73", "$\\boxed{73 \\text{ residents}}$", "right"),
    ("73", "\\boxed{**73** residents}", "right"),
    ("73", "The answer is:\n\\[\n73\n\\]", "right"),
    ("73", "The answer is 74, since 73 + 1 = 74.", "wrong"),
    ("73", "The answer is not clear to me; maybe look at 73.", "unparsed"),
    ("73", "Is the answer 73? So the answer is 73? No idea.", "unparsed"),
    # groups of digits: lm-evaluation-harness#4038
    ("115000", "So it is $\\boxed{115\\,000}$.", "right"),
    ("115000", "So it is $\\boxed{115 000}$.", "right"),
    ("1 000 000", "So it is $\\boxed{1000000}$.", "right"),
    ("115000", "So it is $\\boxed{115{,}000}$.", "right"),
    ("115000", "So it is $\\boxed{115,\\!000}$.", "right"),
    ("115,000", "So it is $\\boxed{115000}$.", "right"),
    ("115000", "So it is $\\boxed{115\\,001}$.", "wrong"),
    ("115000", "The answer is 115 000 euros.", "right"),
    # mixed numbers in plain text: Math-Verify#34, PR#81
    ("\\frac{5}{4}", "So it is $\\boxed{1 1/4}$.", "right"),
    ("\\frac{9}{4}", "So it is $\\boxed{2 1/4}$.", "right"),
    ("\\frac{9}{4}", "The answer is 2 1/4 cups.", "right"),
    ("\\frac{5}{2}", "So it is $\\boxed{2\\frac{1}{2}}$.", "right"),
    ("\\frac{5}{2}", "So it is $\\boxed{2\u00bd}$.", "right"),
    ("1", "So it is $\\boxed{1 1/4}$.", "wrong"),
    ("10", "So it is $\\boxed{4 10/3}$.", "wrong"),
    ("-\\frac52", "So it is $\\boxed{-2\\frac12}$.", "right"),
]


@pytest.mark.parametrize(("gold", "text", "want"), CASES)
def test_an_answer_is_graded_as_it_is_meant(grader, gold, text, want):
    assert graded(grader, gold, text)[0] == want


@pytest.mark.parametrize(
    ("gold", "text", "want"),
    [
        (
            "12",
            "Case 1: one is odd.\nThen a + b = 7.\nCase 2: both of them are even, which",
            "truncated",
        ),
        ("n+2", "Suppose the answer is related to $n$. Let us try", "truncated"),
        ("40", "Is it 40? Let me check again. If the answer is 38 then", "truncated"),
        ("40", "The answer is 40, or is", "truncated"),
        ("9", "So the total is \\boxed{9}. Let me verify: 4 + 5", "right"),
        ("9", "So \\boxed{9}. Let me write it again: \\boxed{", "right"),
        ("9", "#### 9\nLet me verify", "right"),
        ("9", "#### Step 4: the total of\n", "truncated"),
        ("9", "", "truncated"),
    ],
)
def test_of_a_text_that_was_cut_only_a_marked_answer_counts(grader, gold, text, want):
    grade, answer = graded(grader, gold, text, cut=True)
    assert grade == want
    assert (answer is None) == (want == "truncated")


def test_words_are_no_answer_where_a_text_was_not_cut_either():
    for text in (
        "the answer is related to $n$.",
        "If the answer is 38 then",
        "The answer is that he has to go",
    ):
        assert extract(text, ["said"]) is None


# Votes

ALIKE = [
    ["x=0,1", "0, 1", "1,0", "\\{0,1\\}", "x=0 \\text{ or } x=1", "x = 1, x = 0"],
    ["x=2,3", "\\{3, 2\\}"],
    ["1/3", "\\frac{1}{3}", "0.333333", "0.33333333333", "\\frac26"],
    ["0.3", "\\frac{3}{10}", "0.30", "0.30000000000000004"],
    ["\\sqrt{18}", "3\\sqrt{2}", "4.242640687119285"],
    ["(x+1)^2", "x^2+2x+1"],
    ["x^2+1=0", "2x^2+2=0", "0=x^2+1"],
    ["x>3", "3<x"],
    ["x+1", "f(x)=x+1", "1 + x"],
    ["x=2+3=5", "5", "5 meters", "5\\text{ cm}^2"],
    ["2xy", "2 xy"],
    ["2\\pi", "2pi", "2 \u03c0"],
    ["2\\sqrt3", "2sqrt3", "2*sqrt(3)", "2\u221a3"],
    ["1<2"],
    ["2<1"],
    ["115\\,000", "115,000", "115000"],
    ["\\text{No solution}", "no solution"],
    ["10:00", "\\text{10:00}"],
    ["9:30 p.m.", "9:30 pm"],
    ["50\\%", "50"],
    ["12345.67"],
    ["12345.68"],
    ["\\frac{1}{2004!}"],
    ["\\frac{1}{2006!}"],
    ["\\frac{10000001}{2}"],
    ["\\frac{10000003}{2}"],
    ["x=1, y=2"],
    ["x=2, y=1"],
    ["(1,2)"],
    ["[1,2]"],
    ["listen"],
    ["silent"],
    ["abcd"],
]


def test_equal_answers_vote_together_and_different_ones_never_do(grader):
    written = [{graded(grader, "17", f"\\boxed{{{one}}}") for one in group} for group in ALIKE]
    assert {grade for group in written for grade, _ in group} == {"wrong"}
    assert [len(group) for group in written] == [1] * len(ALIKE)
    for one, other in combinations(written, 2):
        assert not one & other
    assert not {"True", "False"} & {answer for group in written for _, answer in group}


@pytest.mark.parametrize("gold", [group[0] for group in ALIKE if len(group) > 1])
def test_right_answers_are_written_as_the_reference_is_and_others_are_not(grader, gold):
    (group,) = (group for group in ALIKE if group[0] == gold)
    right = {graded(grader, gold, f"\\boxed{{{one}}}") for one in group}
    assert {grade for grade, _ in right} == {"right"}
    assert len(right) == 1
    others = [graded(grader, gold, f"\\boxed{{{other[0]}}}") for other in ALIKE if other is not group]
    assert right.isdisjoint(others)
    assert {answer for _, answer in right}.isdisjoint(answer for grade, answer in others if grade == "wrong")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("18", "18.00", True),
        ("9\\%", "9", True),
        ("9\\%", "0.09", True),
        ("1/3", "0.333333", True),
        ("1/3", "0.3333", False),
        ("2/3", "0.666666", False),
        ("123456.7", "123456.71", True),
        ("0.5", "0.5000001", False),
        ("1e3", None, False),
        ("1/0", None, False),
        ("3+4", None, False),
    ],
)
def test_numbers_are_compared_as_far_as_they_are_written_out(one, other, same):
    if other is None:
        assert number(one) is None
    else:
        assert same_number(number(one), number(other)) == same


@pytest.mark.parametrize(
    "text",
    [
        "\\boxed{" * 20_000,
        "$\\boxed{1}$, " * 20_000,
        "the answer is " * 20_000,
        "is the answer is 3? " * 20_000,
        "the answer is " + "\\(a\\)," * 20_000 + "+",
        "the answer is 3" + " " * 20_000 + "+",
        "the answer is " + "1 000 " * 20_000 + "x",
        "####" * 20_000,
    ],
)
def test_an_endless_text_is_read_in_a_moment(text):
    start = time.perf_counter()
    extract(text, USUAL_PLACES)
    assert time.perf_counter() - start < 5
