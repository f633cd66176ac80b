"""Open an engine by what a study says of it; the engine's library is imported only here and only then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from scalinglab.collect.protocol import Engine
from scalinglab.collect.vllm_start import Device, EngineSettings, distribution, settings_for
from scalinglab.errors import DataError


async def open_engine(
    model: str,
    *,
    name: str,
    url: Sequence[str] = (),
    key: str | None = None,
    settings: Mapping[str, Any] | None = None,
    pooling: bool = False,
    engines: int = 1,
) -> Engine:
    """The engine of a model, recorded as ``name``: on servers where there is a ``url``, else in this process.

    settings: EngineSettings other than those for the device vLLM finds, ``engines`` of them side by side.
    Raises EngineError where it cannot be opened, DataError where its library is not installed.
    """
    if url:
        try:
            from scalinglab.collect.http.engine import HttpEngine
        except ImportError as error:
            raise DataError(
                "aiohttp is not installed", "it for a model with url", "pip install 'scalinglab[collect]'"
            ) from error
        return HttpEngine(url, model, name=name, key=key)
    from scalinglab.collect.vllm_engine import open_vllm

    return await open_vllm(model, name=name, settings=_settings(settings or {}, engines), pooling=pooling)


def _settings(given: Mapping[str, Any], engines: int) -> EngineSettings:
    device: Device = "cpu" if "cpu" in distribution() else "gpu"  # vLLM itself decides so
    return replace(settings_for(device, engines=engines), **given)
