"""A study of a slow server as a process, told to stop at several moments: one line, exit code 1, nothing lost."""

import signal
import time

import pytest
from processes import collecting
from serving import serving
from test_study_served import FRAME, SMALL, TASK, placed

from scalinglab import study

PARALLEL = '[[strategies]]\nname = "parallel"\nmodels = ["small"]\nbudgets = [2]\n[limits]\nin_flight = 2\n'
WAITING = "waiting for the first answer"


def until(process, text):
    """All that it said up to a text."""
    said = ""
    while text not in said:
        said += process.stdout.read(1)
        assert process.poll() is None, said
    return said


def stopped(mode, moment, signals, tmp_path):
    """What a study says from the first signal on, its units done, and the seconds that it took to end."""
    with serving(mode) as port:
        toml = placed(TASK + FRAME + SMALL + PARALLEL, tmp_path, port)
        with collecting(toml, tmp_path / "run") as process:
            until(process, moment)
            time.sleep(0.3)
            begun = time.monotonic()
            for number in signals:
                process.send_signal(number)
                time.sleep(0.2)
            said, _ = process.communicate(timeout=60)
            took = time.monotonic() - begun
    assert process.returncode == 1, said
    assert "Traceback" not in said, said
    assert said.splitlines()[-1] == (
        f"scalinglab: stopped; nothing done is lost: `scalinglab collect {toml} --out {tmp_path / 'run'}` goes on"
    ), said
    return said, study.status_of(tmp_path / "run").done, took


def test_ctrl_c_before_the_first_unit_is_done_keeps_what_is_in_flight(tmp_path):
    said, done, _ = stopped("slow", WAITING, [signal.SIGINT], tmp_path)
    assert said.count("ending what is in flight; Ctrl-C again to stop at once") == 1
    assert done == 2


@pytest.mark.parametrize("signals", [[signal.SIGINT] * 2, [signal.SIGTERM], [signal.SIGHUP], [signal.SIGINT] * 3])
def test_what_is_asked_twice_or_is_no_ctrl_c_stops_at_once(signals, tmp_path):
    _, done, took = stopped("slow", WAITING, signals, tmp_path)
    assert done == 0
    assert took < 1.9, "no answer was waited for"


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGHUP], [signal.SIGINT] * 2])
def test_while_a_server_is_asked_what_it_is_all_stop_at_once(signals, tmp_path):
    said, done, took = stopped("mute", "starting small", signals, tmp_path)
    assert said.strip().count("\n") == 0, said
    assert done == 0
    assert took < 4
