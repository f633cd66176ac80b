"""ModelSpec: the shape of one LLM from its Hugging Face ``config.json``, and its parameter counts."""

from scalinglab.specs.catalogue import COUNTS, Pair, catalogue, find, pairs
from scalinglab.specs.config import FAMILIES, from_config
from scalinglab.specs.shape import Block, Linear, ModelSpec

__all__ = [
    "COUNTS",
    "FAMILIES",
    "Block",
    "Linear",
    "ModelSpec",
    "Pair",
    "catalogue",
    "find",
    "from_config",
    "pairs",
]
