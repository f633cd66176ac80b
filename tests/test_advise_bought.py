"""Advice in seconds and dollars: closed forms of a study's own tokens, latency, and what nobody can say."""

import json
import re
from dataclasses import replace

import pytest
from simulated import QUESTION, WRITTEN, record
from test_efforts import SPECS, rates
from typer.testing import CliRunner

from scalinglab import advise as bought
from scalinglab.cli import app
from scalinglab.evidence import open_evidence
from scalinglab.exchange import views
from scalinglab.flops import CONVENTIONS

PAPER = [CONVENTIONS["paper"]]
ONE = bought.Hardware(bought.read_gpus("H100"), batch=8, hourly=3.0)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    evidence = open_evidence(record(tmp_path_factory.mktemp("bought") / "run", problems=16, samples=8))
    (view,), _ = views(evidence, PAPER, bins=1)
    return evidence, view


def way_of(view, *words):
    (line,) = [line for line in view.menu() if all(word in line.label for word in words)]
    return line.way


def counted(tmp_path, small, large, *more):
    """A small model that two samples bring to the large one's half, as counts of a perfect verifier."""
    rows = [f"{small},p{i},8,{1 + i % 4}" for i in range(12)] + [f"{large},p{i},8,{4 + i % 4}" for i in range(12)]
    path = tmp_path / "counts.csv"
    path.write_text("model,problem,n,correct\n" + "\n".join(rows))
    return ["advise", str(path), "--small", small, "--large", large, "--queries", "1e6", "--target", "0.5", *more]


def told(line):
    done = CliRunner().invoke(app, [*line, "--json"])
    assert done.exit_code == 0, done.stderr or done.output
    return json.loads(done.stdout)


def test_work_is_what_the_calls_recorded_in_proportion_and_the_question_is_read_once(study):
    evidence, view = study
    works = bought.Works(view.arms, evidence)
    policy, judge = works.of(way_of(view, "parallel, best-of-n by prm"), 4)
    assert (policy.read, policy.written, policy.depth, policy.width) == (QUESTION, 4 * WRITTEN, WRITTEN, 4)
    assert (policy.prompts, policy.cached, policy.thinking) == (4 * QUESTION, 0, None)
    assert (judge.read, judge.written) == (QUESTION + 4 * WRITTEN, 0)
    (alone,) = works.of(way_of(view, "parallel, majority"), 4)
    assert alone == policy, "a vote takes no verifier"


def test_seconds_and_dollars_of_a_study_are_the_roofline_of_its_own_tokens(study):
    evidence, view = study
    advice = bought.advise(view, queries=1e5, target=0.3)
    (cost,) = bought.costs_on([advice.best], view.arms, evidence, ONE, queries=1e5)
    by_hand = sum(
        part.share * bought.query_seconds(evidence.spec(work.model), ONE.gpus, work, batch=8).gpu
        for part in advice.best.parts
        for work in bought.Works(view.arms, evidence).of(part.way, part.k)
    )
    assert cost.seconds == pytest.approx(by_hand)
    assert cost.days == pytest.approx(1e5 * by_hand / 86400)
    assert cost.dollars == pytest.approx((1e5 * by_hand + advice.best.training / ONE.gpus.gpu.peak) / 1200)
    (many,) = bought.costs_on(
        [advice.best], view.arms, evidence, bought.Hardware(bought.read_gpus("4xH100"), 8, 3.0), queries=1e5
    )
    assert (many.days, many.dollars) == (pytest.approx(cost.days / 4), pytest.approx(cost.dollars))


def test_a_server_bills_what_the_parts_of_a_plan_write_and_read(study):
    evidence, view = study
    advice = bought.advise(view, queries=1e5, target=0.3)
    rates_ = bought.read_prices([f"{name}=1/0.1/5" for name in ("small", "large", "reviser", "prm", "orm")])
    (cost,) = bought.costs_on([advice.best], view.arms, evidence, ONE, queries=1e5, prices=rates_)
    assert advice.best.verifier == ""
    k = sum(part.share * part.k for part in advice.best.parts)
    assert cost.served == pytest.approx(k * (QUESTION + 5 * WRITTEN) / 1e6)
    assert cost.served_total == pytest.approx(1e5 * cost.served)
    assert bought.costs_on([advice.best], view.arms, evidence, ONE, queries=1)[0].served is None


