"""What follows the mixing of tokens in a layer: an MLP, or experts and their router; as the parts of a Block."""

from __future__ import annotations

from scalinglab.specs.fields import Fields
from scalinglab.specs.layers import Layer
from scalinglab.specs.mixers import Parts, bias_of
from scalinglab.specs.shape import Linear


def mlp(fields: Fields, layer: Layer) -> Parts:
    """The parts after the mixer; none where the layer is only a mixer."""
    family = fields.family
    if family.single and layer.kind not in ("mlp", "moe"):
        return {"vectors": 0}
    hidden, bias = fields.count("hidden_size"), bias_of(fields, family.mlp_bias)
    if layer.sparse:
        return _experts(fields, hidden, bias)
    default = 4 * hidden if family.learned_positions else None  # GPT-2's n_inner may be null
    width = fields.count(family.width, default)
    return {"mlp": _feed_forward(hidden, width, family.gated, bias), "vectors": 0}


def _experts(fields: Fields, hidden: int, bias: bool) -> Parts:
    family = fields.family
    experts, active = fields.count("num_experts"), fields.count("num_experts_per_tok")
    if active > experts:
        problem = f"num_experts_per_tok {active} exceeds the {experts} experts"
        raise fields.inconsistent(problem, f"1 to {experts}", "num_experts_per_tok")
    latent, squeeze = hidden, list[Linear]()
    if fields.has("moe_latent_size"):  # Nemotron 3: the experts work in fewer dimensions
        latent = fields.count("moe_latent_size")
        squeeze = [Linear(hidden, latent, bias), Linear(latent, hidden, bias)]
    shared = _feed_forward(hidden, width, family.gated, bias) if (width := _shared(fields)) else ()
    beside = () if family.beside is None else _feed_forward(hidden, fields.count(family.width), family.gated, bias)
    return {
        "mlp": (*shared, *beside, *squeeze, *([Linear(hidden, 1)] if family.shared_gate else [])),
        "router": (Linear(hidden, experts, family.router_bias),),
        "expert": _feed_forward(latent, fields.count(family.expert_width), family.gated, family.expert_bias),
        "experts": experts,
        "active_experts": active,
        "vectors": experts * family.router_vectors + hidden * (family.beside or 0),
    }


def _shared(fields: Fields) -> int:
    """The width of all shared experts together; 0: there are none."""
    shared = fields.family.shared
    if shared.startswith("n_"):
        return fields.count(shared, 0, least=0) * fields.count(fields.family.expert_width)
    return fields.count(shared) if shared else 0


def _feed_forward(hidden: int, width: int, gated: bool, bias: bool) -> tuple[Linear, ...]:
    up = Linear(hidden, width, bias)
    return (*([up] if gated else []), up, Linear(width, hidden, bias))
