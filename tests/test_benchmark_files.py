"""Benchmark files as they come, good and bad; the texts around a question and within a solution."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalinglab.errors import DataError
from scalinglab.tasks import FORMATS, Format, Item, read_items
from scalinglab.tasks.text import PLACES, extract
from scalinglab.tasks.wording import CHATML, STEPS, split_steps, word

MINE = Format("q", "a", "id")
GOOD = '{"q": "1 + 1?", "a": "2", "id": "one"}'
TEXTS = st.text(st.sampled_from("ab 1:.\n\\{}#Step"), max_size=60)


def write(folder, *lines):
    path = folder / "mine.jsonl"
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines))
    return path


# Files


def test_fields_are_read_by_name_and_others_ignored(tmp_path):
    path = write(tmp_path, GOOD, "", '{"extra": null, "a": " \\\\frac12 ", "q": "Half?", "id": 7}', "")
    assert read_items(path, MINE) == [Item("one", "1 + 1?", "2"), Item("7", "Half?", "\\frac12")]


@pytest.mark.parametrize("number", ["18", "-0.50", "1e3", "123456789012345678901234567890"])
def test_a_number_is_an_answer_as_it_is_written(tmp_path, number):
    path = write(tmp_path, f'{{"q": "?", "a": {number}, "id": "x"}}')
    assert read_items(path, MINE)[0].answer == number


def test_without_an_id_problems_are_named_by_line(tmp_path):
    path = write(tmp_path, GOOD, " ", GOOD)
    assert [item.id for item in read_items(path, Format("q", "a"))] == ["1", "3"]


def test_only_a_newline_ends_a_line_and_marks_of_windows_are_no_matter(tmp_path):
    path = write(
        tmp_path,
        b"\xef\xbb\xbf" + GOOD.encode() + b"\r",
        '{"q": "a\u2028b\x0bc", "a": "d\u0085e", "id": "x"}'.replace("\x0b", "\\u000b"),
    )
    assert [item.question for item in read_items(path, MINE)] == ["1 + 1?", "a\u2028b\x0bc"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{broken", "is not JSON"),
        ('{"q": "?", "a": "1"', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1, 2]", "expected a JSON object"),
        ("null", "expected a JSON object"),
        ('{"q": "?", "id": "x"}', "has no field 'a'; expected it beside q, id"),
        ("{}", "has no field 'q'; expected it beside nothing"),
        ('{"q": "?", "a": "1"}', "has no field 'id'"),
        ('{"q": "?", "a": null, "id": "x"}', "has a None"),
        ('{"q": "?", "a": true, "id": "x"}', "has a True"),
        ('{"q": "?", "a": ["1"], "id": "x"}', "has a ['1']"),
        ('{"q": "?", "a": NaN, "id": "x"}', "has a nan"),
        ('{"q": "  ", "a": "1", "id": "x"}', "has q '  '"),
        ('{"q": "\\ud800", "a": "1", "id": "x"}', "expected text that UTF-8 can hold"),
        (GOOD, "repeats id 'one'"),
        (b'{"q": "\xff", "a": "1", "id": "x"}', "is not UTF-8"),
    ],
)
def test_a_bad_line_is_named_in_one_line(tmp_path, line, said):
    path = write(tmp_path, GOOD, "", line)
    with pytest.raises(DataError) as error:
        read_items(path, MINE)
    assert str(error.value).startswith(f"{path}, line 3 ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300 + len(str(path))


@pytest.mark.parametrize("text", ["", "\n \n", "\ufeff"])
def test_an_empty_file_is_named(tmp_path, text):
    with pytest.raises(DataError, match=r"mine\.jsonl holds no line"):
        read_items(write(tmp_path, text), MINE)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_items(tmp_path / "none.jsonl", MINE)
    with pytest.raises(DataError, match="directory"):
        read_items(tmp_path, MINE)


def test_gsm8k_answers_stand_after_the_mark(tmp_path):
    solution = "She has 16 - 3 - 4 = <<16-3-4=9>>9 eggs.\nShe makes 9 * 2 = $<<9*2=18>>18.\n#### 1,018"
    path = write(tmp_path, json.dumps({"question": "How many?", "answer": solution}))
    assert read_items(path, FORMATS["gsm8k"]) == [Item("1", "How many?", "1,018")]
    path = write(tmp_path, json.dumps({"question": "How many?", "answer": "18"}))
    with pytest.raises(DataError, match=r"line 1 has no final answer in 'answer'.*marked as hash"):
        read_items(path, FORMATS["gsm8k"])


def test_math_answers_stand_by_themselves(tmp_path):
    line = {"problem": "?", "solution": "So \\boxed{2}.", "answer": "\\frac{14}{3}", "unique_id": "test/1.json"}
    assert read_items(write(tmp_path, json.dumps(line)), FORMATS["math"]) == [
        Item("test/1.json", "?", "\\frac{14}{3}")
    ]
    boxed = Format("problem", "solution", places=("boxed",))
    assert read_items(write(tmp_path, json.dumps(line)), boxed)[0].answer == "2"


def test_the_benchmarks_themselves(shared_data):
    gsm8k = read_items(shared_data("gsm8k/test.jsonl"), FORMATS["gsm8k"])
    assert len(gsm8k) == 1319
    assert (gsm8k[0].id, gsm8k[0].answer) == ("1", "18")
    assert all(item.answer.removeprefix("-").replace(",", "").replace(".", "").isdigit() for item in gsm8k)
    math = read_items(shared_data("math500/math500.jsonl"), FORMATS["math"])
    assert len(math) == 500
    assert math[0].answer == "\\left( 3, \\frac{\\pi}{2} \\right)"


def test_every_reference_solution_of_math_ends_in_its_answer(shared_data):
    path = shared_data("math500/math500.jsonl")
    answers = read_items(path, FORMATS["math"])
    solutions = read_items(path, Format("problem", "solution", "unique_id", places=("boxed",)))
    differ = [one.id for one, other in zip(answers, solutions, strict=True) if one.answer != other.answer]
    assert len(differ) <= 5


# Steps


@given(TEXTS, st.sampled_from(list(STEPS)))
def test_steps_join_to_the_text_again(text, how):
    steps = split_steps(text, how)
    left = text.removeprefix("".join(steps))
    assert text == "".join(steps) + left
    assert left.strip() in ("", "Step") if how == "numbered" else not left.strip()
    assert all(step.strip() for step in steps)


@given(TEXTS, TEXTS, st.sampled_from(["line", "paragraph"]))
def test_a_finished_step_stays_as_it_is_when_more_is_written(text, more, how):
    text += STEPS[how].delimiter
    steps = split_steps(text, how)
    longer = split_steps(text + more, how)
    assert [step.strip() for step in longer[: len(steps)]] == [step.strip() for step in steps]


@pytest.mark.parametrize(
    ("how", "text", "steps"),
    [
        ("line", "a\nb\n\nc", ["a\n", "b\n\n", "c"]),
        ("line", "\n a", ["\n a"]),
        ("paragraph", "a\nb\n\n\nc\n", ["a\nb\n\n\n", "c\n"]),
        ("paragraph", "a\n\n", ["a\n\n"]),
        ("numbered", "Plan.\nStep 1: a\nb\nStep 2: c", ["Plan.", "\nStep 1: a\nb", "\nStep 2: c"]),
        ("numbered", "Step 1: a\nStep ", ["Step 1: a"]),
        ("numbered", "Step 1: a\nStep by step", ["Step 1: a\nStep by step"]),
        ("line", " \n ", []),
        ("line", "", []),
    ],
)
def test_steps_by_hand(how, text, steps):
    assert split_steps(text, how) == steps


def test_an_unknown_way_to_split_is_named():
    with pytest.raises(DataError, match="steps 'word'; expected one of line, paragraph, numbered"):
        split_steps("a", "word")


# Answers


@pytest.mark.parametrize(
    ("place", "text", "answer"),
    [
        ("boxed", "So \\boxed{1} or rather \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
        ("boxed", "$\\boxed{\\{1, 2\\}}$", "\\{1, 2\\}"),
        ("boxed", "\\boxed{\\text{Evelyn}}", "\\text{Evelyn}"),
        ("boxed", "\\boxed 9$.", "9"),
        ("boxed", "\\boxed {9}", "9"),
        ("boxed", "\\boxed{9", None),
        ("boxed", "\\boxed{ }", None),
        ("boxed", "\\boxed", None),
        ("boxed", "9", None),
        ("hash", "Text\n#### 18", "18"),
        ("hash", "#### 1\n#### $1,234.50 \nmore", "1,234.50"),
        ("hash", "#### -5.", "-5"),
        ("hash", "####18 eggs", "18"),
        ("hash", "#### 3/4", "3/4"),
        ("hash", "#### x + 1", "x + 1"),
        ("hash", "####", None),
        ("hash", "18", None),
        ("said", "The answer is 3. No: the answer is 4.", "4"),
        ("said", "So, the answer is: 70 cents.", "70"),
        ("said", "**Answer:** $1,234.50", "1,234.50"),
        ("said", "Final Answer: The final answer is $\\frac{1}{2}$. I hope it is correct.", "\\frac{1}{2}"),
        ("said", "the answer is **(3, 4)**.\nDone.", "(3, 4)"),
        ("said", "Answer:\n-2.5", "-2.5"),
        ("said", "The answer isn't clear; 9", None),
        ("said", "answers: 9", None),
        ("said", "So, the final answer is: \\( 3 \\) bolts.", "3"),
        ("said", "Answer: She has to walk 6 miles at 3 miles per hour.", None),
        ("said", "The answer is", None),
        ("number", "It is 1,234.5 in all.", "1,234.5"),
        ("number", "from 3 to 12,34", "34"),
        ("number", "none", None),
    ],
)
def test_answers_by_hand(place, text, answer):
    assert extract(text, [place]) == answer


def test_places_are_tried_in_order_and_none_but_those_named():
    text = "\\boxed{1}\n#### 2\nThe answer is 3, or 4"
    assert [extract(text, [place]) for place in PLACES] == ["1", "2", "3, or 4", "4", text]
    assert extract(text, ["hash", "boxed"]) == "2"
    assert extract("The answer is 3.", ["boxed", "hash"]) is None
    with pytest.raises(DataError, match="answer place 'end'; expected one of boxed, hash, said, number"):
        extract(text, ["end"])


@given(TEXTS)
def test_whatever_is_boxed_in_balanced_braces_comes_out(text):
    inner = "{" + text.replace("{", "").replace("}", "").replace("\\", "") + "}"
    assert extract(f"a \\boxed{{x{inner}}} b", ["boxed"]) == f"x{inner}"


# Prompts


def test_a_template_is_all_that_a_model_reads():
    wording = word("<s>Q: {question}\nA:", None, "line")
    assert wording.asked("1+1?") + wording.rest() == "<s>Q: 1+1?\nA:"
    assert wording.rest(["2", "3 "]).count("An earlier attempt") == 2
    assert wording.rest(["2"]).endswith("2\nA:")


def test_a_question_may_hold_the_placeholders():
    wording = word("{question}!", CHATML, "line")
    asked = wording.asked("{prompt} {question} {attempt}") + wording.rest(["{question}"])
    assert asked.startswith("<|im_start|>user\n{prompt} {question} {attempt}")
    assert asked.endswith("{question}!<|im_end|>\n<|im_start|>assistant\n")


@pytest.mark.parametrize("steps", STEPS)
def test_the_plain_instruction_says_how_steps_and_answers_are_written(steps):
    for chat in (None, CHATML):
        wording = word(None, chat, steps)
        assert STEPS[steps].instruction in wording.before
        assert "\\boxed{}" in wording.before


@pytest.mark.parametrize(
    ("template", "chat"), [("no place", None), ("{question}{question}", None), (None, "user:")]
)
def test_a_template_without_its_placeholder_is_refused(template, chat):
    with pytest.raises(DataError, match=r"expected .* once"):
        word(template, chat, "line")
