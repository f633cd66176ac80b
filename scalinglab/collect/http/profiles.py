"""What each kind of server does by itself and may be sent: one record each, so that the next server is one record.

Read from the servers' sources and manuals in November 2026; what a server does not take, it refuses, ignores or
answers with an error, and so only what it is known to take is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

MODEL = "(the model)"
"""An owner: the model itself."""
OURS = (
    "model",
    "prompt",
    "messages",
    "max_tokens",
    "temperature",
    "seed",
    "stop",
    "stream",
    "n",
    "best_of",
    "echo",
)
"""What a request says itself, or would make its answer another's: not for ``extra``."""


@dataclass(frozen=True)
class Profile:
    """One kind of server.

    name: as ``server`` of a study gives it. owners: how its /v1/models says whose the models are ("owned_by");
        ``MODEL``: by the model's own name.
    sampling: sent with each request, so that samples are drawn from the model's own distribution.
    left: what of sampling, or else, cannot be had, in sentences for the reader of the results.
    verbatim: sent with completions, so that prompts are read and texts written with their special tokens.
    tokenize: the key under which its /tokenize takes a text; None: it has no tokenizer to ask.
    begins: whether /tokenize says which special tokens the tokenizer puts before a prompt, and a request whether
        it shall.
    budget: the argument that limits thinking, in tokens; None: there is none.
    scores: whether it gives log-probabilities of tokens that are named by number.
    keeps_stop: whether the stop string that ended a text stays in it. cached: how it is made to report cached
        tokens, where it does not by itself. renames: whether it answers under a name of its own.
    rank: the header that says which of its own replicas shall answer, from 0; None: it chooses.
    """

    name: str
    owners: tuple[str, ...] = ()
    sampling: Mapping[str, Any] = field(default_factory=dict)
    left: tuple[str, ...] = ()
    verbatim: Mapping[str, Any] = field(default_factory=dict)
    tokenize: str | None = None
    begins: bool = False
    budget: str | None = None
    scores: bool = False
    keeps_stop: bool = False
    cached: str = ""
    renames: bool = False
    rank: str | None = None


_NEUTRAL = {"top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
_GGUF = {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0}
_WRITTEN = {"skip_special_tokens": False}
_BOS = "whether the tokenizer's first token is put before a prompt is the server's to decide"
_OWN = "sampling that is not sent (top_p, top_k, min_p, penalties) is the server's own, and unknown"

VLLM = Profile(
    "vllm",
    ("vllm",),
    sampling=_NEUTRAL,
    verbatim=_WRITTEN,
    tokenize="prompt",
    begins=True,
    budget="thinking_token_budget",
    scores=True,
    cached="start it with --enable-prompt-tokens-details",
    rank="X-data-parallel-rank",
)
SGLANG = Profile(
    "sglang",
    ("sglang",),
    sampling=_NEUTRAL,
    left=(_BOS,),
    verbatim=_WRITTEN,
    tokenize="prompt",
    cached="start it with --enable-cache-report",
)
LLAMA_CPP = Profile("llama.cpp", ("llamacpp",), sampling=_GGUF, left=(_BOS,), tokenize="content")
LLAMA_CPP_PYTHON = Profile(
    "llama-cpp-python",
    ("me",),
    sampling=_GGUF,
    left=(_BOS, "it answers one request at a time", "it leaves the end token out of the tokens of an answer"),
)
OLLAMA = Profile(
    "ollama",
    ("library",),
    sampling={"top_p": 1.0},
    left=(
        "top_k 40 and repeat_penalty 1.1, or what its Modelfile says, cannot be set by /v1",
        "a prompt longer than its window is cut without a word",
    ),
)
TGI = Profile("tgi", (MODEL,), left=(_OWN,), keeps_stop=True, renames=True)
LM_STUDIO = Profile(
    "lmstudio",
    ("organization_owner",),
    sampling={"top_p": 1.0, "top_k": 0, "repeat_penalty": 1.0},
    left=(
        "min_p is what the app's settings for the model say",
        "it counts one token too few where max_tokens cut an answer, in some versions",
    ),
)
LITELLM = Profile("litellm", left=(_OWN, 'a finish reason "stop" may stand for any that the proxy does not know'))
OPENAI = Profile("openai", ("system", "openai-internal"))
DEEPSEEK = Profile("deepseek", ("deepseek",), left=("while it thinks, temperature has no effect",))
OPENROUTER = Profile(
    "openrouter",
    left=(_OWN, "the provider may change from answer to answer, unless extra pins it"),
)
OTHER = Profile("other", left=(_OWN,))

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        one.name: one
        for one in (
            VLLM,
            SGLANG,
            LLAMA_CPP,
            LLAMA_CPP_PYTHON,
            OLLAMA,
            TGI,
            LM_STUDIO,
            LITELLM,
            OPENAI,
            DEEPSEEK,
            OPENROUTER,
            OTHER,
        )
    }
)
"""Every kind of server that is known, by name."""


def profile_of(owner: str, model: str) -> Profile:
    """The kind of server whose list of models says that this owner has this model; ``OTHER`` for any unknown."""
    owner = MODEL if owner == model else owner
    return next((one for one in PROFILES.values() if owner in one.owners), OTHER)
