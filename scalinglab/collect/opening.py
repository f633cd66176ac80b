"""Open an engine by what a study says of it; the engine's library is imported only here and only then."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from scalinglab.collect.protocol import Api, Engine
from scalinglab.collect.vllm_settings import EngineSettings, device, settings_for
from scalinglab.errors import DataError


@dataclass(frozen=True)
class Served:
    """How a model is reached that servers have.

    urls: of the servers. model: its name to them. api, server, replicas, answers_as, extra: as ``HttpEngine`` has
    them. key: theirs. requests: in flight to one server at a time. timeout: seconds that one answer may take.
    """

    urls: Sequence[str]
    model: str
    api: Api = "completions"
    server: str | None = None
    replicas: int = 1
    answers_as: str | None = None
    extra: Mapping[str, Any] | None = None
    key: str | None = field(default=None, repr=False)
    requests: int = 256
    timeout: float = 600.0


async def open_engine(
    model: str,
    *,
    name: str,
    served: Served | None = None,
    settings: Mapping[str, Any] | None = None,
    pooling: bool = False,
    engines: int = 1,
    tell: Callable[[str], None] | None = None,
) -> Engine:
    """The engine of a model, recorded as ``name``: on servers where it is ``served``, else in this process.

    settings: EngineSettings other than those for the device vLLM finds, ``engines`` of them side by side. tell:
    told in a line what must be said while an engine waits.
    Raises EngineError where it cannot be opened, DataError where its library is not installed.
    """
    if served is not None:
        return _open_http(served, name, tell)
    from scalinglab.collect.vllm_engine import open_vllm

    return await open_vllm(model, name=name, settings=engine_settings(settings or {}, engines), pooling=pooling)


def _open_http(served: Served, name: str, tell: Callable[[str], None] | None) -> Engine:
    try:
        from scalinglab.collect.http.engine import HttpEngine, HttpSettings
    except ImportError as error:
        raise DataError(
            "aiohttp is not installed", "it for a model with url", "pip install 'scalinglab[collect]'"
        ) from error
    return HttpEngine(
        served.urls,
        served.model,
        name=name,
        key=served.key,
        api=served.api,
        server=served.server,
        replicas=served.replicas,
        answers_as=served.answers_as,
        extra=served.extra,
        settings=HttpSettings(timeout=served.timeout, in_flight=served.requests),
        tell=tell,
    )


def engine_settings(given: Mapping[str, Any], engines: int) -> EngineSettings:
    """Those for the device that the installed vLLM was built for, ``engines`` side by side, and what was given."""
    return replace(settings_for(device(), engines=engines), **given)