def test_a_limit_of_latency_leaves_what_answers_in_time(study):
    evidence, view = study
    works = bought.Works(view.arms, evidence)
    spec = evidence.spec("small")
    (work,) = works.of(way_of(view, "parallel, majority"), 8)
    once = bought.query_seconds(spec, ONE.gpus, work, batch=4)  # eight samples are two batches of four
    four = bought.query_seconds(spec, ONE.gpus, works.of(way_of(view, "parallel, majority"), 4)[0], batch=4)
    assert once.waited > 1.5 * four.waited
    slow = bought.Hardware(ONE.gpus, batch=4)
    within = bought.waiting(view.arms, evidence, slow, four.waited * 1.01)
    table = bought.offers(view, queries=1e5, within=within)
    votes = table[(table["model"] == "small") & (table["strategy"] == "parallel, majority")]
    assert votes["k"].max() == 4
    assert within.left_out == {}
    found = bought.advise(view, queries=1e5, budget=1e20, within=within)
    for part in found.best.parts:
        waits = bought.costs_on([found.best], view.arms, evidence, slow, queries=1)[0].latency
        assert waits <= within.limit, part


def test_seconds_and_dollars_are_said_in_words(study):
    evidence, view = study
    advice = bought.advise(view, queries=1e5, target=0.3)
    (cost,) = bought.costs_on([advice.best], view.arms, evidence, ONE, queries=1e5)
    known = replace(cost, latency=0.8021, days=1110.4, dollars=427345.0, served_total=7.8e6)
    assert bought.cost_sentences([known]) == (
        "On 1xH100 SXM, at best: an answer takes 0.802 s, all queries take 1,110 days, they and the training cost "
        "427,000 dollars.",
        "A server would ask 7,800,000 dollars for all queries.",
    )
    nothing = replace(cost, latency=None, days=None, dollars=None, served_total=None)
    assert bought.cost_sentences([nothing]) == ()


def test_every_plan_that_is_printed_can_be_run(study):
    _, view = study
    table = view.arms.table
    for target in (0.2, 0.3, 0.35, 0.4, 0.45):
        advice = bought.advise(view, queries=1e5, target=target)
        for option in filter(None, (advice.best, advice.second)):
            assert sum(part.share for part in option.parts) == pytest.approx(1)
            assert all(part.k == int(part.k) and part.way in set(table["way"]) for part in option.parts)
            shares = [float(share) for share in re.findall(r"for ([\d.]+)%", option.plan())]
            assert sum(shares) == pytest.approx(100, abs=1e-9) or len(option.parts) == 1


def test_a_plan_of_efforts_names_them_and_their_depth():
    evidence = open_evidence(rates(), small="thinker", large="large", specs=SPECS)
    (view,), _ = views(evidence, PAPER, bins=1)
    found = bought.advise(view, queries=1e9, target=0.6).best
    assert found.plan() == "effort low for 60% of queries, effort high for 40%"
    works = bought.Works(view.arms, evidence)
    assert [works.of(part.way, part.k)[0].depth for part in found.parts] == [400, 1600]
    prices = bought.read_prices(["thinker=0/0/1"])
    (cost,) = bought.costs_on([found], view.arms, evidence, ONE, queries=1, prices=prices)
    assert cost.served == pytest.approx((0.6 * 400 + 0.4 * 1600) / 1e6), "a server's bill needs no shape"
    assert (cost.seconds, cost.latency) == (None, None)
    assert "only its number of parameters is known" in cost.why


def test_flops_advice_never_waits_for_the_hardware(tmp_path):
    line = counted(tmp_path, "Qwen2.5-7B", "Qwen2.5-72B")
    plain, tiny = told(line), told([*line, "--gpus", "L4"])
    assert tiny["best"] == plain["best"]
    second, small = plain["hardware"][1], plain["hardware"][0]
    assert (second["split"], small["split"]) == ({"Qwen2.5-72B": 2}, {"Qwen2.5-7B": 1})
    assert (tiny["hardware"][1]["seconds"], tiny["hardware"][1]["dollars"]) == (None, None)
    assert "at most 24 GB on 1xL4" in tiny["hardware"][1]["why"]
    shown = CliRunner().invoke(app, [*line, "--gpus", "L4"]).stdout
    assert "Qwen2.5-72B" in shown
    bare = counted(tmp_path, "s", "l", "--spec", "s=1e9@20e9", "--spec", "l=4e9@20e9", "--latency", "5")
    refused = CliRunner().invoke(app, bare)
    assert refused.exit_code == 1
    assert "no way to answer within the limit (s: 1e9: only its number of parameters" in str(refused.exception)


def test_the_page_of_advice_holds_the_figure_and_the_tables(tmp_path):
    line = counted(tmp_path, "Qwen2.5-7B", "Qwen2.5-72B", "--prices", "Qwen2.5-7B=0.1/0.1/0.4")
    written = told([*line, "--out", str(tmp_path / "page")])["files"]
    names = {name.rsplit("/", 1)[1] for name in written}
    assert {"advise.png", "advise.csv", "hardware.csv", "offers.csv", "report.html"} <= names
    assert "no price of Qwen2.5-72B" in (tmp_path / "page" / "hardware.csv").read_text()
    unknown = CliRunner().invoke(app, [*line, "--prices", "gpt=1/1/1"])
    assert "prices of gpt" in str(unknown.exception)
