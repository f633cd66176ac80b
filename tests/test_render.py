"""What is printed: no line wider than the terminal, the verdict first, colours on a terminal alone."""

import io
from contextlib import redirect_stdout

import pytest
from commands import EXCHANGE, RUN_EXCHANGE, RUN_SPECS
from planted import planted

from scalinglab.cli.render import print_said, print_table
from scalinglab.curves import whole_numbers
from scalinglab.exchange import breakeven
from scalinglab.exchange.unknown import Side, breakeven_unknown

PAIR = "--small Pythia-2.8B --large Pythia-6.9B"
LINES = [
    EXCHANGE, f"{EXCHANGE} --all", f"{EXCHANGE} --thinking --all", f"{RUN_EXCHANGE} {RUN_SPECS} --bins 1 --all",
    f"advise COUNTS {PAIR} --queries 1e9 --target 0.4", f"optimal COUNTS {PAIR}", f"optimal COUNTS {PAIR} --all",
    "curve COUNTS", "rate COUNTS", f"ledger RUN {RUN_SPECS}", "specs --ratio 14", "budget --ratio 14 --r 0.79",
    "flops Qwen3-8B --prompt 100 --generate 100", "atlas RUN " + RUN_SPECS, "atlas COUNTS --all",
]  # fmt: skip
ROWS = [
    {"verdict": verdict, "points": "+1.0 (0.5 to 1.5)"} for verdict in ("test-time", "pretraining", "undecided")
]


@pytest.mark.parametrize(("columns", "most"), [(None, 100), ("80", 80), ("60", 60)], ids=str)
@pytest.mark.parametrize("line", LINES)
def test_no_line_is_wider_than_the_terminal_and_none_has_codes(scalinglab, monkeypatch, line, columns, most):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    done = scalinglab(line)
    assert (done.code, done.err) == (0, "")
    assert max(map(len, done.out.splitlines())) <= most
    assert "\x1b" not in done.out


def test_an_exchange_is_short_and_begins_with_its_verdict(scalinglab):
    said, _, table = scalinglab(EXCHANGE).out.partition("\n\n")
    assert said.startswith("At R = ")
    assert len(said.splitlines()) + len(table.splitlines()) <= 40
    heading, names, first = table.splitlines()[:3]
    assert "under paper" in heading
    assert names.split()[:2] == ["verdict", "points"]
    assert first.split()[0] in ("test-time", "pretraining", "undecided", "outside", "cannot")


def test_what_is_left_out_is_shown_by_an_option_and_in_json(scalinglab, document):
    few, every = (scalinglab(f"{EXCHANGE}{more}").out for more in ("", " --all"))
    rows = [row for row in document(EXCHANGE)["rows"] if row["convention"] == "paper"]
    assert f"of {len(rows)} verdicts (--all" in few
    assert every.count("compute-optimal") > few.count("compute-optimal") - 1
    assert "Break-even R" in every
    assert "Break-even R" not in few


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def shown(monkeypatch):
    """What a function prints on a terminal of many colours."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def run(function, *arguments):
        with redirect_stdout(Terminal()) as out:
            function(*arguments)
        return out.getvalue()

    return run


def test_verdicts_are_coloured_on_a_terminal_each_in_its_own(shown):
    codes = [line.split("m", 1)[0] for line in shown(print_table, ROWS).splitlines()[1:]]
    assert all(code.startswith("\x1b[") for code in codes)
    assert len(set(codes)) == 3


def test_no_color_is_honoured(shown, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in shown(print_said, ["It wins."]) + shown(print_table, ROWS)


def test_numbers_stand_to_the_right_and_words_to_the_left(capsys):
    print_table([{"name": "a", "n": 5}, {"name": "bcd", "n": 12345}])
    assert capsys.readouterr().out.splitlines() == ["name      n", "a         5", "bcd   12345"]


def test_what_has_no_room_follows_beneath(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    print_table([{f"column {i}": 123456789.5 + i for i in range(12)}])
    lines = capsys.readouterr().out.splitlines()
    assert "column 11" not in lines[0]
    assert sum("column 11" in line for line in lines) == 1
    assert max(map(len, lines)) <= 60


def test_markup_in_a_name_is_text(capsys):
    print_table([{"model": "[red]x[/red] :smile:", "n": 1}])
    assert "[red]x[/red] :smile:" in capsys.readouterr().out


def test_a_tie_at_the_dearest_budget_crosses_nothing():
    row = breakeven([planted([0.3, 0.4, 0.5, 0.7], 0.7)]).iloc[0]
    assert row["status"] == "undecided"
    assert row["R"] != row["R"]
    above = breakeven([planted([0.3, 0.4, 0.5, 0.8], 0.7)]).iloc[0]
    assert above["R"] > above["measured_from"]


@pytest.mark.parametrize(
    ("paid", "query", "said"),
    [
        (1e6, (1.0, 2.0), "cheaper where D of small is below"),
        (-1e6, (1.0, 2.0), "cheaper at no D of small"),
        (1e6, (2.0, 900.0), "cheaper at any D of small"),
        (-1e6, (2.0, 900.0), "cheaper where D of small is above"),
    ],
)
def test_the_unknown_training_is_bounded_on_the_side_that_pays(paid, query, said):
    """Each token more is paid once and, R being given, buys more queries: both sides may be below 0."""
    small, large = Side(None, 6.0, max(-paid, 0.0), query[0]), Side(max(paid, 0.0), 60.0, 0.0, query[1])
    found = breakeven_unknown(small, large, written=1.0, r=0.1, queries=float("inf"))
    assert found["unknown"].startswith(said)

    def cheaper(tokens):
        ours = 6.0 * tokens + small.posttraining + 0.1 * tokens * query[0]
        return ours <= large.pretraining + 0.1 * tokens * query[1]

    word = said.split(" D of ")[0].split()[-1] if " D of small is" not in said else said.split()[-1]
    expected = {"below": [True, False], "above": [False, True], "any": [True, True], "no": [False, False]}[word]
    at = found["d"] or 1e5
    assert [cheaper(at / 10), cheaper(at * 10)] == expected


def test_the_problems_of_bins_add_up(document):
    rows = document(f"{EXCHANGE} --bins 3")["rows"]
    head = ("compute-optimal", "paper", 22)
    here = [row for row in rows if (row["strategy"], row["convention"], row["R"]) == head and row["bin"] != "all"]
    assert sum(row["problems"] for row in here) == 40


def test_means_are_rounded_to_their_sum():
    assert whole_numbers([8.5, 7.5, 8.5, 7.5, 8.0]) == [9, 8, 8, 7, 8]
    assert whole_numbers([1.25, 1.25, 1.25, 1.25]) == [2, 1, 1, 1]
    assert whole_numbers([3.0, 4.0]) == [3, 4]
    assert whole_numbers([]) == []
