"""The fixed parts of a study.toml as they may be written: one record a table. pydantic checks them by it.

What an editor is told (``study.schema``) comes from the same records. What strategies say of themselves is read by
their own records.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model
from pydantic_core import CoreSchema, core_schema

from scalinglab.collect.http.profiles import PROFILES
from scalinglab.collect.protocol import Api
from scalinglab.collect.vllm_settings import EngineSettings
from scalinglab.tasks import Split
from scalinglab.tasks.text import PLACES
from scalinglab.tasks.wording import STEPS

MOST = 2**63 - 1
"""The largest whole number that a store can hold."""
_DRAWN = 1_000_000
"""Problems that are drawn, at most."""


class Among:
    """One of some names."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)

    def __get_pydantic_core_schema__(self, _: Any, __: Any) -> CoreSchema:
        return core_schema.literal_schema(self.names)


def said(words: str) -> Any:
    """What is allowed, in words, where the schema of a type would say it less well."""
    return Field(json_schema_extra={"$comment": words})


def body(value: dict[str, Any]) -> dict[str, Any]:
    """A table that JSON can hold. Raises ValueError for another."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, RecursionError) as error:
        raise ValueError(error) from error
    return value


def some(level: list[int]) -> list[int]:
    """A level of a step at least. Raises ValueError for one of none."""
    if not any(level):
        raise ValueError(level)
    return level


Text = Annotated[str, Field(min_length=1)]
Whole = Annotated[int, Field(ge=1, le=MOST)]
Count = Annotated[int, Field(ge=0, le=MOST)]
Real = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Texts = Annotated[list[Text], Field(min_length=1)]
_Level = Annotated[
    list[Annotated[int, Field(ge=0, le=99)]],
    Field(min_length=2, max_length=2, json_schema_extra={"contains": {"minimum": 1}}),
    AfterValidator(some),
]


class Written(BaseModel):
    """A table; a key that it has not is refused, and nothing is taken for another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)

    def given(self) -> dict[str, Any]:
        """What was written, without what was not."""
        return {key: getattr(self, key) for key in self.model_fields_set}


class Prompt(Written):
    """A verifier's prompt from four strings, in which {question} and {step} stand."""

    question: str = "{question}"
    step: str = "{step}"
    between: str = ""
    end: str = ""


class Top(Written):
    """A study: models, the task that they solve, and the strategies by which they do."""

    name: Text | None = None
    """Of the run, and of its folder where none is given; the file's name where not given."""
    seeds: Annotated[list[Count], Field(min_length=1)] | None = None
    """Each repeats the whole study; 0 where not given."""
    task: dict[str, Any]
    models: dict[str, Any]
    verifiers: dict[str, Any] | None = None
    strategies: Annotated[list[dict[str, Any]], Field(min_length=1), said("tables [[strategies]]")]
    limits: dict[str, Any] | None = None
    engine: dict[str, Any] | None = None


class Limits(Written):
    """[limits]: how much at a time."""

    in_flight: Whole = 64
    """Units of work at a time."""
    problems: Whole | None = None
    """Of the task, the first so many; all where not given."""
    requests: Whole = 256
    """In flight to one server at a time."""
    timeout: Annotated[float, Field(gt=0, lt=1e9), said("a number of seconds above 0")] = 600.0
    """Seconds that one answer of a server may take."""


def _engine() -> type[Written]:
    """[engine], with a key for each of the settings."""
    hints = get_type_hints(EngineSettings)
    keys: Any = {field.name: (hints[field.name] | None, None) for field in fields(EngineSettings)}
    keys["side_by_side"] = (bool, Field(True, description="All models in memory together, or those of a policy."))
    return create_model("Engine", __base__=Written, __doc__="[engine]: what vLLM is told of the machine.", **keys)


Engine = _engine()


class Model(Written):
    """A model, and how to reach and to price it."""

    model: Text
    """A Hugging Face name, a folder beside the study, or testbed/base/small and the like."""
    url: Annotated[Text | Texts | None, said("http://host:port, or a list of such")] = None
    """Servers that have it, such as http://localhost:8000; without them this process runs it."""
    served: Text | None = None
    """Its name to the servers, where that is not ``model``."""
    api: Api = "completions"
    """Whether servers are asked for completions of a prompt, or for chat in their own template."""
    server: Annotated[str, Among(PROFILES)] | None = None
    """The kind of server; found out where not given."""
    replicas: Whole = 1
    """Copies of the model behind each URL."""
    answers_as: Text | None = None
    """The name under which the servers answer, where that is another."""
    extra: Annotated[dict[str, Any], AfterValidator(body), said("a table of what JSON can hold")] | None = None
    """What else each request says."""
    key_env: Text | None = None
    """The environment variable that holds the servers' key."""
    spec: Text | None = None
    """What prices it, where its name leads to nothing: a config.json, or a name of `scalinglab specs`."""
    training_tokens: Whole | None = None
    training_sequence: Whole | None = None


