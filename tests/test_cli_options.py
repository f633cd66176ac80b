"""One set of options, the same on every verb that compares; one option has one meaning."""

import typer.main
from commands import EXCHANGE

from scalinglab.cli import app
from scalinglab.cli.verbs import _LEDGER

TOP = typer.main.get_command(app).commands
COMPARING = ("exchange", "curve", "optimal", "advise", "findings", "laws", "report")
SHARED = (
    "data", "small", "large", "spec", "ratio", "convention", "axes", "r", "bins", "prompt", "generate", "strict",
    "seed",
)  # fmt: skip


def options(verb):
    """Of each option of a verb: its names, default, type, help and whether it must be given."""
    found = {}
    for param in TOP[verb].params:
        kind = getattr(getattr(param, "type", None), "name", "")
        found[param.name] = (tuple(param.opts), param.default, kind, getattr(param, "help", ""), param.required)
    return found


def test_verbs_that_compare_share_their_options_names_and_defaults():
    wanted = {name: options("exchange")[name] for name in SHARED}
    for verb in COMPARING:
        assert {name: options(verb)[name] for name in SHARED} == wanted, verb
        assert "queries" in options(verb), "a load, beside R"
    assert wanted["convention"][:2] == (("--convention",), "paper")
    assert wanted["axes"][0] == ("--with",)
    assert wanted["r"][:2] == (("--r",), "0.16,0.79,22")
    assert (wanted["bins"][1], wanted["seed"][1]) == (5, 0)
    assert wanted["data"][4] is True  # the data are always given, and first


def test_status_and_ledger_take_those_of_data_cast_and_convention():
    wanted = {name: options("exchange")[name] for name in _LEDGER}
    assert set(_LEDGER) == {"data", "small", "large", "spec", "convention", "axes"}
    for verb, own in (("status", {"as_json"}), ("ledger", {"by", "as_json"})):
        assert {name: options(verb)[name] for name in _LEDGER} == wanted
        assert {param.name for param in TOP[verb].params} == {*_LEDGER, *own}


def test_the_data_are_positional_everywhere():
    for verb in (*COMPARING, "status", "ledger"):
        (data,) = (param for param in TOP[verb].params if param.name == "data")
        assert (data.param_type_name, data.required) == ("argument", True)


def test_an_option_has_one_meaning():
    """Options of one name have one help on every verb that compares, but for what a verb calls its own."""
    told = {}
    for verb in (*COMPARING, "status", "ledger"):
        for name, (_, _, kind, text, _) in options(verb).items():
            told.setdefault(name, set()).add((kind, text))
    several = {name for name, meanings in told.items() if len(meanings) > 1}
    assert several <= {"verifier", "selector", "out", "sunk", "queries", "whole"}


def test_an_axis_by_name_is_the_axis_of_the_preset(document):
    exact = document(f"{EXCHANGE} --bins 1 --r 22 --convention exact --selector coverage")
    same = document(f"{EXCHANGE} --bins 1 --r 22 --convention exact --with verifier=small --selector coverage")
    assert same == exact
