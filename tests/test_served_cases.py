"""Servers of public reports, from ``scalinglab collect`` to the verdict: what goes wrong is said in a line."""

import json
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest
from serving import serving

from scalinglab.samples import read_run

PROBLEMS = [(17, 39), (36, 10), (25, 60), (40, 32), (42, 39), (6, 40)]
HEAD = """
seeds = [0]
[task]
kind = "jsonl"
path = "problems.jsonl"
fields = { question = "q", answer = "a" }
max_tokens = 60
chat = "<s>user {prompt} assistant "
"""
MODEL = """
[models.NAME]
model = "LETTER"
url = ["URL"]
spec = "SPEC"
"""
SMALL = MODEL.replace("NAME", "small").replace("LETTER", "S").replace("SPEC", "Qwen2.5-0.5B")
LARGE = MODEL.replace("NAME", "large").replace("LETTER", "L").replace("SPEC", "Qwen2.5-7B")
REVISER = MODEL.replace("NAME", "reviser").replace("LETTER", "R").replace("SPEC", "Qwen2.5-0.5B")
PARALLEL = '[[strategies]]\nname = "parallel"\nmodels = ["small"]\nbudgets = [1, 4]\n'
GREEDY = '[[strategies]]\nname = "greedy"\nmodels = ["MODEL"]\n'
REVISIONS = '[[strategies]]\nname = "revisions"\nlengths = [2]\nbudgets = [4]\n'
BOTH = HEAD + SMALL + LARGE + PARALLEL + GREEDY.replace("MODEL", "large")


