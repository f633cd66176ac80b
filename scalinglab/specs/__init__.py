"""ModelSpec: the size of one LLM from its Hugging Face ``config.json`` or its bare N, and its training tokens."""

from scalinglab.specs.catalogue import COUNTS, Pair, catalogue, find, pairs
from scalinglab.specs.config import from_config
from scalinglab.specs.families import FAMILIES
from scalinglab.specs.parse import parse, read_count
from scalinglab.specs.shape import Block, Count, Linear, ModelSpec, Shape

__all__ = [
    "COUNTS",
    "FAMILIES",
    "Block",
    "Count",
    "Linear",
    "ModelSpec",
    "Pair",
    "Shape",
    "catalogue",
    "find",
    "from_config",
    "pairs",
    "parse",
    "read_count",
]
