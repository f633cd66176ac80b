"""A model as one writes it: WHAT[@TOKENS]."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalinglab.errors import SpecError
from scalinglab.flops import CONVENTIONS, Convention, cost, decode, total, training
from scalinglab.specs import Count, ModelSpec, find, from_config, parse, read_count

CONFIG = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
TWO_N = [name for name, rule in CONVENTIONS.items() if rule.parameters == "total" and rule.attention == "none"]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("300e9", 300 * 10**9),
        ("20B", 20 * 10**9),
        ("2T", 2 * 10**12),
        ("1.4b", 14 * 10**8),
        ("5.7t", 57 * 10**11),
        ("410M", 410 * 10**6),
        ("16k", 16_000),
        ("2.5E+3", 2500),
        ("299892736000", 299_892_736_000),
    ],
)
def test_a_count_is_exact_whatever_its_suffix(text, count):
    assert read_count(text, "tokens") == count
    assert type(read_count(text, "tokens")) is int
    assert parse(f"Pythia-1B@{text}") == replace(find("Pythia-1B"), training_tokens=count)
    assert parse(text) == ModelSpec(text, Count(count, count))


@pytest.mark.parametrize(
    "text", ["", "0", "0.5", "1.5", "-3", "20 B", "20G", "1e-9", "1e999", "nan", "inf", "1,000", "²"]
)
def test_tokens_that_are_no_count_are_refused(text):
    with pytest.raises(SpecError, match=re.escape(f"training tokens {text!r}")):
        parse(f"Pythia-1B@{text}")


def test_a_number_is_a_model_of_which_n_alone_is_known():
    spec = parse("37e9/671e9@14.8T")
    assert spec == ModelSpec("37e9/671e9", Count(671 * 10**9, 37 * 10**9), training_tokens=148 * 10**11)
    with pytest.raises(SpecError, match="only its number of parameters is known"):
        _ = spec.non_embedding


def test_more_active_parameters_than_there_are_is_refused():
    with pytest.raises(SpecError, match="write 37e9/671e9"):
        parse("671e9/37e9")


def test_a_path_is_a_path_whatever_is_in_its_name(tmp_path):
    for name in ("plain", "model@20B", "6e9", "a@b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(CONFIG))
        folder, shape = tmp_path / name, from_config(CONFIG).size
        assert parse(str(folder)).size == parse(str(folder / "config.json")).size == shape
        assert parse(f"{folder}@3B") == replace(parse(str(folder)), training_tokens=3 * 10**9)


@pytest.mark.parametrize("text", ["nonsense", "nonsense@20B", "1e9/2e9/3e9", "1e9/x", "/", ""])
def test_what_names_no_model_is_refused(text):
    with pytest.raises(SpecError, match="no model or file named"):
        parse(text)


# What a bare number prices


@given(active=st.integers(1, 10**12), more=st.integers(0, 10**12), tokens=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_a_bare_number_prices_the_rules_of_2n_with_every_parameter(active, more, tokens):
    spec = ModelSpec("bare", Count(active + more, active))
    for name in TWO_N:
        rule = CONVENTIONS[name]
        assert cost(spec, tokens, context=9, logits=1, convention=rule) == 2 * active * tokens
        assert total(decode(spec, 5, tokens, convention=rule)) == 2 * active * tokens
        assert total(training(spec, tokens, convention=rule)) == 6 * active * tokens


@pytest.mark.parametrize(
    "rule",
    [
        *(CONVENTIONS[name] for name in CONVENTIONS if name not in TWO_N),
        Convention("with attention", attention="causal"),
    ],
    ids=lambda rule: rule.name,
)
def test_other_rules_are_unpriced_by_name(rule):
    with pytest.raises(SpecError) as caught:
        cost(parse("6e9"), 1, convention=rule)
    given, allowed, do = caught.value.args
    assert f"6e9: only its number of parameters is known, and {rule.name!r} counts" in given
    assert "a shape" in allowed
    assert "config.json" in do
