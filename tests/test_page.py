"""The page in a real browser: it fits a phone and paper, asks for nothing, and recomputes as Python does."""

import asyncio
import json
import re
from itertools import product
from pathlib import Path

import pandas as pd
import pytest
from browser import browser, needs_chromium

from scalinglab.evidence import open_evidence
from scalinglab.exchange import CANNOT_PAY, FIXED, OPTIMAL, OUTSIDE, PAPER_R, choose, compare, what_if
from scalinglab.flops import CONVENTIONS, with_axes
from scalinglab.report import comparison_report
from scalinglab.specs import parse

FIRST = Path(__file__).parent / "data" / "first-study"
NASTY = "<img src=x onerror='hacked=1'><script>hacked=1</script>${hacked=1}</script>\\u003c"
R = (0.002, 0.16, 0.4, 0.79, 5.0, 22.0, 300.0)
PAPER, PAYERS = CONVENTIONS["paper"], ("nobody", "small", "both")

pytestmark = needs_chromium


def made(evidence, folder, *, rule=PAPER, bins=3):
    """A report's folder as ``scalinglab report`` writes it, and the comparison behind it."""
    found = compare(evidence, rules=[rule, CONVENTIONS["small-pays"]], bins=bins)
    asked = what_if(evidence, rule, bins=bins)
    optimal = choose(evidence, rule=rule, bins=bins, view=found.view(rule.name))
    report = comparison_report(found, rule.name, optimal=optimal, evidence=evidence, asked=asked)
    report.write(folder, command=["scalinglab", "report"], seed=0)
    return found


def counted(small, spec):
    """Counts of 32 answers to each of 40 problems, of a small model and a better one."""
    counts = pd.DataFrame([
        {"model": model, "problem": f"p{i:02}", "n": 32, "correct": step * i * 32 // 300}
        for model, step in ((small, 5), ("large", 7))
        for i in range(40)
    ])  # fmt: skip
    return open_evidence(counts, small=small, large="large", specs={small: spec, "large": parse("14e9@20e9")})


@pytest.fixture(scope="module")
def evidence():
    return open_evidence(FIRST)


@pytest.fixture(scope="module")
def study(evidence, tmp_path_factory):
    """A page on a study with three helpers, as it is without the extra "page", and its comparison."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scalinglab.report.what_if.find_spec", lambda _: None)
        return folder / "report.html", made(evidence, folder)


@pytest.fixture(scope="module")
def asked(evidence):
    """What the page of that study recomputes."""
    return what_if(evidence, PAPER, bins=3)


@pytest.fixture(scope="module")
def nasty(tmp_path_factory):
    """A page on models whose names are markup, with the extra "page" where it is installed."""
    folder = tmp_path_factory.mktemp("nasty")
    made(counted(NASTY, parse("1e9@20e9")), folder, bins=2)
    return folder / "report.html"


SAID = "document.getElementById('what_if-verdict').textContent"


def in_browser(task):
    async def run():
        async with browser() as tab:
            return await task(tab)

    return asyncio.run(run())


CHANGED = """for (const one of document.getElementById("what_if-form").elements) {
  if (one.type === "checkbox") one.checked = !one.checked;
  else if (one.type === "select-one") one.selectedIndex = one.length - 1;
  else one.value = 3;
  one.dispatchEvent(new Event("input", {bubbles: true}));
}"""
"""Every control of the what-if at another value."""


def test_a_page_asks_for_nothing_but_itself_and_logs_nothing(study):
    async def look(tab):
        await tab.open(study[0])
        await tab.ask(CHANGED)
        return tab.requested, tab.logged, await tab.ask("document.getElementById('what_if-goal').textContent")

    requested, logged, goal = in_browser(look)
    assert logged == []
    assert {address for address in requested if not address.startswith("data:")} == {study[0].as_uri()}
    assert goal.startswith("For 3.0 %: testbed/base/small reaches it for")


def test_names_that_are_markup_are_text(nasty):
    async def look(tab):
        await tab.open(nasty)
        heading = await tab.ask("document.querySelector('h1').textContent")
        said = await tab.ask(SAID)
        return await tab.ask("typeof hacked"), heading, said, tab.logged, tab.requested

    hacked, heading, said, logged, requested = in_browser(look)
    assert hacked == "undefined"
    assert NASTY in heading
    assert NASTY in said
    assert logged == []
    assert not [address for address in requested if not address.startswith(("data:", "file:"))]


def test_a_script_that_is_not_the_pages_own_does_not_run(study, tmp_path):
    """Were a name ever written unescaped, the page's policy would still hold it."""
    source = study[0].read_text(encoding="utf-8").replace("<main>", "<main><script>hacked = 1</script>", 1)
    (tmp_path / "report.html").write_text(source, encoding="utf-8")

    async def look(tab):
        await tab.open(tmp_path / "report.html")
        return await tab.ask("typeof hacked"), await tab.ask(
            "document.getElementById('what_if-verdict').textContent"
        )

    hacked, said = in_browser(look)
    assert hacked == "undefined"
    assert said.startswith("At R = 0.79")


OVERFLOWING = """[...document.querySelectorAll("body *")].filter(one => !one.parentElement.closest(".scroll, svg")
  && one.getBoundingClientRect().right > innerWidth + 1).map(one => one.outerHTML.slice(0, 80))"""


def test_with_the_extra_page_the_chart_tells_its_points_and_follows_the_form(nasty):
    pytest.importorskip("plotly")
    at = "document.getElementById('what_if-chart').data.at(-1).x[0]"

    async def look(tab):
        await tab.open(nasty)
        before = await tab.ask(at)
        await tab.ask(CHANGED)
        return before, await tab.ask(at), tab.logged

    before, after, logged = in_browser(look)
    assert before != after
    assert logged == []


@pytest.mark.parametrize("width", [400, 1200])
def test_nothing_reaches_beyond_the_window(study, nasty, width):
    async def look(tab):
        found = []
        for path in (study[0], nasty):
            await tab.open(path, width=width)
            await tab.ask("document.querySelectorAll('details').forEach(one => one.open = true)")
            found.append((await tab.ask("document.documentElement.scrollWidth"), await tab.ask(OVERFLOWING)))
        return found

    assert in_browser(look) == [(width, []), (width, [])]


def test_a_study_takes_fewer_than_twelve_sheets_of_paper(study, tmp_path):
    async def look(tab):
        await tab.open(study[0])
        await tab.pdf(tmp_path / "report.pdf")

    in_browser(look)
    assert 3 < len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "report.pdf").read_bytes())) < 12


def test_the_slider_moves_the_verdict_by_keyboard(study):
    async def look(tab):
        await tab.open(study[0])
        await tab.ask("document.getElementById('what_if-slide').focus()")
        told = [await tab.ask(SAID)]
        for key in ("End", "Home"):
            for kind in ("keyDown", "keyUp"):
                await tab.call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                               windowsVirtualKeyCode={"End": 35, "Home": 36}[key])  # fmt: skip
            told.append(await tab.ask(SAID))
        return told

    start, end, home = in_browser(look)
    assert start.startswith("At R = 0.79")
    assert end.startswith("At R = 1000,")
    assert home.startswith("At R = 0.001,")
    assert "outside what was measured" in home or "wins" in home


FAINT = """(() => {
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = one => {
    for (let at = one; at; at = at.parentElement) {
      const found = parts(getComputedStyle(at).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const one of document.querySelectorAll("body *")) {
    if (![...one.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
    if (one.closest("svg, script")) continue;
    const [a, b] = [light(parts(getComputedStyle(one).color)), light(ground(one))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faint.push([one.outerHTML.slice(0, 60), contrast]);
  }
  return faint;
})()"""


def test_text_has_contrast_headings_are_in_order_and_pictures_are_described(study):
    async def look(tab):
        await tab.open(study[0])
        levels = await tab.ask("[...document.querySelectorAll('h1,h2,h3,h4')].map(one => Number(one.tagName[1]))")
        silent = await tab.ask("[...document.images].filter(one => !one.alt).length")
        chart = await tab.ask("document.querySelector('#what_if-chart svg')?.getAttribute('aria-label')")
        unnamed = await tab.ask("[...document.getElementById('what_if-form').elements].filter(one => one.name && "
                                "!one.labels?.length).map(one => one.name)")  # fmt: skip
        return await tab.ask(FAINT), levels, silent, chart, unnamed

    faint, levels, silent, chart, unnamed = in_browser(look)
    assert faint == []
    assert levels[0] == 1
    assert set(levels[1:]) == {2}
    assert silent == 0
    assert unnamed == []
    assert chart.startswith("At R = 0.79")


# The same question asked of both


def read(path, asked, questions):
    """What the page's functions say of each question, of a document as a page has it."""

    async def look(tab):
        await tab.open(path)
        await tab.ask(f"doc = {json.dumps(asked.document())}, 0")
        return [await tab.ask(f"whatIf.{question}") for question in questions]

    return in_browser(look)


def asks(queries_per_r, groups):
    """Every question: rules, sunk or not, strategies, R, groups; as the page takes them."""
    keys = ("group", "verifier", "tuning", "sunk", "strategy", "r")
    for values in product(groups, PAYERS, (True, False), (True, False), (OPTIMAL, FIXED), R):
        ask = dict(zip(keys, values, strict=True))
        yield ask | {"queries": ask["r"] * queries_per_r, "difficulty": ask["verifier"] == "small"}


