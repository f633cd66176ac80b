"""How large one LLM is: its frozen shape with exact parameter counts, or the bare N where no more is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from scalinglab.errors import SpecError


@dataclass(frozen=True)
class Linear:
    """One weight matrix: every token that passes costs ``2 * inputs * outputs`` FLOPs."""

    inputs: int
    outputs: int
    bias: bool = False

    @property
    def weights(self) -> int:
        return self.inputs * self.outputs

    @property
    def parameters(self) -> int:
        return self.weights + self.bias * self.outputs


@dataclass(frozen=True)
class Block:
    """``count`` identical layers: attention or a recurrence, then an MLP or experts; either may be absent.

    ``projections`` are the mixer's matrices. Attention has ``heads`` with keys of ``qk_dim`` and values of
    ``v_dim`` elements; of latent attention ``absorbed`` gives both dims where heads see the latent vectors.
    ``window`` is the number of positions a token sees, itself included (None: all of them); ``reach`` says which:
    the last ones ("last"), those of its chunk so far ("chunk"), or ones of all ("chosen"), by an ``index`` of so
    many multiply-adds a pair. ``cached`` is the number of elements the KV cache keeps per token and layer,
    ``state`` of those that a recurrence keeps however long the context. ``mixing`` counts a token's
    multiply-adds between activations that grow with no context: those of a recurrence.
    ``vectors`` counts the weights that are no matrix (norms). ``expert`` is one routed expert, of which
    ``experts`` exist and ``active_experts`` serve a token; ``mlp`` serves every token.
    """

    count: int
    projections: tuple[Linear, ...] = ()
    heads: int = 0
    qk_dim: int = 0
    v_dim: int = 0
    cached: int = 0
    window: int | None = None
    vectors: int = 0
    mlp: tuple[Linear, ...] = ()
    router: tuple[Linear, ...] = ()
    expert: tuple[Linear, ...] = ()
    experts: int = 0
    active_experts: int = 0
    reach: Literal["last", "chunk", "chosen"] = "last"
    absorbed: tuple[int, int] | None = None
    index: int = 0
    state: int = 0
    mixing: int = 0

    def parameters(self, *, active: bool = False) -> int:
        """Parameters of one such layer; with ``active``, only the experts that serve a token."""
        served = self.active_experts if active else self.experts
        always = self.projections + self.mlp + self.router
        return parameters(always) + served * parameters(self.expert) + self.vectors

    def kept(self, context: int) -> int:
        """Elements that one such layer keeps of ``context`` tokens: KV cache, and the state of a recurrence."""
        reached = context if self.window is None or self.reach == "chosen" else min(context, self.window)
        return self.cached * reached + self.state


@dataclass(frozen=True)
class Shape:
    """The frozen shape of one decoder-only LLM. Counts are exact numbers of scalars.

    ``embedding`` holds the token table, an untied LM head and ``tables``, the scalars of any further look-up table
    (learned positions, Gemma's of each layer); ``active`` leaves out the experts that do not serve a token.
    ``stem`` holds the matrices that every token passes outside the layers. ``labels`` is what stands in place of
    the LM head: the matrices of a reward model's or classifier's label head, none at all for a bare encoder;
    None: it has its LM head.
    """

    hidden: int
    vocab: int
    blocks: tuple[Block, ...]
    tied: bool
    tables: int = 0
    stem: tuple[Linear, ...] = ()
    final_vectors: int = 0
    labels: tuple[Linear, ...] | None = None

    @property
    def layers(self) -> int:
        return sum(block.count for block in self.blocks)

    @property
    def embedding(self) -> int:
        tables = 1 if self.tied or self.labels is not None else 2
        return self.hidden * self.vocab * tables + self.tables

    @property
    def non_embedding(self) -> int:
        return sum(block.count * block.parameters() for block in self.blocks) + self._rest

    @property
    def active_non_embedding(self) -> int:
        return sum(block.count * block.parameters(active=True) for block in self.blocks) + self._rest

    @property
    def _rest(self) -> int:
        return self.final_vectors + parameters(self.stem) + parameters(self.labels or ())

    @property
    def total(self) -> int:
        return self.embedding + self.non_embedding

    @property
    def active(self) -> int:
        return self.embedding + self.active_non_embedding

    @property
    def head_weights(self) -> int:
        """Weights of the LM head, or of the label head in its place: what one logit, or one score, passes."""
        return self.hidden * self.vocab if self.labels is None else sum(m.weights for m in self.labels)

    @property
    def cached_per_token(self) -> int:
        """Elements of KV cache one token occupies over all layers (multiply by the bytes of the dtype)."""
        return sum(block.count * block.cached for block in self.blocks)


@dataclass(frozen=True)
class Count:
    """All that is known of a model's size is its number of parameters, and of those that serve a token."""

    total: int
    active: int


@dataclass(frozen=True)
class ModelSpec:
    """One LLM: its size, and what it was trained on.

    ``size`` is its Shape, or a bare Count, which prices only the rules of 2N with every parameter.
    ``training_tokens`` (D) and ``training_sequence`` are None where they are not published.
    """

    name: str
    size: Shape | Count
    family: str | None = None
    max_context: int | None = None
    training_tokens: int | None = None
    training_sequence: int | None = None
    series: str | None = None
    source: str | None = None

    @property
    def total(self) -> int:
        return self.size.total

    @property
    def active(self) -> int:
        return self.size.active

    @property
    def shape(self) -> Shape:
        """The shape. Raises SpecError where only the number of parameters is known."""
        if isinstance(self.size, Shape):
            return self.size
        raise SpecError(
            f"{self.name}: only its number of parameters is known",
            "a shape",
            "give a config.json or a catalogue name",
        )

    @property
    def embedding(self) -> int:
        return self.shape.embedding

    @property
    def non_embedding(self) -> int:
        return self.shape.non_embedding

    @property
    def blocks(self) -> tuple[Block, ...]:
        return self.shape.blocks

    @property
    def cached_per_token(self) -> int:
        return self.shape.cached_per_token


def parameters(matrices: Iterable[Linear]) -> int:
    """Scalars in the matrices, biases included."""
    return sum(matrix.parameters for matrix in matrices)
