import io
import json
import os
import shlex
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import pytest

from scalinglab import __version__, cli
from scalinglab.curves import SELECTORS
from scalinglab.exchange import OUTSIDE, PRETRAINING, TEST_TIME, UNDECIDED, match_ratio, match_specs
from scalinglab.flops import CONVENTIONS, total, training
from scalinglab.samples import Call, RunStore, Solution, Unit, write_jsonl, write_parquet
from scalinglab.specs import catalogue, find, from_config

SMALL, LARGE, JUDGE = "Pythia-2.8B", "Pythia-6.9B", "Pythia-160M"
RIGHT = {"p1": 4, "p2": 3, "p3": 1, "p4": 0}
"""How many of the small model's four samples of each problem of the run are right."""
ACCURACY = {"coverage": 0.75, "majority": 0.5, "best-of-n": 0.75, "weighted": 0.75, "hierarchical": 0.75}
"""With all four samples: on p3 one well-scored right answer stands against three poor wrong ones."""
CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "vocab_size": 100,
    "max_position_embeddings": 128,
}
EXCHANGE = "exchange COUNTS --small Pythia-2.8B --large Pythia-6.9B"
RUN_EXCHANGE = "exchange RUN --small tiny --large big"
RUN_SPECS = f"--spec tiny={SMALL} --spec big={LARGE} --spec judge={JUDGE}"
VERDICT_KEYS = {
    "strategy",
    "bin",
    "R",
    "k",
    "convention",
    "small",
    "large",
    "difference",
    "low",
    "high",
    "verdict",
}
CURVE_KEYS = {"model", "selector", "k", "accuracy", "low", "high", "flops_per_query", "convention", "problems"}
HEAD = "model,problem,n,correct\n"
FULL = Path("/dev/full")


@pytest.fixture(scope="session")
def counts(tmp_path_factory):
    """Forty problems, 80 samples each, of two catalogue models and one unknown one."""
    path = tmp_path_factory.mktemp("counts") / "counts.csv"
    rows = []
    for i in range(40):
        rows += [f"{SMALL},p{i},80,{i}", f"{LARGE},p{i},80,{2 * i}", f"mine,p{i},80,{i // 2}"]
    path.write_text(HEAD + "\n".join(rows) + "\n")
    return path


def parallel(store, problem, right):
    calls, solutions = [], []
    for i in range(4):
        calls.append(Call("policy", "tiny", 20, 10, 20, sample=i))
        calls.append(Call("verifier", "judge", 30, 1, 20, scored_tokens=1, sample=i))
        good = i < right
        answer, grade, scores = ("7", "right", (0.2, 0.9)) if good else ("0", "wrong", (0.9, 0.1))
        solutions.append(Solution("so", answer, grade, scores, sample=i))
    store.append(Unit("run", "math", problem, "policy", "tiny", "parallel", budget=4), calls, solutions)


def greedy(store, problem, right):
    answer, grade = ("7", "right") if right else ("0", "wrong")
    unit = Unit("run", "math", problem, "large", "big", "greedy")
    store.append(unit, [Call("large", "big", 20, 10, 20)], [Solution("so", answer, grade, (0.5,))])


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """One recorded run in each form: four problems, four scored samples of tiny, one greedy one of big."""
    folder = tmp_path_factory.mktemp("runs")
    forms = {
        form: folder / name for form, name in (("sqlite", "r.sqlite"), ("parquet", "r"), ("jsonl", "r.jsonl"))
    }
    with RunStore(forms["sqlite"]) as store:
        for problem, right in RIGHT.items():
            parallel(store, problem, right)
            greedy(store, problem, right == 4)
        run = store.read()
    write_parquet(run, forms["parquet"])
    write_jsonl(run, forms["jsonl"])
    return forms


@pytest.fixture(scope="session")
def scalinglab(counts, runs):
    """Runs a command line in this process; COUNTS and RUN stand for the paths of the data above."""

    def run(line, **paths):
        paths = {"COUNTS": counts, "RUN": runs["sqlite"]} | paths
        words = [str(paths.get(word, word)) for word in shlex.split(line)]
        code = 0
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as out:
            patch.setattr(sys, "argv", ["scalinglab", *words])
            with redirect_stderr(io.StringIO()) as err:
                try:
                    cli.main()
                except SystemExit as stop:
                    code = stop.code
        return SimpleNamespace(code=code, out=out.getvalue(), err=err.getvalue())

    return run


@pytest.fixture(scope="session")
def document(scalinglab):
    """Runs a command line with --json and reads the one strict JSON document it prints."""

    def run(line, **paths):
        done = scalinglab(f"{line} --json", **paths)
        assert (done.code, done.err) == (0, "")
        assert done.out.count("\n") == 1
        return json.loads(done.out.splitlines()[-1], parse_constant=pytest.fail)

    return run


@pytest.fixture(scope="session")
def exchanged(document):
    """The exchange of the counts with every default."""
    return document(EXCHANGE)


def real(*words, **options):
    """The installed command in a process of its own, where a warning would be an error."""
    command = Path(sys.executable).with_name("scalinglab")
    if not command.exists():
        pytest.skip(f"the package is not installed beside {sys.executable}")
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    return subprocess.Popen([command, *map(str, words)], env=os.environ | {"PYTHONWARNINGS": "error"}, **options)


def finish(process):
    out, err = process.communicate(timeout=60)
    return SimpleNamespace(code=process.returncode, out=out, err=err)


