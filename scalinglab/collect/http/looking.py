"""What servers say they are, before anything is asked of their model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from scalinglab.collect.http.asking import Asking
from scalinglab.collect.http.client import AttemptError, dead
from scalinglab.collect.http.profiles import OTHER, Profile, profile_of
from scalinglab.collect.http.servers import Server

_ENGINE = re.compile(r'^vllm:num_requests_running\{[^}]*engine="(\d+)"', re.MULTILINE)
_VERSIONS = {"vllm": "/version", "sglang": "/get_server_info", "ollama": "/api/version", "tgi": "/info"}
_VERSION = re.compile(r"(-\d{4}[\d-]*|:latest)?")


@dataclass(frozen=True)
class Looked:
    """The kind of all servers, what they are in words, and what is to be said of them."""

    profile: Profile
    software: str
    notes: tuple[str, ...] = ()


async def look(asking: Asking, model: str, known: Profile | None) -> Looked:
    """Ask each server which models it has, and which version it is. ``known``: their kind, where that was given.

    One that cannot be reached is left out while there are others. Raises DeadEngineError where none can, one does
    not serve the model, or two are of different kinds.
    """
    looked = [await _one(asking, server, model, known) for server in asking.servers.all]
    found = [one for one, server in zip(looked, asking.servers.all, strict=True) if not server.gone]
    kinds = {one.profile.name for one in found}
    if len(kinds) > 1:
        raise dead(f"{asking.name} on servers of {' and '.join(sorted(kinds))}", "servers of one kind", "name one")
    software = ", ".join(dict.fromkeys(one.software for one in found))
    return Looked(found[0].profile, software, tuple(note for one in found for note in one.notes))


async def replicas_of(asking: Asking) -> set[int]:
    """How many replicas each server runs itself, as vLLM's metrics count them; a router's are not among them."""
    found = set()
    for server in (one for one in asking.servers.all if not one.gone):
        try:
            told = await asking.client.ask("GET", f"{server.url}/metrics")
        except AttemptError:
            return set()
        found.add(len(set(_ENGINE.findall(told.text))) if told.good else 0)
    return found


def named(asked: str, says: str) -> bool:
    """Whether a name is the one that was asked for: itself, without its folder, or with a date (gpt-4o-2024-08-06)
    or ":latest"."""
    return asked.rpartition("/")[2] == says or (
        says.startswith(asked) and _VERSION.fullmatch(says[len(asked) :]) is not None
    )


async def _one(asking: Asking, server: Server, model: str, known: Profile | None) -> Looked:
    listed = _listed(await asking.get(server, "/v1/models"))
    kinds = (profile_of(str(one.get("owned_by")), str(one.get("id"))) for one in listed)
    profile = known or next((kind for kind in kinds if kind is not OTHER), OTHER)
    names = [str(one["id"]) for one in listed if "id" in one]
    has = any(named(model, name) for name in names)
    if names and not has and known is None and profile is not OTHER and not profile.renames:
        raise dead(
            f"{asking.name}: {server.url} serves no model {model!r}",
            f"one of {', '.join(names[:9])}",
            "mend served (or model)",
        )
    path = _VERSIONS.get(profile.name)
    told = None if path is None else await asking.get(server, path)
    version = told.get("version") if isinstance(told, dict) else None
    kind = "an OpenAI-compatible server" if profile is OTHER else profile.name
    notes = (f"{server.url} does not list a model {model!r}",) if names and not has and not profile.renames else ()
    return Looked(profile, f"{kind} {version}" if isinstance(version, str) else kind, notes)


def _listed(document: Any) -> list[dict[str, Any]]:
    data = document.get("data") if isinstance(document, dict) else None
    return [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []
