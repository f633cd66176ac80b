"""What stands on top of a model, from the ``architectures`` of its config: an LM head, a label head, nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scalinglab.errors import SpecError
from scalinglab.specs.shape import Linear

_LM = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel")
_QUESTIONS = "ForQuestionAnswering"
_LABELLED = ("ForSequenceClassification", "ForTokenClassification", _QUESTIONS, "RewardModel")
# Qwen2.5-Math-RM and -PRM: two layers with biases; their code fixes the number of outputs, not the config.
_QWEN_REWARDS = {"Qwen2ForRewardModel": 1, "Qwen2ForProcessRewardModel": 2}


def label_head(config: Mapping[str, Any], hidden: int, name: str) -> tuple[Linear, ...] | None:
    """The matrices in place of the LM head; none for a bare encoder; None for a model with its LM head.

    A config without ``architectures`` is of a causal LM. The classes of transformers give token labels a bias and
    sequence labels none. Raises SpecError for an architecture that says neither.
    """
    architecture = _architecture(config, name)
    if architecture is None or architecture.endswith(_LM):
        return None
    if outputs := _QWEN_REWARDS.get(architecture):
        return (Linear(hidden, hidden, True), Linear(hidden, outputs, True))
    if architecture.endswith(_QUESTIONS):
        return (Linear(hidden, 2, True),)
    if architecture.endswith(_LABELLED):
        return (Linear(hidden, _labels(config, name), architecture.endswith("ForTokenClassification")),)
    if architecture.endswith("Model"):
        return ()
    raise SpecError(
        f"{name}: architectures is {[architecture]!r}",
        f"a class that ends in {', '.join((*_LM, *_LABELLED, 'Model'))}",
        "drop architectures to price it with its LM head",
    )


def _architecture(config: Mapping[str, Any], name: str) -> str | None:
    given = config.get("architectures") or [None]
    if not isinstance(given, list) or not (given[0] is None or isinstance(given[0], str)):
        raise SpecError(f"{name}: architectures is {given!r}", "a list of class names", "mend architectures")
    return given[0]


def _labels(config: Mapping[str, Any], name: str) -> int:
    """As transformers reads it: the size of id2label, else num_labels, else two."""
    if isinstance(names := config.get("id2label"), Mapping):
        return len(names)
    count = config.get("num_labels")
    if count is None:
        return 2
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise SpecError(f"{name}: num_labels is {count!r}", "a whole number >= 1", "mend num_labels")
    return count
