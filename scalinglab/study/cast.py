"""The models of a study: what each is, how it is reached where a server has it, and with which key."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from scalinglab.collect.protocol import Api
from scalinglab.errors import DataError
from scalinglab.samples.document import Table

POLICIES = {"small": "policy", "large": "large", "reviser": "reviser"}
"""The models that solve problems, and the role each is recorded under; prm and orm verify."""
MODELS = (*POLICIES, "prm", "orm")
_SERVED = ("served", "api", "server", "replicas", "answers_as", "extra", "key_env")
_VISIBLE = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class ModelSettings:
    """One model: a path, a Hugging Face name or a shipped testbed model, and how to reach and to price it.

    url: servers that have it; none: this process runs it. served: its name to them, ``model`` where not given.
    api: whether they are asked for completions of a prompt, or for chat in their own template. server: the kind of
    server; None: found out. replicas: copies of it behind each URL. answers_as: the name under which they
    answer, where that is another. extra: what else each request says.
    key_env: the environment variable that holds the servers' key. spec: a config.json or a catalogue name, where
    ``model`` leads to neither.
    """

    name: str
    model: str
    url: tuple[str, ...] = ()
    served: str | None = None
    api: Api = "completions"
    server: str | None = None
    replicas: int = 1
    answers_as: str | None = None
    extra: Mapping[str, Any] | None = None
    key_env: str | None = None
    spec: str | None = None
    training_tokens: int | None = None
    training_sequence: int | None = None


def read_models(table: Table) -> dict[str, ModelSettings]:
    """The models of a study by name. Raises DataError naming the key that is unknown or has a wrong value."""
    found = {name: _model(table.table(name), name) for name in MODELS if name in table.values}
    table.close(also=MODELS)
    asked = {one.api for name, one in found.items() if name in POLICIES}
    if not asked:
        raise table.wrong("models", sorted(found), f"one of {', '.join(POLICIES)} at least")
    if len(asked) > 1:
        raise DataError(
            f"{table.at()}: models that solve problems are asked by {' and '.join(sorted(asked))}",
            "one way for all: what they are told must be the same",
            "give each the same api (a model without url is asked for completions)",
        )
    return found


def _model(table: Table, name: str) -> ModelSettings:
    from scalinglab.collect.http.profiles import OURS
    from scalinglab.study.checked import checked
    from scalinglab.study.written import Model

    given = checked(Model, table).given()
    url = given.pop("url", [])
    found = ModelSettings(name, url=tuple(dict.fromkeys([url] if isinstance(url, str) else url)), **given)
    for one in found.url:
        _check_url(one, table)
    if taken := [key for key in OURS if key in (found.extra or {})]:
        raise table.wrong("extra", found.extra, f"what a request does not say itself, without {', '.join(taken)}")
    stray = next((key for key in _SERVED if key in given and not found.url), None)
    if stray is not None:
        raise table.wrong(stray, given[stray], "it beside url alone: this process runs a model without one")
    return found


def _check_url(url: str, table: Table) -> None:
    """Raises DataError for what is no URL of a server; one that may hold a secret is not shown."""
    if any(mark in url for mark in "@?#"):
        raise DataError(
            f"{table.at('url')}: {table.path('url')} holds a user, a password, a query or a fragment",
            "the address alone, as it is kept with the run",
            'write http://host:port, and name the environment variable of a key: key_env = "NAME"',
        )
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port above 65535, half an IPv6 address
        good = False
    if not good or not _VISIBLE.fullmatch(url):
        raise table.wrong("url", url, "http://host:port, or a list of such")


def key_of(model: ModelSettings) -> str | None:
    """The key of a model's servers, from the environment alone; None where they want none.

    Raises DataError naming the variable, never its value, where it is not set or no header can hold it.
    """
    if model.key_env is None:
        return None
    key = os.environ.get(model.key_env)
    if key is None:
        raise DataError(f"no environment variable {model.key_env}", "the key of the server", "set it")
    if not _VISIBLE.fullmatch(key):
        raise DataError(
            f"the environment variable {model.key_env} is empty, or holds a blank, a line end or another "
            "character that no key has",
            "ASCII letters, digits and marks",
            "set it again, without quotes or a line end",
        )
    return key


def exposed(model: ModelSettings) -> str | None:
    """In words, whom else a model's key is shown to: it goes over plain http to another machine, or by a proxy."""
    for url in model.url if model.key_env is not None else ():
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme == "http" and "http" in getproxies() and not proxy_bypass(host):
            return f"the key in {model.key_env} goes unencrypted to {host} through the proxy of HTTP_PROXY"
        if parts.scheme == "http" and not _loopback(host):
            return f"the key in {model.key_env} goes unencrypted to {host}: https would hide it"
    return None


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
