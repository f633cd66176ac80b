"""What Gemma 3n and 4 have beside the blocks of other models: per-layer embeddings, and 3n's AltUp and Laurel."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.specs.fields import Fields
from scalinglab.specs.shape import Linear


@dataclass(frozen=True)
class Extras:
    """What stands outside the layers, and what each layer has more.

    tables, vectors, stem: scalars of look-up tables and norms, and matrices, outside the layers.
    layer, layer_vectors, mixing: matrices (counted with the MLP), norms and multiply-adds between activations.
    """

    tables: int = 0
    vectors: int = 0
    stem: tuple[Linear, ...] = ()
    layer: tuple[Linear, ...] = ()
    layer_vectors: int = 0
    mixing: int = 0


def extras(fields: Fields) -> Extras:
    """The extras of a family; empty for all but Gemma 3n and 4."""
    width = fields.count("hidden_size_per_layer_input", 0, least=0) if fields.family.extras else 0
    per_layer = _per_layer(fields, width) if width else Extras()
    return _altup(fields, per_layer) if fields.family.extras == "altup" else per_layer


def _per_layer(fields: Fields, width: int) -> Extras:
    """A table for each layer, and a projection of the token's embedding, gated into every layer."""
    hidden, layers = fields.count("hidden_size"), fields.count("num_hidden_layers")
    return Extras(
        tables=fields.count("vocab_size_per_layer_input") * layers * width,
        vectors=width,
        stem=(Linear(hidden, layers * width),),
        layer=(Linear(hidden, width), Linear(width, hidden)),
        layer_vectors=hidden,
    )


def _altup(fields: Fields, per_layer: Extras) -> Extras:
    """Alternating updates (arXiv 2301.13310) of several copies of the stream, and Laurel (arXiv 2411.07501)."""
    hidden, copies, rank = (fields.count(f) for f in ("hidden_size", "altup_num_inputs", "laurel_rank"))
    router, laurel = Linear(hidden, copies), (Linear(hidden, rank), Linear(rank, hidden))
    return Extras(
        tables=per_layer.tables,
        vectors=per_layer.vectors,
        stem=(*per_layer.stem, Linear(hidden, 2 * (copies - 1) * hidden)),  # into the copies, and out of them
        layer=(*per_layer.layer, *laurel, router, Linear(copies, copies), Linear(copies, copies**2)),
        # The norms of Laurel and of the router, and a scale.
        layer_vectors=per_layer.layer_vectors + 3 * hidden,
        # The copies predict one another, and the router is passed a second time when they are corrected.
        mixing=hidden * copies**2 + router.weights,
    )