def exchanged(evidence, bins):
    """What ``compare`` says of each of these questions, by payer, tuning, sunk, strategy, group and R."""
    rules = {}
    for payer, tuning in product(PAYERS, (True, False)):
        difficulty = "difficulty" if payer == "small" else "no-difficulty"
        rule = with_axes(PAPER, f"verifier={payer},{difficulty},{'tuning' if tuning else 'no-tuning'}")
        rules[rule.name] = (rule, payer, tuning)
    found = {}
    for sunk in (True, False):
        asked = [rule for rule, _, _ in rules.values()]
        verdicts = compare(evidence, r=R, rules=asked, bins=bins, sunk=sunk).verdicts
        for row in verdicts[verdicts["strategy"].isin([OPTIMAL, FIXED])].to_dict("records"):
            found[(*rules[row["convention"]][1:], sunk, row["strategy"], row["bin"], row["R"])] = row
    return found


def dear():
    """A small model that was trained on so much that a few queries cannot pay for it."""
    return counted("small", parse("1e9@400e9"))


@pytest.mark.parametrize(
    ("name", "groups", "statuses"),
    [
        ("study", ("all", "1", "3"), {"measured", "lower bound"}),
        ("dear", ("all", "2"), {"measured", "cannot pay"}),
    ],
)
def test_the_page_says_what_exchange_says(evidence, study, asked, name, groups, statuses):
    """Whoever pays for what, at every R, in every group: the same numbers, and what cannot be or is outside."""
    bins = 3
    if name == "dear":
        evidence, bins = dear(), 2
        asked = what_if(evidence, PAPER, bins=bins)
    told = exchanged(evidence, bins)
    every, seen = list(asks(asked.queries_per_r, groups)), set()
    for ask, page in zip(
        every, read(study[0], asked, [f"read(doc, {json.dumps(ask)})" for ask in every]), strict=True
    ):
        row = told[ask["verifier"], ask["tuning"], ask["sunk"], ask["strategy"], ask["group"], ask["r"]]
        seen.add(row["status"])
        assert page["flops"] == pytest.approx(row["flops"], rel=1e-4), (ask, row)
        assert (page["verdict"] == "cannot pay") == (row["verdict"] == CANNOT_PAY), (ask, row)
        if page["verdict"] == "outside" or row["verdict"] == OUTSIDE:  # of a bound only a decided win is said
            assert row["status"] == "lower bound"
        elif page["verdict"] != "cannot pay":
            assert page["difference"] == pytest.approx(row["difference"], abs=2e-4), (ask, row)
            assert page["large"] == pytest.approx(row["large"], abs=1e-6)
    assert seen == statuses


def test_at_the_r_of_the_table_the_page_says_the_row_of_the_table(study, asked):
    path, found = study
    rows = found.verdicts[(found.verdicts["convention"] == "paper") & (found.verdicts["strategy"] == OPTIMAL)]
    rows = rows.to_dict("records")
    plain = {"verifier": "nobody", "difficulty": False, "tuning": False, "sunk": False}
    asks = [plain | {"queries": row["R"] * asked.queries_per_r, "group": row["bin"]} for row in rows]
    assert {row["R"] for row in rows} == set(PAPER_R)
    for page, row in zip(read(path, asked, [f"read(doc, {json.dumps(ask)})" for ask in asks]), rows, strict=True):
        assert page["verdict"] == ("outside" if row["verdict"] == OUTSIDE else row["verdict"])
        if "difference" in page:
            shown = [page[name] for name in ("accuracy", "low", "high")]
            assert shown == pytest.approx([row["small"], row["low"], row["high"]], abs=2e-5)


def test_a_target_is_reached_where_the_engine_reaches_it(evidence, study, asked):
    """At the FLOPs that the page names, the compute-optimal strategy has the accuracy that was asked for."""
    rule = with_axes(PAPER, "verifier=small")
    targets = (0.93, 0.94, 0.9999)
    ask = json.dumps({"queries": asked.queries_per_r, "group": "all", "verifier": "small", "difficulty": False,
                      "tuning": False})  # fmt: skip
    *reached, never = read(study[0], asked, [f"reach(doc, {ask}, {target})" for target in targets])
    (view,) = compare(evidence, r=[1.0], rules=[rule], bins=3).views
    answer = float(view.groups[0].mean_of(view.answered(None)))
    spare = (view.lifetime.large - view.lifetime.small) / view.lifetime.queries_per_r
    r = [spare / (found["small"]["flops"] - answer) for found in reached]
    assert min(r) > 0
    rows = compare(evidence, r=r, rules=[rule], bins=3).verdicts
    rows = rows[(rows["strategy"] == OPTIMAL) & (rows["bin"] == "all")].set_index("R")["small"]
    assert [rows[at] for at in r] == pytest.approx(targets[:2], abs=1e-4)
    assert reached[0]["small"]["lifetime"] < reached[1]["small"]["lifetime"]
    assert never == {"small": None, "large": None}