def assert_refused(done, phrase=""):
    """Exit code 1, nothing on stdout, and one line on stderr that names what is allowed."""
    assert (done.code, done.out) == (1, "")
    assert done.err.count("\n") == 1
    assert done.err.startswith("scalinglab: error: ")
    assert phrase in done.err
    assert "Traceback" not in done.err


def assert_misused(done):
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Usage: ")
    assert "Traceback" not in done.err


# The real command


def test_the_command_prints_its_version():
    done = finish(real("--version"))
    assert (done.code, done.out, done.err) == (0, f"scalinglab {__version__}\n", "")


def test_the_command_prints_one_document_without_a_warning():
    done = finish(real("flops", "Pythia-1B", "--prompt", "1", "--generate", "10", "--json"))
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["conventions"]["paper"]["total"] == 20 * 1_011_781_632


def test_an_error_is_one_line_on_stderr_and_exit_code_1():
    assert_refused(finish(real("specs", "no\nsuch model")), "no model or file named 'no\\nsuch model'")


def test_wrong_usage_is_exit_code_2():
    assert_misused(finish(real("specs", "--nonsense")))


def test_a_reader_that_leaves_early_sees_no_traceback():
    process = real("specs", "--json")
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=60), err) == (1, "")


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this system")
def test_a_full_disk_behind_stdout_is_one_line():
    with FULL.open("w") as full:
        done = finish(real("specs", "--json", stdout=full))
    assert (done.code, done.err) == (1, "scalinglab: error: No space left on device\n")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_an_interrupt_ends_a_report_without_a_traceback(tmp_path, monkeypatch):
    """The report waits for its matplotlib settings, which a named pipe holds back, when the signal comes."""
    settings = tmp_path / "matplotlibrc"
    os.mkfifo(settings)
    monkeypatch.setenv("MATPLOTLIBRC", str(settings))
    process = real("paper", "--out", tmp_path / "out")
    with settings.open("w"):
        process.send_signal(signal.SIGINT)
        done = finish(process)
    assert (done.code, done.out, done.err) == (130, "", "")
    assert not (tmp_path / "out").exists()


# Versions and help


def test_the_version_is_the_packages(scalinglab):
    assert scalinglab("--version").out == f"scalinglab {__version__}\n"


def test_no_command_shows_the_help_as_wrong_usage(scalinglab):
    done = scalinglab("")
    assert_misused(done)
    assert "exchange" in done.err


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "--nonsense",
        "specs --nonsense",
        "specs --ratio many",
        "flops",
        "flops Qwen3-8B --prompt 5",
        "flops Qwen3-8B --train 2T --prompt 5",
        "flops Qwen3-8B --prompt 5 --generate 6 --sequence 7",
        "flops Qwen3-8B --prompt five --generate 6",
        "flops Qwen3-8B --prompt 1.5 --generate 6",
        "budget",
        "budget --ratio many --r 1",
        "curve",
        "curve COUNTS --seed -1",
        "curve COUNTS --generate few",
        "exchange COUNTS --small Pythia-2.8B",
        f"{EXCHANGE} --bins few",
        f"{EXCHANGE} --bins 1.5",
        f"{EXCHANGE} --seed x",
        f"{EXCHANGE} --seed -1",
        f"{EXCHANGE} --ratio many",
        "report COUNTS --small Pythia-2.8B --large Pythia-6.9B",
        "paper --nonsense",
        "paper extra",
    ],
)
def test_wrong_usage_exits_with_2(scalinglab, line):
    assert_misused(scalinglab(line))


# specs


def test_the_list_of_specs_is_the_catalogue(scalinglab, document):
    listed = document("specs")["models"]
    assert [row["name"] for row in listed] == [spec.name for spec in catalogue()]
    shown = scalinglab("specs").out
    assert all(row["name"] in shown for row in listed)


@pytest.mark.parametrize("name", ["Pythia-1B", "pythia 1b", "Mixtral-8x7B", "Qwen3-0.6B"])
def test_a_spec_shows_its_exact_counts(document, name):
    shown, spec = document(f"specs '{name}'"), find(name)
    for key in ("name", "series", "family", "total", "active", "embedding", "non_embedding", "training_tokens"):
        assert shown[key] == getattr(spec, key)
    assert (shown["layers"], shown["hidden"]) == (spec.shape.layers, spec.shape.hidden)
    assert shown["embedding"] + shown["non_embedding"] == shown["total"]


def test_the_counts_of_pythia_1b_are_the_published_ones(document):
    shown = document("specs Pythia-1B")
    assert (shown["total"], shown["non_embedding"]) == (1_011_781_632, 805_736_448)


def test_a_config_file_is_a_spec(document, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG))
    assert document("specs HERE", HERE=path)["total"] == from_config(CONFIG).total
    assert document("specs HERE", HERE=tmp_path) == document("specs HERE", HERE=path)


def test_pairs_near_14_hold_pythia_1b_and_12b(document, scalinglab):
    found = {(row["small"], row["large"]): row for row in document("specs --ratio 14")["pairs"]}
    pair = found["Pythia-1B", "Pythia-12B"]
    tokens = {"small_tokens", "large_tokens", "pretraining", "remark"}
    assert set(pair) == {"small", "large", "total", "active", "non_embedding", *tokens}
    assert pair["non_embedding"] == pytest.approx(14.06, abs=0.005)
    assert "Pythia-12B" in scalinglab("specs --ratio 14").out


def test_pairs_of_different_series_are_found_on_demand(document):
    one, across = (document(f"specs --ratio 14 {option}")["pairs"] for option in ("", "--across"))
    assert len(across) > len(one) > 0


