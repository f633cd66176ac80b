"""The smallest model that vLLM runs on a CPU, over the testbed's vocabulary."""

from transformers import LlamaConfig

from scalinglab.testbed.vocabulary import BOS_ID, EOS_ID, PAD_ID, VOCABULARY


def config(*, words=None, **options):
    """The smallest shape that vLLM runs on CPU, where heads of 32, 64, 80, ... are known."""
    return LlamaConfig(
        vocab_size=words or len(VOCABULARY),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=512,
        initializer_range=0.3,
        bos_token_id=BOS_ID,
        eos_token_id=EOS_ID,
        pad_token_id=PAD_ID,
        **options,
    )