class Testbed(Written):
    """[task]: the facts and sums that the models which come with the package were trained on."""

    kind: Literal["testbed"]
    levels: Annotated[
        list[_Level],
        Field(min_length=1),
        said("a list of [facts, sums], each 0 to 99 and not both 0"),
    ]
    """[facts, sums] of the problems: how many steps must be known, and how many are worked out."""
    count: Annotated[int, Field(ge=1, le=_DRAWN)]
    """Problems."""
    split: Split = "test"
    seed: Count = 0


class Benchmark(Written):
    """[task]: the problems of a JSONL file."""

    kind: Literal["gsm8k", "math", "jsonl"]
    """Whose keys a line has: of GSM8K, of MATH-500, or of ``fields``."""
    path: Text
    """The file, beside the study."""
    fields: dict[str, Any] | None = None
    """The file's keys of question, answer and perhaps id: { question = "prompt", answer = "target" }."""
    name: Text | None = None
    count: Whole | None = None
    """So many problems, drawn by ``seed``; all where not given."""
    seed: Count = 0
    template: Text | None = None
    """The prompt, with {question} in it; a plain instruction where not given."""
    chat: Text | None = None
    """The model whose own chat template is used, or a text with {prompt} in it; completion where not given."""
    steps: Annotated[str, Among(STEPS)] | None = None
    """What a search by a process verifier takes for a step."""
    answers: Annotated[list[Annotated[str, Among(PLACES)]], Field(min_length=1)] | None = None
    """Where an answer is looked for, in this order."""
    grading: Text = "math"
    """math, exact, choice, number; or "module:function"."""
    ends: Texts | None = None
    """What ends a solution, besides the model's own end."""
    max_tokens: Whole = 1024
    """Of a solution."""
    workers: Annotated[int, Field(ge=1, le=1024)] = 2
    """Processes that grade."""
    limit: Real = 10.0
    """Seconds that grading an answer may take."""


class _Reading(Written):
    model: Text
    """Which of the study's models."""
    template: Annotated[str, Among(("task", "math-shepherd", "rlhflow"))] | Prompt | None = None
    """What it is asked: the task's own, another's by name, or your own."""


class Token(_Reading):
    """A verifier that reads a model's probability of a good token against a bad one."""

    kind: Literal["token"] = "token"
    good: Text | None = None
    bad: Text | None = None


class Reward(_Reading):
    """A verifier that reads the rewards of a pooling model."""

    kind: Literal["reward"]
    outcome: bool = False
    """One reward in all, not one a step."""
    logits: bool = False
    """Rewards are not probabilities yet."""
    label: Count | None = None
    """Of a model that rewards several labels, which is the good one, from 0."""


class Judge(Written):
    """A verifier that writes its judgement."""

    kind: Literal["judge"]
    model: Text
    template: Prompt | None = None
    votes: Whole = 1
    temperature: Real = 1.0
    max_tokens: Whole = 512
    pattern: Text | None = None
    """The regular expression that finds the verdict."""
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False), said("the highest number, above 0")] | None = None
    """The highest number, where it gives numbers and no words."""
    good: Text | None = None
    bad: Text | None = None


class Exact(Written):
    """The task's own checker: an oracle."""

    kind: Literal["exact"]


class Noisy(Written):
    """Another verifier's scores, with noise."""

    kind: Literal["noisy"]
    of: Text
    flips: Annotated[float, Field(ge=0, le=1), said("a probability, 0 to 1")]
    """The probability that a score is turned round."""


TASKS: dict[str, type[Written]] = {"testbed": Testbed, **dict.fromkeys(("gsm8k", "math", "jsonl"), Benchmark)}
VERIFIERS: dict[str, type[Written]] = {
    "token": Token,
    "reward": Reward,
    "judge": Judge,
    "exact": Exact,
    "noisy": Noisy,
}