def test_a_pair_says_the_tokens_of_both_and_the_ratio_of_their_pretraining(document, scalinglab):
    found = {(row["small"], row["large"]): row for row in document("specs --ratio 12 --across")["pairs"]}
    same, apart = found["Pythia-1B", "Pythia-12B"], found["Gemma-2-2B", "Gemma-2-27B"]
    assert (same["remark"], same["pretraining"]) == ("", same["total"])
    assert (apart["small_tokens"], apart["large_tokens"]) == (2 * 10**12, 13 * 10**12)
    assert apart["remark"] == "D differs"
    assert apart["pretraining"] == pytest.approx(6.5 * apart["total"])
    unknown = next(row for row in found.values() if "GPT-2" in row["small"])
    assert unknown["pretraining"] is None
    assert unknown["remark"].startswith(f"D of {unknown['small']}")
    assert unknown["remark"].endswith("unknown")
    assert "D differs" in scalinglab("specs --ratio 12").out


def test_a_spec_may_be_a_number_and_say_its_training_tokens(document):
    shown = document("specs 37e9/671e9@14.8T")
    assert (shown["active"], shown["total"]) == (37 * 10**9, 671 * 10**9)
    assert shown["training_tokens"] == 14_800 * 10**9
    assert shown["non_embedding"] is shown["layers"] is shown["cached_per_token"] is None
    assert document("specs Pythia-1B@20B")["training_tokens"] == 20 * 10**9


def test_no_pair_is_an_empty_list_and_no_broken_table(document, scalinglab):
    assert document("specs --ratio 1000000") == {"pairs": []}
    assert "DataFrame" not in scalinglab("specs --ratio 1000000").out


@pytest.mark.parametrize(
    ("line", "phrase"),
    [
        ("specs nonsense", "no model or file named 'nonsense'"),
        ("specs ''", "no model or file"),
        ("specs /no/such/config.json", "no model or file named '/no/such/config.json'"),
        ("specs COUNTS", "is not JSON"),
        (f"specs {'x' * 5000}", "no model or file"),
        ("specs --ratio 1", "a number above 1"),
        ("specs --ratio nan", "a number above 1"),
        ("specs --ratio 14 --tolerance -0.1", "tolerance is -0.1"),
    ],
)
def test_a_spec_that_is_not_there_is_refused(scalinglab, line, phrase):
    assert_refused(scalinglab(line), phrase)


# flops


@pytest.mark.parametrize("name", ["Pythia-1B", "Qwen3-8B", "Mixtral-8x7B", "DeepSeek-V2-Lite"])
@pytest.mark.parametrize("samples", [1, 16])
def test_flops_add_up_in_integers_under_every_preset(document, name, samples):
    shown = document(f"flops {name} --prompt 500 --generate 100 --samples {samples}")
    assert shown["model"] == name
    assert list(shown["conventions"]) == list(CONVENTIONS)
    for row in shown["conventions"].values():
        assert {"prefill", "decode", "total", "components"} <= set(row)
        parts = row["components"].values()
        assert row["prefill"] + row["decode"] == row["total"] == sum(parts) > 0
        assert all(type(value) is int for value in (row["prefill"], row["decode"], row["total"], *parts))


def test_flops_under_the_papers_rule_are_2n_a_generated_token(document):
    rows = document("flops Pythia-1B --prompt 500 --generate 1000 --samples 16")["conventions"]
    assert rows["paper"]["total"] == 2 * 1_011_781_632 * 1000 * 16
    assert rows["kaplan"]["total"] == 2 * 805_736_448 * (500 + 1000 * 16)
    assert rows["exact"]["bias"] == 0
    assert rows["paper"]["bias"] == rows["paper"]["total"] / rows["exact"]["total"] - 1


def test_a_query_of_nothing_costs_nothing_and_has_no_bias(document, scalinglab):
    rows = document("flops Pythia-1B --prompt 0 --generate 0")["conventions"]
    assert {row["total"] for row in rows.values()} == {0}
    assert {row["bias"] for row in rows.values()} == {None}
    assert scalinglab("flops Pythia-1B --prompt 0 --generate 0").code == 0


def test_the_table_of_flops_names_every_preset_and_its_bias(scalinglab):
    lines = scalinglab("flops Pythia-1B --prompt 5 --generate 6").out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(CONVENTIONS)
    assert all("%" in line for line in lines[1:])