def placed(folder, text, url, first="What"):
    lines = [{"q": f"What is {a} + {b}?", "a": str(a + b)} for a, b in PROBLEMS]
    lines[4]["q"] = lines[4]["q"].replace("What", first)
    (folder / "problems.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    study = folder / "study.toml"
    study.write_text(text.replace("URL", url))
    return study


def said(*arguments):
    """The exit code of a command, its standard output, and the lines of its other one."""
    command = [sys.executable, "-c", "from scalinglab.cli import main; main()", *map(str, arguments)]
    found = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert "Traceback" not in found.stderr
    return found.returncode, found.stdout, found.stderr.replace("\r", "\n").strip().splitlines()


def served(folder, mode, text, **options):
    with serving(mode) as port:
        study = placed(folder, text, f"http://127.0.0.1:{port}", **options)
        return said("collect", study, "--out", folder / "run")


def test_a_usage_of_zero_ends_the_study_before_it_is_a_model_that_costs_nothing(tmp_path):
    code, _, lines = served(tmp_path, "zero-large", BOTH)
    assert code == 1
    assert "/v1/completions gave usage: 0 prompt tokens for a prompt" in lines[-1]
    assert "large" not in set(read_run(tmp_path / "run").calls["model"])


def test_an_error_under_status_200_ends_the_study_at_once_in_the_servers_words(tmp_path):
    start = time.monotonic()
    code, _, lines = served(tmp_path, "err200", BOTH)
    assert code == 1
    assert "gave an error under status 200: model '" in lines[-1]
    assert "is not loaded; load it first" in lines[-1]
    assert time.monotonic() - start < 60


def test_one_prompt_too_long_is_refused_and_the_others_are_compared(tmp_path):
    code, _, lines = served(tmp_path, "toolong-small", BOTH, first="LONG What")
    assert code == 0
    assert sum("maximum context length is 64 tokens" in line for line in lines) == 1
    run = read_run(tmp_path / "run")
    assert (run.solutions["grade"] == "refused").sum() == 4
    assert len(run.units) == 12
    for verb in ("exchange", "advise"):
        more = ["--bins", "1"] if verb == "exchange" else ["--queries", "1e9", "--target", "0.6"]
        code, shown, lines = said(verb, tmp_path / "run", *more)
        assert code == 0, lines
        assert shown


def test_a_tokenizer_of_another_schema_is_not_asked_and_exact_says_that_it_lacks_the_counts(tmp_path):
    text = HEAD + SMALL + LARGE + REVISER + REVISIONS + PARALLEL + GREEDY.replace("MODEL", "large")
    assert served(tmp_path, "llamacpp", text)[0] == 0
    calls = read_run(tmp_path / "run").calls
    assert calls[calls["model"] == "reviser"]["reusable_tokens"].isna().any()
    code, _, lines = said("exchange", tmp_path / "run", "--bins", "1", "--convention", "exact")
    assert code == 1
    assert "no verdict under 'exact' (reusable tokens of reviser were not reported" in lines[-1]


def test_a_curve_has_no_price_where_the_rule_prices_counts_that_nobody_reported(tmp_path):
    text = HEAD + SMALL + LARGE + PARALLEL + GREEDY.replace("MODEL", "large")
    assert served(tmp_path, "ok", text)[0] == 0
    assert read_run(tmp_path / "run").calls["cached_tokens"].isna().all()
    code, shown, _ = said("curve", tmp_path / "run", "--convention", "exact-measured", "--json")
    assert code == 0
    found = json.loads(shown)
    assert {row["flops_per_query"] for row in found["rows"]} == {None}
    assert any("small is not priced: cached tokens of small were not" in note for note in found["notes"])
    code, _, lines = said("rate", tmp_path / "run", "--convention", "exact-measured")
    assert code == 1
    assert "not reported" in lines[-1]


def test_a_tokenizer_that_reads_another_key_than_the_server_named_has_is_one_line(tmp_path):
    text = HEAD + SMALL + REVISER.replace("spec =", 'server = "vllm"\nspec =') + REVISIONS
    code, _, lines = served(tmp_path, "llamacpp", text)
    assert code == 1
    assert "/tokenize gave 0 tokens for '<s>user Solve" in lines[-1]
    assert "it reads another key" in lines[-1]


@pytest.mark.parametrize("key", ["with\rreturn", "with\nline", "naïve"])
def test_a_key_that_no_header_holds_is_one_line_and_never_shown(tmp_path, monkeypatch, key):
    monkeypatch.setenv("THE_KEY", key)
    with serving("ok") as port:
        text = BOTH.replace('spec = "Qwen2.5-0.5B"', 'spec = "Qwen2.5-0.5B"\nkey_env = "THE_KEY"')
        study = placed(tmp_path, text, f"http://127.0.0.1:{port}")
        code, _, lines = said("collect", study, "--out", tmp_path / "run")
    assert code == 1
    assert "key" in lines[-1]
    assert key[:4] not in " ".join(lines).replace("without", "")


def test_a_closed_port_is_one_line_within_seconds_and_one_while_it_is_asked_again(tmp_path):
    with socket.socket() as taken:  # bound and not listening: nobody else can answer
        taken.bind(("127.0.0.1", 0))
        study = placed(tmp_path, BOTH, f"http://127.0.0.1:{taken.getsockname()[1]}")
        start = time.monotonic()
        code, _, lines = said("collect", study, "--out", tmp_path / "run")
    assert code == 1
    assert time.monotonic() - start < 60
    assert "times in a row" in lines[-1]
    assert "no connection" in lines[-1]
    assert any("asked again" in line for line in lines[:-1])


def test_a_certificate_that_nobody_signed_is_one_line_at_once(tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate]
    subprocess.run([*made, "-subj", "/CN=localhost", "-days", "2"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def answer(listening):
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            try:
                context.wrap_socket(connection, server_side=True).close()
            except OSError:
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=answer, args=(listening,), daemon=True).start()
        study = placed(tmp_path, BOTH, f"https://127.0.0.1:{listening.getsockname()[1]}")
        start = time.monotonic()
        code, _, lines = said("collect", study, "--out", tmp_path / "run")
        listening.shutdown(socket.SHUT_RDWR)
    assert code == 1
    assert "TLS failed" in lines[-1]
    assert "certificate" in lines[-1]
    assert time.monotonic() - start < 20
