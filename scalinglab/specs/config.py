"""From a Hugging Face ``config.json`` to a ModelSpec: a new family is a row of FAMILIES."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scalinglab.errors import SpecError
from scalinglab.specs.extras import Extras, extras
from scalinglab.specs.families import FAMILIES, family_of
from scalinglab.specs.family import Family
from scalinglab.specs.fields import Fields
from scalinglab.specs.heads import label_head
from scalinglab.specs.layers import Layer, layers
from scalinglab.specs.mixers import bias_of, mixer
from scalinglab.specs.mlps import mlp
from scalinglab.specs.shape import Block, ModelSpec, Shape


def from_config(source: str | Path | Mapping[str, Any], *, name: str | None = None) -> ModelSpec:
    """Read a Hugging Face ``config.json``: a file, a directory that holds one, or its contents as a dict.

    Raises SpecError naming the field that is missing, inconsistent or unknown.
    """
    if isinstance(source, Mapping):
        return _read(source, name or str(source.get("_name_or_path") or "unnamed"))
    path = Path(source)
    path = path / "config.json" if path.is_dir() else path
    default = path.parent.name if path.name == "config.json" else path.stem
    return _read(_load(path), name or default)


def _load(path: Path) -> Mapping[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(
            f"cannot read {path} ({error.strerror})",
            "a Hugging Face config.json",
            "check the path, or see `scalinglab specs` for known names",
        ) from error
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{path} is not JSON", "a Hugging Face config.json", "download it again") from error
    if not isinstance(config, dict):
        raise SpecError(f"{path} holds a {type(config).__name__}", "a JSON object", "download it again")
    return config


def _read(config: Mapping[str, Any], name: str) -> ModelSpec:
    kind = config.get("model_type")
    family = _family(kind, name)
    # A multimodal model nests its language model; its towers take no part in text and are left out.
    family, text = _text(config, family, name) if family.text else (family, config)
    fields = Fields(text, family, name)
    return ModelSpec(
        name=name,
        size=_shape(fields, config),
        family=str(kind),
        max_context=fields.count("max_position_embeddings") if fields.has("max_position_embeddings") else None,
    )


def _family(kind: object, name: str) -> Family:
    family = family_of(kind)
    if family is None:
        raise SpecError(
            f"{name}: model_type is {kind!r}, whose shape is not known",
            f"one of {', '.join(FAMILIES)}",
            "give its number of parameters instead: --spec MODEL=7e9, or active/total: --spec MODEL=3e9/30e9",
        )
    return family


def _text(config: Mapping[str, Any], outer: Family, name: str) -> tuple[Family, Mapping[str, Any]]:
    """The family and the config of the language model inside a multimodal one."""
    text = config.get("text_config") or outer.defaults
    if not isinstance(text, Mapping):
        raise SpecError(f"{name}: text_config is {text!r}", "a JSON object", "mend text_config")
    family = _family(text.get("model_type", outer.text), name)
    family = FAMILIES[outer.text] if family.text else family  # old configs repeat the outer type inside
    tied = config.get("tie_word_embeddings")
    return family, text if tied is None else {"tie_word_embeddings": tied, **text}


def _shape(fields: Fields, config: Mapping[str, Any]) -> Shape:
    family, extra = fields.family, extras(fields)
    hidden, vocab = fields.count("hidden_size"), fields.count("vocab_size")
    blocks = tuple(_block(fields, *each, extra) for each in Counter(layers(fields)).items())
    labels = label_head(config, hidden, fields.name)
    head_bias = vocab if labels is None and bias_of(fields, family.head_bias) else 0
    positions = fields.count("max_position_embeddings") * hidden if family.learned_positions else 0
    return Shape(
        hidden=hidden,
        vocab=vocab,
        blocks=blocks,
        tied=family.ties and fields.flag("tie_word_embeddings"),
        tables=positions + extra.tables,
        stem=extra.stem,
        final_vectors=hidden * (2 if family.layer_norm else 1) + head_bias + extra.vectors,
        labels=labels,
    )


def _block(fields: Fields, layer: Layer, count: int, extra: Extras) -> Block:
    own = fields.within(dict(layer.own))
    before, after = mixer(own, layer), mlp(own, layer)
    norms = own.count("hidden_size") * own.family.norms * (2 if own.family.layer_norm else 1)
    parts = {**before, **after, "vectors": before["vectors"] + after["vectors"] + norms + extra.layer_vectors}
    parts["mlp"] = (*parts.get("mlp", ()), *extra.layer)
    return Block(count=count, **{**parts, "mixing": parts.get("mixing", 0) + extra.mixing})
