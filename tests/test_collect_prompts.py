"""A prompt as its tokenizer reads it, and which replica it goes to: no engine is needed to tell."""

import json
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from scalinglab.collect import open_benchmark
from scalinglab.collect.prompts import Prompts, thought_tokens
from scalinglab.collect.replicas import Replicas

WORDS = ("<bos>", "<eos>", "<lang>", "<unk>", "a", "What", "is", "2", "+", "3", "?")


def tokenizer(single="<bos> $A"):
    """A real tokenizer whose post-processor puts special tokens around a text."""
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = [(word, WORDS.index(word)) for word in WORDS[:3]]
    inner.post_processor = processors.TemplateProcessing(single=single, special_tokens=special)
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<bos>", eos_token="<eos>", unk_token="<unk>")


@pytest.mark.parametrize(
    ("single", "begins"),
    [
        ("$A", ""),
        ("<bos> $A", "<bos>"),
        ("<bos> $A <eos>", "<bos>"),
        ("$A <eos>", ""),
        ("<bos> <lang> $A", "<bos><lang>"),
    ],
)
def test_what_a_tokenizer_puts_before_a_text_is_put_before_a_prompt_and_nothing_after_it(single, begins):
    read = Prompts(tokenizer(single))
    assert read.beginning == begins
    added = [WORDS.index(word) for word in begins.replace("><", "> <").split()]
    assert read.tokens("What is 2") == [*added, 5, 6, 7]
    assert read.tokens("") == added
    assert read.written("What is 2") == [5, 6, 7]


def test_a_prompt_that_begins_so_is_left_as_it_is():
    read = Prompts(tokenizer("<bos> <lang> $A"))
    assert read.tokens("<bos> What") == [0, 5]
    assert read.tokens("<bos> <lang> What") == [0, 2, 5]
    assert read.tokens("What <bos>") == [0, 2, 5, 0]


def test_a_base_model_is_sent_what_its_own_tokenizer_begins_with(tmp_path):
    (tmp_path / "p.jsonl").write_text(json.dumps({"question": "What is 2 + 3 ?", "answer": "so\n#### 5"}) + "\n")
    task = open_benchmark(tmp_path / "p.jsonl", kind="gsm8k")
    (problem,) = task.problems.values()
    task.close()
    own = tokenizer()
    sent = Prompts(own).tokens(problem.prompt)
    assert sent == own(problem.prompt).input_ids
    assert own.convert_ids_to_tokens(sent)[0] == "<bos>"


@pytest.mark.parametrize(
    ("prompt", "written", "thought"),
    [
        ([1, 2], [3, 4], 0),
        ([1, 8], [3, 4, 9, 5], 2),
        ([1, 8], [3, 4], 2),
        ([1, 8, 3, 9], [3, 4], 0),
        ([8, 3, 9, 1, 8], [3, 4, 5], 3),
        ([1], [8, 3, 4, 9, 5, 9], 3),
        ([1], [8, 3, 4], 3),
        ([1], [9, 3], 0),
        ([], [], 0),
    ],
)
def test_thoughts_are_the_tokens_before_the_mark_that_ends_them(prompt, written, thought):
    assert thought_tokens(prompt, written, [8], [9]) == thought

    def double(tokens):
        return [part for one in tokens for part in (one, one + 100)]

    assert thought_tokens(double(prompt), double(written), [8, 108], [9, 109]) == 2 * thought


def test_a_problem_stays_with_a_replica_and_the_least_loaded_takes_the_next():
    replicas = Replicas(3)
    with replicas.serving("a") as first, replicas.serving("b") as second, replicas.serving("a") as again:
        assert (first, second, again) == (0, 1, 0)
        with replicas.serving("c") as third, replicas.serving("") as loose:
            assert (third, loose) == (2, 1)
    with replicas.serving("d") as fourth, replicas.serving("b") as stays:
        assert (fourth, stays) == (0, 1)


def test_a_request_that_fails_is_a_load_no_longer():
    replicas = Replicas(2)
    with pytest.raises(RuntimeError), replicas.serving("a"):
        raise RuntimeError
    with replicas.serving("b") as other, replicas.serving("") as free:
        assert (other, free) == (1, 0)


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcdefghijklm"), max_size=60), st.integers(1, 5), st.booleans())
def test_every_problem_has_one_home_and_the_homes_hold_alike_many(problems, count, together):
    replicas, homes = Replicas(count), {}
    with ExitStack() as stack:
        for problem in problems:
            serving = replicas.serving(problem)
            home = stack.enter_context(serving)
            assert homes.setdefault(problem, home) == home
            if not together:
                stack.close()
    held = [list(homes.values()).count(i) for i in range(count)]
    assert together or max(held) - min(held) <= 1
