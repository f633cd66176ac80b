"""Benchmarks as tasks: graded by math-verify in processes that hang, die, and are never left behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest
from scripted import ScriptedEngine

from scalinglab import collect
from scalinglab.collect import Grader, open_benchmark
from scalinglab.errors import DataError, EngineError
from scalinglab.samples import GRADES, RunStore, Unit
from scalinglab.tasks.wording import CHATML

pytest.importorskip("math_verify")
ROOT = Path(__file__).parents[1]
ENDLESS = "(10^{10^{10}})!"
LINES = [
    {"problem": "One half plus one half?", "answer": "1", "unique_id": "a"},
    {"problem": "Half of one?", "answer": "\\frac{1}{2}", "unique_id": "b"},
]


@pytest.fixture(scope="module")
def grader():
    with Grader() as one:
        yield one


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "math.jsonl"
    path.write_text("\n".join(map(json.dumps, LINES)))
    return path


@pytest.fixture(scope="module")
def task(path):
    task = open_benchmark(path, kind="math")
    yield task
    task.close()


def graded(grader, *pairs):
    async def all_of_them():
        return await asyncio.gather(*(grader.grade(*pair) for pair in pairs))

    return asyncio.run(all_of_them())


def alive(process):
    """Whether a process lives; one that is dead and not yet waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


# Grades


@pytest.mark.parametrize(
    ("gold", "given", "grade", "answer"),
    [
        ("18", "18", "right", "18"),
        ("18", "18.00", "right", "18"),
        ("18", "\\$18", "right", "18"),
        ("1,080", "1080", "right", "1080"),
        ("18", "18\\text{ cm}", "right", "18"),
        ("18", "19", "wrong", "19"),
        ("\\frac{1}{2}", "0.5", "right", "1/2"),
        ("\\frac{1}{2}", "\\dfrac{2}{4}", "right", "1/2"),
        ("(3, \\frac{\\pi}{2})", "\\left(3,\\frac{\\pi}{2}\\right)", "right", "(3, pi/2)"),
        ("(3, 4, 5)", "(4, 3, 5)", "wrong", "(4, 3, 5)"),
        ("3\\sqrt{2}", "\\sqrt{18}", "right", "3*sqrt(2)"),
        ("(x+1)^2", "x^2+2x+1", "right", "x**2 + 2*x + 1"),
        ("\\text{Evelyn}", "Evelyn", "right", "evelyn"),
        ("listen", "silent", "wrong", "silent"),
        ("\\text{(C)}", "C", "right", "c"),
        ("5", "x = 5", "right", "5"),
        ("x = 5", "5", "right", "5"),
        ("18", "?", "unparsed", "?"),
        ("?!", "?!", "right", "?!"),
        ("?!", "18", "error", "18"),
    ],
)
def test_grades_by_hand(grader, gold, given, grade, answer):
    assert graded(grader, (gold, given)) == [(grade, answer)]


def test_matrices_are_compared_too(grader):
    column = "\\begin{pmatrix} 1/5 \\\\ -18/5 \\end{pmatrix}"
    assert graded(grader, (column, column.replace("1/5", "0.2")), (column, column.replace("1/5", "1"))) == [
        ("right", "Matrix([[1/5], [-18/5]])"),
        ("wrong", "Matrix([[1], [-18/5]])"),
    ]


def test_what_computes_without_end_is_an_error_and_the_next_answer_is_graded():
    with Grader(workers=1, limit=3) as grader:
        start = time.monotonic()
        assert graded(grader, ("1", ENDLESS), ("1", "1.0")) == [("error", ENDLESS), ("right", "1")]
        assert time.monotonic() - start < 30
        assert graded(grader, ("1", ENDLESS))[0][0] == "error"


def test_a_worker_that_dies_is_replaced():
    with Grader(workers=1) as grader:
        assert graded(grader, ("1", "1.0")) == [("right", "1")]
        first = grader._workers[0].process.pid
        os.kill(first, signal.SIGKILL)
        assert graded(grader, ("1", "2.0"), ("1", "3.0")) == [("error", "2.0"), ("wrong", "3")]
        assert grader._workers[0].process.pid != first


