"""How long pricing recorded calls takes. Ten million of them, prefill and decode, must stay under 2 s:

pytest tests/benchmarks/test_pricing.py --benchmark-enable
"""

import numpy as np

from scalinglab.flops import CONVENTIONS, cost, decode_steps, first_logit
from scalinglab.specs import find

EXACT = CONVENTIONS["exact"]


def price(spec, prompt, generated):
    reading = cost(spec, prompt, logits=first_logit(prompt), convention=EXACT)
    steps = decode_steps(generated, EXACT)
    reading += cost(spec, steps, context=prompt, logits=steps, convention=EXACT)
    return reading


def test_price_ten_million_calls(benchmark):
    calls = 10**4 if benchmark.disabled else 10**7
    draw = np.random.default_rng(0).integers
    prompt, generated = draw(1, 4096, calls), draw(1, 2048, calls)
    spent = benchmark(price, find("Llama-3.1-8B"), prompt, generated)
    assert spent.shape == (calls,)
    assert spent.min() > 0
    if not benchmark.disabled:
        assert benchmark.stats.stats.min < 2
