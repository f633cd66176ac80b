"""One token a character, and the special tokens of the rows, the verifiers and the reviser."""

from __future__ import annotations

import re

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

PAD, BOS, EOS = "<pad>", "<bos>", "<eos>"
GOOD, BAD = "<good>", "<bad>"
"""What a verifier says after a step: the probability of one against the other is its score."""
ANSWER = "<answer>"
"""Ends an earlier answer in the context of a reviser."""
VOCABULARY = [PAD, BOS, EOS, *"0123456789+-*=;?", GOOD, BAD, ANSWER, "<unused>"]
_TOKEN = re.compile("<[a-z]+>|.")
IDS = {token: i for i, token in enumerate(VOCABULARY)}
PAD_ID, BOS_ID, EOS_ID, STEP_ID = IDS[PAD], IDS[BOS], IDS[EOS], IDS[";"]
GOOD_ID, BAD_ID, ANSWER_ID = IDS[GOOD], IDS[BAD], IDS[ANSWER]


def encode(text: str) -> list[int]:
    """What the tokenizer makes of a text, without its detour: one token a character or special token."""
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