def test_errors_are_tried_again_and_nothing_else_is():
    with Grader(workers=1) as grader:
        graded(grader, ("1", "1.0"))
        os.kill(grader._workers[0].process.pid, signal.SIGKILL)
        assert graded(grader, ("1", "1.0"), ("1", "2.0")) == [("right", "1"), ("error", "2.0")]
        assert graded(grader, ("1", "2.0")) == [("wrong", "2")]


def test_a_grader_serves_many_at_a_time_and_several_event_loops(grader):
    pairs = [(str(i % 7), str(i)) for i in range(100)]
    for _ in range(2):
        assert [grade for grade, _ in graded(grader, *pairs)] == ["right"] * 7 + ["wrong"] * 93


def test_no_worker_is_left_after_close_even_at_work():
    grader = Grader(workers=2, limit=60)

    async def begin():
        work = [asyncio.ensure_future(grader.grade("1", given)) for given in (ENDLESS, ENDLESS + "!", "2", "3")]
        await asyncio.sleep(0)
        while not all(worker.process for worker in grader._workers):
            await asyncio.sleep(0.05)
        workers = [worker.process.pid for worker in grader._workers]
        grader.close()
        grader.close()
        for one in work:
            one.cancel()
        return workers

    assert not any(map(alive, asyncio.run(begin())))


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_is_left_where_the_collector_is_interrupted_or_killed(sent):
    code = f"""
        import asyncio, sys
        from scalinglab.collect import Grader

        async def main():
            grader = Grader(workers=2, limit=2)
            await asyncio.gather(grader.grade("1", "2.0"), grader.grade("1", "3.0"))
            print(*(worker.process.pid for worker in grader._workers), flush=True)
            await asyncio.gather(*(grader.grade("1", "{ENDLESS}" + "!" * i) for i in range(4)))

        asyncio.run(main())
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        workers = run.stdout.readline().split()
        assert len(workers) == 2
        assert all(map(alive, workers))
        time.sleep(0.3)
        run.send_signal(sent)
        run.wait(timeout=30)
        wait_until(lambda: not any(map(alive, workers)), seconds=10)


def test_a_broken_installation_is_no_grade(monkeypatch, tmp_path):
    (tmp_path / "math_verify.py").write_text("import a_module_that_is_not_there")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with (
        Grader(workers=1) as grader,
        pytest.raises(EngineError, match=r"does not start .*a_module_that_is_not_there"),
    ):
        graded(grader, ("1", "2.0"))


def test_a_missing_installation_is_named_at_once(monkeypatch):
    monkeypatch.setattr("scalinglab.collect.grading.find_spec", lambda _: None)
    with pytest.raises(EngineError, match=r"pip install 'scalinglab\[collect\]'"):
        Grader()


# The task


def test_a_task_reads_its_file_and_words_its_prompts(task):
    assert task.name == "math"
    assert task.delimiters == ("\n\n",)
    problem = task.problems["b"]
    assert (problem.question, problem.answer, problem.max_tokens) == ("Half of one?", "\\frac{1}{2}", 1024)
    assert problem.prompt.endswith("Problem:\nHalf of one?\n\nSolution:\n")
    assert task.verifier_prompt(problem, ["a\n\n", "b"]).text == "Half of one?\n\na\n\nb"


@pytest.mark.parametrize(
    ("text", "steps", "complete"),
    [
        ("So $x = 5$.\n\nThe answer is $\\boxed{5}$.\n\n", "paragraph", True),
        ("So $\\boxed{5}$ is the first.\n\nNow the second.\n\n", "paragraph", False),  # it has gone on since
        ("Put it in \\boxed{}.\n\n", "paragraph", False),
        ("The answer is 5.\n\n", "paragraph", False),  # it may be the answer to a part
        ("#### 2. Simplify\n\n", "paragraph", False),
        ("#### Step 2\n\n", "paragraph", False),
        ("That makes 1,200.\n#### 1,200\n\n", "paragraph", True),
        ("48 / 2 = 24\n#### 24\n", "line", True),
        ("48 / 2 = 24\n", "line", False),
        ("Half of 8 is \\boxed{4}.\nStep ", "numbered", False),
        ("", "paragraph", False),
    ],
)
def test_a_step_that_marks_the_answer_completes_a_solution(task, text, steps, complete):
    assert replace(task, steps=steps).complete(text) is complete
    assert not replace(task, places=("said", "number")).complete(text), "no place where it is marked is looked at"


def test_a_reviser_sees_the_last_four_answers_between_the_question_and_the_solution(task):
    problem = task.problems["a"]
    assert task.revision_prompt(problem, []).text == problem.prompt
    prompt = task.revision_prompt(problem, [f"Attempt{i}. Problem:" for i in range(6)])
    assert problem.prompt.startswith(prompt.question)
    assert prompt.question.endswith(problem.question)
    assert [i for i in range(6) if f"Attempt{i}." in prompt.rest] == [2, 3, 4, 5]
    assert "Problem:" not in prompt.rest
    assert prompt.text.endswith("\n\nSolution:\n")


def test_a_chat_prompt_is_text_around_the_same_question(path):
    task = open_benchmark(path, kind="math", chat=CHATML)
    problem = task.problems["a"]
    assert problem.prompt.startswith("<|im_start|>user\nSolve")
    assert problem.prompt.endswith(f"{problem.question}<|im_end|>\n<|im_start|>assistant\n")
    assert task.revision_prompt(problem, ["2"]).text.endswith("2<|im_end|>\n<|im_start|>assistant\n")
    assert task.ends == ()
    task.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is \\boxed{0.5}.", ("right", "1/2")),
        ("It is \\boxed{2}.\n\nProblem:", ("wrong", "2")),
        ("#### 1/2", ("right", "1/2")),
        ("The answer is 0.5", ("right", "1/2")),
        ("It comes to 0.5", ("unparsed", None)),
        ("", ("unparsed", None)),
    ],
)
def test_a_solution_is_graded_by_its_final_answer(task, text, expected):
    assert asyncio.run(task.grade(task.problems["b"], text)) == expected


def test_the_last_number_counts_only_where_it_is_named(path, task):
    other = open_benchmark(path, kind="math", answers=["boxed", "number"])
    known = replace(other, grader=task.grader)
    assert asyncio.run(known.grade(known.problems["b"], "The answer is 0.5.")) == ("right", "1/2")
    other.close()


def test_a_users_own_fields_and_a_seeded_choice(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": f"{i}?", "target": i, "name": f"n{i}"}) for i in range(20)))
    fields = {"question": "prompt", "answer": "target", "id": "name"}
    one, same, other = (open_benchmark(path, fields=fields, count=5, seed=seed) for seed in (0, 0, 1))
    assert (one.name, len(one.problems)) == ("mine", 5)
    assert list(one.problems) == list(same.problems) != list(other.problems)
    assert list(one.problems) == sorted(one.problems, key=lambda name: int(name[1:]))
    for task in (one, same, other):
        task.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "jsonl"}, "fields none"),
        ({"kind": "jsonl", "fields": {"question": "problem"}}, "jsonl with fields question, answer"),
        ({"kind": "jsonl", "fields": {"question": "problem", "answer": 3}}, "jsonl with fields question, answer"),
        ({"kind": "math", "fields": {"question": "problem", "answer": "answer"}}, "without fields"),
        ({"kind": "mmlu"}, "kind 'mmlu'"),
        ({"kind": "gsm8k"}, "line 1 has no field 'question'"),
        ({"count": 3}, "count is 3; expected 1 to 2"),
        ({"count": 0}, "count is 0"),
        ({"answers": []}, "answers in no place"),
        ({"answers": ["end"]}, "answers in end; expected boxed, hash, said, number"),
        ({"steps": "word"}, "steps 'word'"),
        ({"template": "?"}, "{question} once"),
        ({"max_tokens": 0}, "max_tokens is 0"),
    ],
)
def test_an_option_that_cannot_be_is_named(path, options, said):
    with pytest.raises(DataError) as error:
        open_benchmark(path, **{"kind": "math", **options})
    assert said in str(error.value)


def test_a_benchmark_runs_through_the_collector(tmp_path, task):
    writes = ["So \\boxed{0.5}.", "\\boxed{\\frac{2}{4}}", "\\boxed{1}", "nothing"]
    engine = ScriptedEngine(lambda _, seed: f"First.\n\n{writes[seed % 4]}")
    units = [Unit("run", "math", p, "policy", "small", "parallel", {"samples": 16}, 16) for p in task.problems]

    async def run():
        with RunStore(tmp_path / "run.sqlite") as store:
            await collect.collect(units, {"small": engine}, {}, task, store)
            return store.read().solutions

    solutions = asyncio.run(run())
    assert len(solutions) == 32
    assert set(solutions["grade"]) == {"right", "wrong", "unparsed"} < set(GRADES)
    assert set(solutions["answer"].dropna()) == {"1/2", "1"}


def test_a_chat_template_is_the_tokenizers_own(tmp_path):
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0}, unk_token="?"))
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>")
    tokenizer.save_pretrained(tmp_path / "plain")
    tokenizer.chat_template = (
        "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    tokenizer.save_pretrained(tmp_path / "chat")
    assert collect.chat_template(tmp_path / "chat") == "<s><user>{prompt}<assistant>"
    with pytest.raises(DataError, match=r"the chat template of .*plain cannot be read"):
        collect.chat_template(tmp_path / "plain")
    with pytest.raises(DataError, match=r"the chat template of .*none cannot be read"):
        collect.chat_template(tmp_path / "none")


# Against what others published


def test_reference_solutions_are_graded_right(shared_data):
    for kind, field, name in (
        ("gsm8k", "answer", "gsm8k/test.jsonl"),
        ("math", "solution", "math500/math500.jsonl"),
    ):
        path = shared_data(name)
        solutions = [json.loads(line)[field] for line in path.read_text().splitlines()]
        task = open_benchmark(path, kind=kind)

        async def grades(task=task, solutions=solutions):
            pairs = zip(task.problems.values(), solutions, strict=True)
            return await asyncio.gather(*(task.grade(problem, text) for problem, text in pairs))

        assert [grade for grade, _ in asyncio.run(grades())] == ["right"] * len(solutions)
        task.close()


def test_real_answers_are_graded_as_their_collector_did(shared_data):
    """Skywork / Qwen samples of crucible-ttc (MIT), whose checker misreads \\$460 and a tuple without a box."""
    for kind, name, source in (
        ("gsm8k", "crucible/gsm8k-bestofn.json", "gsm8k/test.jsonl"),
        ("math", "crucible/math500-bestofn-seed0.json", "math500/math500.jsonl"),
    ):
        records = json.loads(shared_data(name).read_text())["records"]
        task = open_benchmark(shared_data(source), kind=kind)
        problem = next(iter(task.problems.values()))
        traces = [(replace(problem, answer=r["gold"]), trace) for r in records for trace in r["traces"]]

        async def grades(task=task, traces=traces):
            return await asyncio.gather(*(task.grade(problem, trace["text"]) for problem, trace in traces))

        found = [grade for grade, _ in asyncio.run(grades())]
        task.close()
        pairs = [(t["correct"], grade, t["text"]) for (_, t), grade in zip(traces, found, strict=True)]
        assert "error" not in found
        assert not [pair for pair in pairs if pair[:2] == (True, "wrong")]
        ours = [text for correct, grade, text in pairs if not correct and grade == "right"]
        assert all("\\$" in text or "\\boxed" not in text for text in ours)
