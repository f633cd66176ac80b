"""The words of the testbed's rows, a token each, and what a verifier and a reviser need beside them."""

from __future__ import annotations

import re

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from scalinglab.tasks.testbed import FACTS, NUMBERS

PAD, BOS, EOS = "<pad>", "<bos>", "<eos>"
GOOD, BAD = "<good>", "<bad>"
"""What a verifier says after a step: the probability of one against the other is its score."""
ANSWER = "<answer>"
"""Ends an earlier answer in the context of a reviser."""
VOCABULARY = [PAD, BOS, EOS, *"?;.+", GOOD, BAD, ANSWER, "<unused>", *NUMBERS, *FACTS]
_TOKEN = re.compile(r"<[a-z]+>|[a-p]{2}|\d\d|.")
IDS = {token: i for i, token in enumerate(VOCABULARY)}
PAD_ID, BOS_ID, EOS_ID = IDS[PAD], IDS[BOS], IDS[EOS]
GOOD_ID, BAD_ID, ANSWER_ID = IDS[GOOD], IDS[BAD], IDS[ANSWER]
STOP_ID = IDS["."]
STEP_IDS = (IDS[";"], STOP_ID)
"""The marks that end a step; the second ends a solution."""


def encode(text: str) -> list[int]:
    """What the tokenizer makes of a text, without its detour."""
    return [IDS[token] for token in _TOKEN.findall(text)]


def decode(row: list[int]) -> str:
    """The text of a row of tokens, special ones spelled out."""
    return "".join(VOCABULARY[token] for token in row)


def tokenizer_of() -> PreTrainedTokenizerFast:
    """The tokenizer that transformers and vLLM load."""
    inner = Tokenizer(models.WordLevel(dict(IDS), unk_token="<unused>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(_TOKEN.pattern), behavior="isolated")
    inner.decoder = decoders.Fuse()  # no spaces between tokens
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=inner, pad_token=PAD, bos_token=BOS, eos_token=EOS
    )