@pytest.mark.parametrize(
    ("line", "phrase"),
    [
        ("flops nonsense --prompt 1 --generate 1", "no model or file"),
        ("flops Pythia-1B --train many", "training tokens 'many'"),
        ("flops Pythia-1B --train 5 --sequence 0", "sequence is 0"),
        ("flops Pythia-1B@many --prompt 1 --generate 1", "training tokens 'many'"),
        ("flops Pythia-1B --prompt -1 --generate 1", "prompt is -1"),
        ("flops Pythia-1B --prompt 1 --generate -1", "generated is -1"),
        ("flops Pythia-1B --prompt 1 --generate 1 --samples -1", "samples is -1"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(scalinglab, line, phrase):
    assert_refused(scalinglab(line), phrase)


def test_training_is_priced_under_every_preset(document, scalinglab):
    shown = document("flops Pythia-1B --train 20B")
    spec = find("Pythia-1B")
    assert (shown["tokens"], shown["sequence"]) == (20 * 10**9, 2048)
    assert {name: row["total"] for name, row in shown["conventions"].items()} == {
        name: total(training(spec, 20 * 10**9, convention=rule)) for name, rule in CONVENTIONS.items()
    }
    assert shown["conventions"]["paper"]["total"] == 6 * spec.total * 20 * 10**9
    assert shown["conventions"]["paper"]["bias"] > 0 == shown["conventions"]["exact"]["bias"]
    assert "projections" in scalinglab("flops Pythia-1B --train 20B").out


def test_training_is_unpriced_by_name_where_attention_counts_and_no_length_is_known(document, scalinglab):
    rows = document("flops Mixtral-8x22B --train 1e12")["conventions"]
    assert {name for name, row in rows.items() if "unpriced" in row} == {"exact", "exact-measured"}
    assert rows["paper"]["bias"] is None
    assert (
        "exact unpriced: Mixtral-8x22B: training sequence length unknown"
        in scalinglab("flops Mixtral-8x22B --train 1e12").out
    )
    known = document("flops Mixtral-8x22B --train 1e12 --sequence 4096")["conventions"]
    assert all(row["total"] > 0 for row in known.values())


def test_a_bare_number_is_priced_under_2n_alone(document, scalinglab):
    rows = document("flops 2e9/6e9 --prompt 7 --generate 10 --samples 3")["conventions"]
    assert rows["paper"]["total"] == 2 * 2 * 10**9 * 10 * 3
    assert {name for name, row in rows.items() if "unpriced" in row} == {"kaplan", "exact", "exact-measured"}
    out = scalinglab("flops 6e9 --prompt 7 --generate 10").out
    assert all(f"{name} unpriced" in out for name in ("kaplan", "exact", "exact-measured"))
    assert document("flops 6e9 --train 2T")["conventions"]["paper"]["total"] == 72 * 10**21


# budget


def test_the_papers_budget_at_r_016(document):
    shown = document("budget --ratio 14 --r 0.16 --convention paper")
    assert shown == {"k": pytest.approx(257.75), "R": 0.16, "convention": "paper"}


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_k_is_the_inverse_of_r(document, convention):
    k = document(f"budget --ratio 14 --r 0.79 --convention {convention}")["k"]
    assert k == match_ratio(14, CONVENTIONS[convention]).k(0.79)
    back = document(f"budget --ratio 14 --k {k!r} --convention {convention}")
    assert back == {"k": k, "R": pytest.approx(0.79), "convention": convention}


def test_the_table_of_a_budget_holds_k_r_and_the_rule(scalinglab):
    header, values = scalinglab("budget --ratio 14 --r 0.5").out.splitlines()
    assert header.split() == ["k", "R", "convention"]
    assert values.split() == ["92", "0.5", "paper"]


@pytest.mark.parametrize(
    ("line", "phrase"),
    [
        ("--ratio 14", "neither or both of --r and --k"),
        ("--ratio 14 --r 1 --k 50", "neither or both of --r and --k"),
        ("--ratio 14 --r 0", "R = 0.0"),
        ("--ratio 14 --r -1", "R = -1.0"),
        ("--ratio 14 --r nan", "R = nan"),
        ("--ratio 14 --r inf", "R = inf"),
        ("--ratio 14 --r 1e-320", "R = "),
        ("--ratio 1e308 --r 1e-3", "R = 0.001"),
        ("--ratio 14 --k 0", "k = 0.0"),
        ("--ratio 14 --k 14", "more than 14"),
        ("--ratio 1 --r 1", "a number above 1"),
        ("--ratio nan --r 1", "a number above 1"),
        ("--ratio 14 --r 1 --convention nonsense", "one of paper, paper-verifier"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(scalinglab, line, phrase):
    assert_refused(scalinglab(f"budget {line} --json"), phrase)


# curve on counts


def test_a_curve_has_a_row_for_each_model_and_budget(document):
    shown = document(f"curve COUNTS --k 1,10 --model {SMALL} --model mine")
    assert set(shown) == {"rows", "notes"}
    assert [(row["model"], row["k"]) for row in shown["rows"]] == [
        (model, k) for model in (SMALL, "mine") for k in (1, 10)
    ]
    for row in shown["rows"]:
        assert set(row) >= CURVE_KEYS
        assert row["low"] <= row["accuracy"] <= row["high"]
    assert shown["rows"][0]["accuracy"] == pytest.approx(sum(range(40)) / 40 / 80)


def test_a_query_is_priced_by_the_catalogue_and_a_model_without_spec_is_left_open(document):
    shown = document("curve COUNTS --k 3 --generate 100")
    prices = {row["model"]: row["flops_per_query"] for row in shown["rows"]}
    assert prices[SMALL] == 2 * find(SMALL).total * 100 * 3
    assert prices["mine"] is None
    assert any("mine is not priced" in note for note in shown["notes"])


def test_a_spec_prices_a_model_that_the_catalogue_does_not_name(document, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG))
    line = f"curve COUNTS --model mine --k 2 --generate 10 --spec mine={path}"
    assert document(line)["rows"][0]["flops_per_query"] == 2 * from_config(CONFIG).total * 10 * 2


def test_budgets_default_to_the_powers_of_two_within_the_samples(document):
    rows = document("curve COUNTS --model mine")["rows"]
    assert [row["k"] for row in rows] == [1, 2, 4, 8, 16, 32, 64]


def test_the_table_of_a_curve_ends_with_its_notes(scalinglab):
    done = scalinglab("curve COUNTS --k 1")
    assert done.out.split()[:3] == ["model", "selector", "k"]
    assert "  - tokens: counts record none" in done.out


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_counts_in_another_form_give_the_same_curve(document, counts, tmp_path, form):
    import pandas as pd

    frame, path = pd.read_csv(counts), tmp_path / f"counts.{form}"
    frame.to_parquet(path) if form == "parquet" else frame.to_json(path, orient="records", lines=True)
    assert document("curve COUNTS --k 1,8", COUNTS=path) == document("curve COUNTS --k 1,8")


PUBLISHED = {
    "Pythia 70M": (0.0647, 0.5974, 3.6101, 12.4136, 26.5625),
    "Pythia 160M": (0.2673, 2.5089, 16.1908, 41.016, 57.0312),
    "Pythia 410M": (0.6219, 5.1716, 22.7182, 48.1804, 65.625),
    "Pythia 1B": (0.8334, 6.6464, 27.4516, 54.6192, 74.2188),
    "Pythia 2.8B": (2.0312, 13.4751, 42.2042, 67.7789, 81.25),
    "Pythia 6.9B": (1.856, 13.1402, 43.1649, 68.7733, 83.5938),
    "Pythia 12B": (2.3191, 15.6819, 48.3429, 72.3253, 87.5),
}


def test_curves_of_pythia_have_the_published_values(document, shared_data):
    shown = document("curve HERE --k 1,10,100,1000,10000", HERE=shared_data("pythia_math") / "counts.csv")
    found = {(row["model"], row["k"]): 100 * row["accuracy"] for row in shown["rows"]}
    ks = (1, 10, 100, 1000, 10000)
    wanted = {(name, k): at for name, values in PUBLISHED.items() for k, at in zip(ks, values, strict=True)}
    assert found == pytest.approx(wanted, abs=6e-5)
    assert all(row["flops_per_query"] > 0 for row in shown["rows"])


# exchange on counts


def test_an_exchange_has_a_verdict_for_each_preset_bin_and_r(exchanged):
    assert set(exchanged) == {"rows", "sensitivity", "unpriced", "notes"}
    rows = exchanged["rows"]
    assert all(set(row) >= VERDICT_KEYS for row in rows)
    assert {row["verdict"] for row in rows} <= {TEST_TIME, PRETRAINING, UNDECIDED, OUTSIDE}
    cells = [(row["convention"], row["bin"], row["R"]) for row in rows]
    bins = ("all", "1", "2", "3", "4", "5")
    assert len(cells) == len(set(cells))
    assert set(cells) == {(name, b, r) for name in CONVENTIONS for b in bins for r in (0.16, 0.79, 22)}
    assert exchanged["unpriced"] == {}


def test_a_verdict_outside_the_samples_has_no_numbers(document):
    outside = document(f"{EXCHANGE} --bins 1 --r 0.001")["rows"]
    assert {row["verdict"] for row in outside} == {OUTSIDE}
    assert {row[key] for row in outside for key in ("small", "difference", "low", "high")} == {None}


def test_nothing_within_the_samples_is_still_an_answer(scalinglab):
    done = scalinglab(f"{EXCHANGE} --bins 1 --r 0.001")
    assert (done.code, done.err) == (0, "")
    assert OUTSIDE in done.out


def test_budgets_of_an_exchange_are_those_of_the_specs(document):
    rows = document(f"{EXCHANGE} --bins 1 --r 22 --prompt 100 --generate 200")["rows"]
    for row in rows:
        rule = CONVENTIONS[row["convention"]]
        assert row["k"] == match_specs(find(SMALL), find(LARGE), prompt=100, generated=200, convention=rule).k(22)


def test_one_convention_leaves_the_sensitivity_over_all(document, exchanged):
    one = document(f"{EXCHANGE} --convention kaplan")
    assert one["rows"] == [row for row in exchanged["rows"] if row["convention"] == "kaplan"]
    assert one["sensitivity"] == exchanged["sensitivity"]


def test_the_sensitivity_repeats_the_verdicts_and_says_whether_they_contradict(exchanged):
    table = {(row["bin"], row["R"]): row for row in exchanged["sensitivity"]}
    for row in exchanged["rows"]:
        assert table[row["bin"], row["R"]][row["convention"]] == row["verdict"]
    for row in table.values():
        assert row["flips"] is ({row[name] for name in CONVENTIONS} >= {TEST_TIME, PRETRAINING})


def test_a_rule_that_decides_the_verdict_is_said_to_flip(document, tmp_path):
    path = tmp_path / "counts.csv"
    lines = [f"A,p{i},400,50\nB,p{i},400,220" for i in range(20)]
    path.write_text(HEAD + "\n".join(lines))
    (row,) = document("exchange C --small A --large B --ratio 8 --bins 1 --r 22", C=path)["sensitivity"]
    assert (row["paper"], row["small-pays"], row["flips"]) == (TEST_TIME, PRETRAINING, True)


def test_one_bin_is_all_the_problems(document):
    shown = document(f"{EXCHANGE} --bins 1")
    assert {row["bin"] for row in shown["rows"]} == {"all"}
    assert not any("bins" in note for note in shown["notes"])


def test_a_ratio_needs_no_spec(document):
    shown = document("exchange COUNTS --small mine --large Pythia-6.9B --ratio 14 --bins 1 --r 0.79")
    for row in shown["rows"]:
        assert row["k"] == match_ratio(14, CONVENTIONS[row["convention"]]).k(0.79)
    assert any("M = 14" in note for note in shown["notes"])


def test_a_spec_may_be_a_name_of_the_catalogue(document):
    line = "exchange COUNTS --small mine --large Pythia-6.9B --bins 1 --r 22"
    rows = document(f"{line} --spec mine=Pythia-1B --convention paper")["rows"]
    m = find("Pythia-6.9B").total / find("Pythia-1B").total
    assert rows[0]["k"] == pytest.approx(m + 3 * (m - 1) / 22)


def test_the_same_seed_gives_the_same_document_and_another_seed_another(document):
    line = f"{EXCHANGE} --bins 2 --r 22"
    once, again, other = (document(f"{line} --seed {seed}") for seed in (1, 1, 2))
    assert once == again != other


def test_an_exchange_for_people_says_who_wins_under_which_rule(scalinglab):
    done = scalinglab(f"{EXCHANGE} --bins 1 --convention exact")
    assert (done.code, done.err) == (0, "")
    assert "Who wins, by difficulty bin and R" in done.out
    assert "convention: exact (parameters=matmul" in done.out
    assert "Does the accounting rule decide?" in done.out


def test_pythia_12b_answers_once_as_published(document, shared_data):
    path = shared_data("pythia_math") / "counts.csv"
    shown = document("exchange HERE --small 'Pythia 1B' --large 'Pythia 12B' --bins 1", HERE=path)
    assert {row["convention"] for row in shown["rows"]} == set(CONVENTIONS)
    assert all(row["large"] == pytest.approx(0.023191, abs=5e-7) for row in shown["rows"])
    m = find("Pythia-12B").total / find("Pythia-1B").total
    paper = {row["R"]: row for row in shown["rows"] if row["convention"] == "paper"}
    assert paper[22]["k"] == pytest.approx(m + 3 * (m - 1) / 22)
    assert {row["verdict"] for row in paper.values()} == {TEST_TIME}


@pytest.mark.parametrize(
    ("options", "phrase"),
    [
        ("--r 0", "R = 0.0"),
        ("--r -1", "R = -1.0"),
        ("--r nan", "R = nan"),
        ("--r inf", "R = inf"),
        ("--r 1e-320", "R = "),
        ("--r much", "--r much; expected numbers separated by commas"),
        ("--r ''", "expected numbers separated by commas"),
        ("--r 1,,2", "--r 1,,2"),
        ("--bins 0", "0 bins"),
        ("--bins -1", "-1 bins"),
        ("--bins 1000", "expected 1 to 40 bins"),
        ("--selector nonsense", "one of coverage, majority, best-of-n, weighted"),
        ("--selector majority", "counts hold no answers"),
        ("--convention nonsense", "one of paper, paper-verifier"),
        ("--ratio 1", "a number above 1"),
        ("--ratio nan", "a number above 1"),
        ("--spec nonsense", "--spec nonsense; expected MODEL=config.json"),
        ("--spec =config.json", "--spec =config.json; expected MODEL=config.json"),
        ("--spec mine=", "--spec mine=; expected MODEL=config.json"),
        (f"--spec {SMALL}=/no/such.json", "no model or file named '/no/such.json'"),
        ("--prompt -1", "is -1"),
        ("--generate 0", "generated tokens = 0"),
        ("--small nobody", "no samples of model 'nobody'; expected one of"),
        ("--large nobody", "no samples of model 'nobody'; expected one of"),
        ("--small mine", "give --ratio M"),
        (f"--large {SMALL}", "cost no more to pretrain"),
        (f"--small {LARGE} --large {SMALL}", "cost no more to pretrain"),
    ],
)
def test_an_exchange_that_makes_no_sense_is_refused(scalinglab, options, phrase):
    assert_refused(scalinglab(f"{EXCHANGE} {options}"), phrase)


@pytest.mark.parametrize(
    ("options", "phrase"),
    [
        ("--k 81", "budgets from 1 to n = 80"),
        ("--k 1,81", "budgets from 1 to n = 80"),
        ("--k 0", "budgets from 1 to n = 80"),
        ("--k -1", "k is"),
        ("--k 1.5", "--k 1.5; expected whole numbers separated by commas"),
        ("--k few", "--k few"),
        ("--k ''", "whole numbers separated by commas"),
        ("--model nobody", "no samples of model 'nobody'"),
        ("--selector nonsense", "one of coverage"),
        ("--selector weighted", "counts hold no answers"),
        ("--convention nonsense", "one of paper"),
        ("--spec nonsense", "MODEL=config.json"),
        ("--prompt -1", "is -1"),
    ],
)
def test_a_curve_that_makes_no_sense_is_refused(scalinglab, options, phrase):
    assert_refused(scalinglab(f"curve COUNTS {options}"), phrase)


# Data that cannot be read

BAD = {
    "missing-column.csv": ("model,problem,n\nA,1,2\n", "no column 'correct'"),
    "two-model-columns.csv": ("model,Model,problem,n,correct\nA,A,1,2,1\n", "both model and Model"),
    "more-correct.csv": (HEAD + "A,1,2,2\nA,2,2,3\n", "row 2 has more correct than n"),
    "negative.csv": (HEAD + "A,1,2,-1\n", "row 1 has a bad correct"),
    "fraction.csv": (HEAD + "A,1,2.5,1\n", "row 1 has a bad n"),
    "no-samples.csv": (HEAD + "A,1,0,0\n", "row 1 has n = 0"),
    "absent.csv": (HEAD + "A,1,2,\n", "row 1 has no number in correct"),
    "infinite.csv": (HEAD + "A,1,inf,1\n", "row 1 has no number in n"),
    "text.csv": (HEAD + "A,1,two,1\n", "row 1 has no number in n"),
    "nameless.csv": (HEAD + ",1,2,1\n", "row 1 has no model or problem"),
    "twice.csv": (HEAD + "A,1,2,1\nA,1,2,1\n", "row 2 repeats a model and problem"),
    "quote.csv": (HEAD + '"A,1,2,1\n', "cannot be read"),
    "empty.csv": ("", "cannot be read"),
    "header.csv": (HEAD, "has no rows"),
    "one-problem.csv": (HEAD + "A,1,2,1\n", "2 problems or more"),
    "binary.csv": (bytes(range(256)), "cannot be read"),
    "utf-16.csv": ((HEAD + "A,1,2,1\n").encode("utf-16"), "cannot be read"),
    "broken.jsonl": ("{nope\n", "cannot be read"),
    "list.jsonl": ("[1, 2]\n", "no column 'model'"),
    "empty.jsonl": ("", "has no rows"),
    "cut-off-run.jsonl": ('{"unit": {"key"', "line 1 is no unit of work"),
    "binary-run.jsonl": (b'{"unit"\xff\xfe', "cannot read"),
    "text.parquet": ("nope", "cannot be read"),
    "text.sqlite": ("not a database, but long enough to be taken for a header of one", "not a database"),
    "empty.sqlite": (b"", "without parallel samples"),
    "table.txt": (HEAD + "A,1,2,1\n", "of type '.txt'"),
    "suffixless": (HEAD + "A,1,2,1\n", "of type 'unknown'"),
}


@pytest.mark.parametrize("name", BAD)
def test_data_that_cannot_be_right_are_refused(scalinglab, tmp_path, name):
    content, phrase = BAD[name]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert_refused(scalinglab("curve BAD", BAD=path), phrase)


@pytest.mark.parametrize("name", ["missing-column.csv", "binary.csv", "cut-off-run.jsonl", "text.sqlite"])
def test_every_command_that_reads_data_refuses_them(scalinglab, tmp_path, name):
    content, phrase = BAD[name]
    path, models = tmp_path / name, "--small A --large B --ratio 14"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert_refused(scalinglab(f"exchange BAD {models}", BAD=path), phrase)
    assert_refused(scalinglab(f"report BAD {models} --out OUT", BAD=path, OUT=tmp_path / "out"), phrase)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "phrase"),
    [
        ("x.csv", "no file at"),
        ("x.jsonl", "no file at"),
        ("x.parquet", "no file at"),
        ("x.db", "no run store"),
    ],
)
def test_data_that_are_not_there_are_refused(scalinglab, tmp_path, name, phrase):
    assert_refused(scalinglab("curve HERE", HERE=tmp_path / name), phrase)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["folder", "folder.csv", "folder.sqlite"])
def test_a_folder_that_is_no_run_is_refused(scalinglab, tmp_path, name):
    (tmp_path / name).mkdir()
    assert_refused(scalinglab("curve HERE", HERE=tmp_path / name))


def test_a_folder_with_a_broken_table_is_refused(scalinglab, tmp_path):
    (tmp_path / "units.parquet").write_text("nope")
    assert_refused(scalinglab("curve HERE", HERE=tmp_path), "units.parquet")


def test_models_that_answered_different_problems_are_refused(scalinglab, tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text(HEAD + "A,1,4,1\nA,2,4,1\nB,2,4,1\nB,3,4,1\n")
    assert_refused(scalinglab("exchange C --small A --large B --ratio 14 --bins 1", C=path), "share 1 of 2 and 2")


def test_one_sample_a_problem_cannot_set_bins_and_score(scalinglab, tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text(HEAD + "A,1,1,1\nA,2,1,0\nB,1,1,1\nB,2,1,1\n")
    assert_refused(scalinglab("exchange C --small A --large B --ratio 14", C=path), "--bins 1")


# A recorded run


@pytest.mark.parametrize("selector", SELECTORS)
def test_a_curve_of_a_run_is_known_in_closed_form(document, selector):
    rows = document(f"curve RUN --model tiny --selector {selector} --k 1,4 {RUN_SPECS}")["rows"]
    assert [row["accuracy"] for row in rows] == pytest.approx([0.5, ACCURACY[selector]])
    assert [row["flops_per_query"] for row in rows] == [2 * find(SMALL).total * 10 * k for k in (1, 4)]


@pytest.fixture(scope="session")
def run_exchanged(document):
    """The exchange of the run under each selector."""
    line = f"{RUN_EXCHANGE} {RUN_SPECS} --bins 1 --r 22"
    return {selector: document(f"{line} --selector {selector}") for selector in SELECTORS}


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_a_run_reads_the_same_in_every_form(document, runs, run_exchanged, form):
    curve = f"curve RUN --selector weighted {RUN_SPECS}"
    assert document(curve, RUN=runs[form]) == document(curve)
    line = f"{RUN_EXCHANGE} {RUN_SPECS} --bins 1 --r 22"
    assert document(line, RUN=runs[form]) == run_exchanged["coverage"]


@pytest.mark.parametrize("selector", SELECTORS)
def test_a_run_is_exchanged_at_the_costs_it_recorded(run_exchanged, selector):
    shown = run_exchanged[selector]
    rows = {row["convention"]: row for row in shown["rows"]}
    m = find(LARGE).total / find(SMALL).total
    assert set(rows) == set(CONVENTIONS)
    assert rows["paper"]["k"] == pytest.approx(m + 3 * (m - 1) / 22)
    assert rows["paper"]["large"] == 0.25
    assert {row["strategy"] for row in shown["rows"]} == {selector}
    assert any("as the run recorded them" in note for note in shown["notes"])


def test_coverage_of_a_run_at_three_samples_is_known_in_closed_form(document):
    (row,) = document(f"{RUN_EXCHANGE} --ratio 1.5 --r 1 --bins 1 --convention paper")["rows"]
    assert (row["k"], row["small"]) == (3, pytest.approx((1 + 1 + 0.75 + 0) / 4))


def test_a_verifier_is_paid_for_unless_a_majority_needs_none(run_exchanged):
    coverage, majority = (
        {row["convention"]: row["k"] for row in run_exchanged[selector]["rows"]}
        for selector in ("coverage", "majority")
    )
    assert coverage["paper"] == majority["paper"]
    assert coverage["small-pays"] < majority["small-pays"] == majority["paper"]


def test_a_run_needs_a_spec_for_each_model_it_called(scalinglab):
    without = RUN_SPECS.replace(f"--spec judge={JUDGE}", "")
    assert_refused(scalinglab(f"{RUN_EXCHANGE} {without}"), "no spec for model 'judge'")


def test_a_config_without_training_tokens_prices_a_curve_but_no_exchange(scalinglab, document, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG))
    specs = " ".join(f"--spec {model}={path}" for model in ("tiny", "big", "judge"))
    rows = document(f"curve RUN --model tiny {specs} --k 2")["rows"]
    assert rows[0]["flops_per_query"] == 2 * from_config(CONFIG).total * 10 * 2
    assert_refused(scalinglab(f"{RUN_EXCHANGE} {specs}"), "training tokens unknown")


@pytest.mark.parametrize(
    ("line", "phrase"),
    [
        ("curve RUN --prompt 5", "a run records its own"),
        (f"{RUN_EXCHANGE} --ratio 2 --generate 5", "a run records its own"),
        ("curve RUN --k 5", "budgets from 1 to n = 4"),
        ("curve RUN --model nobody", "no parallel samples of model 'nobody'"),
        ("curve RUN --model big", "no parallel samples of model 'big'"),
        ("curve RUN --selector nonsense", "one of coverage"),
        ("exchange RUN --small tiny --large judge --ratio 2", "no parallel samples of model 'judge'"),
        ("exchange RUN --small big --large tiny --ratio 2", "no parallel samples of model 'big'"),
        (f"{RUN_EXCHANGE} --bins 1000 --ratio 2", "expected 1 to 4 bins"),
    ],
)
def test_a_question_the_run_cannot_answer_is_refused(scalinglab, line, phrase):
    assert_refused(scalinglab(line), phrase)


def test_a_run_without_parallel_samples_has_no_curve(scalinglab, tmp_path):
    with RunStore(tmp_path / "run.sqlite") as store:
        greedy(store, "p1", True)
    assert_refused(scalinglab("curve HERE", HERE=tmp_path / "run.sqlite"), "parallel samples")


def test_scores_are_needed_to_pick_by_score(scalinglab, tmp_path):
    with RunStore(tmp_path / "run.sqlite") as store:
        for problem in "ab":
            unit = Unit("run", "math", problem, "policy", "tiny", "parallel")
            store.append(unit, [Call("policy", "tiny", 2, 2, 2)], [Solution("so", "7", "right")])
    assert scalinglab("curve HERE --selector majority", HERE=tmp_path / "run.sqlite").code == 0
    assert_refused(scalinglab("curve HERE --selector best-of-n", HERE=tmp_path / "run.sqlite"), "have no score")


# Files written

REPORT = "report COUNTS --small Pythia-2.8B --large Pythia-6.9B --bins 1 --r 22 --out OUT"


@pytest.fixture(scope="session")
def reported(document, tmp_path_factory):
    """A report written over an older one, beside a file of somebody's: its line, folder and document."""
    out = tmp_path_factory.mktemp("report") / "a" / "b"
    out.mkdir(parents=True)
    (out / "verdicts.csv").write_text("old")
    (out / "verdicts.csv.partial").write_text("somebody's own")
    return out, document(f"{REPORT} --seed 3 --convention kaplan", OUT=out)


def test_a_report_lists_the_files_it_wrote_and_leaves_no_partial_one(reported):
    out, shown = reported
    assert sorted(shown) == ["files"]
    assert sorted(shown["files"]) == sorted(str(path) for path in out.iterdir() if path.suffix != ".partial")
    assert all(path.stat().st_size for path in out.iterdir())
    assert not (out / "verdicts.csv").read_text().startswith("old")
    assert [path.name for path in out.glob("*.partial")] == ["verdicts.csv.partial"]  # it was somebody's


def test_the_manifest_holds_the_command_that_rebuilds_the_folder(reported, counts):
    out, shown = reported
    manifest = json.loads((out / "manifest.json").read_text())
    line = REPORT.replace("COUNTS", str(counts)).replace("OUT", str(out))
    assert manifest["command"] == f"scalinglab {line} --seed 3 --convention kaplan --json"
    assert manifest["seed"] == 3
    assert {*manifest["files"], "manifest.json"} == {Path(name).name for name in shown["files"]}
    assert "kaplan" in (out / "verdicts.csv").read_text()


def test_paper_shows_the_paper_and_writes_it(scalinglab, tmp_path):
    done = scalinglab("paper --out OUT", OUT=tmp_path / "demo")
    assert (done.code, done.err) == (0, "")
    text, files = done.out.split("Wrote:\n")
    assert "Snell et al. 2024" in text
    assert "+21.6 test-time" in text
    assert sorted(map(str.strip, files.splitlines())) == sorted(map(str, (tmp_path / "demo").iterdir()))


def test_a_folder_that_cannot_be_is_refused(scalinglab, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert_refused(scalinglab("paper --out OUT", OUT=tmp_path / "file" / "below"), "cannot write")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount command")
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_ends_a_report_in_one_line_and_no_partial_file(scalinglab, small_disk):
    assert_refused(scalinglab(REPORT, OUT=small_disk / "out"), "No space left on device")
    written = list((small_disk / "out").iterdir())
    assert written
    assert not [path for path in written if path.suffix == ".partial"]
