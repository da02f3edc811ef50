"""A program is started, named dead when it dies, and stopped only while it is the process that was started."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import service
from deploy.local.service import DIED, RUNNING, STOPPED, Program

SLEEP = (sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)")
DEAF = (sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(60)")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    service.stop(tmp_path, "sleeper", signals=(signal.SIGKILL,))


def _start(home: Path, command: tuple[str, ...] = SLEEP) -> int:
    service.start(home, Program(name="sleeper", command=command, env={}))
    until = time.monotonic() + 10
    while "here" not in service.tail(home, "sleeper") and time.monotonic() < until:
        time.sleep(0.02)
    found = service.pid(home, "sleeper")
    assert found is not None
    return found


def test_what_was_never_started_is_stopped(home: Path) -> None:
    assert service.state(home, "sleeper") == STOPPED
    assert service.stop(home, "sleeper") is False


def test_a_started_program_runs_in_a_session_of_its_own(home: Path) -> None:
    pid = _start(home)
    assert service.state(home, "sleeper") == RUNNING
    assert os.getsid(pid) == pid


def test_a_killed_program_is_named_dead_even_while_its_corpse_is_there(home: Path) -> None:
    os.kill(_start(home), signal.SIGKILL)
    time.sleep(0.1)
    assert service.state(home, "sleeper") == DIED


def test_stop_ends_it_and_forgets_it(home: Path) -> None:
    pid = _start(home)
    assert service.stop(home, "sleeper") is True
    assert service.state(home, "sleeper") == STOPPED
    assert "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]  # ended; we are its parent


def test_one_that_does_not_hear_gets_the_next_signal(home: Path) -> None:
    _start(home, DEAF)
    assert service.stop(home, "sleeper", patience_s=0.3) is True
    assert service.state(home, "sleeper") == STOPPED


@pytest.mark.parametrize("changed", [{"start": 1}, {"boot": "another boot"}])
def test_a_pid_that_is_somebody_elses_now_is_left_alone(home: Path, changed: dict[str, object]) -> None:
    bystander = subprocess.Popen(SLEEP, stdout=subprocess.DEVNULL)
    try:
        _start(home)
        record = home / "run" / "sleeper.json"
        ours = json.loads(record.read_text())
        theirs = {**ours, "pid": bystander.pid, **changed}
        record.write_text(json.dumps(theirs))
        assert service.state(home, "sleeper") == DIED
        assert service.stop(home, "sleeper") is False
        assert bystander.poll() is None
        os.kill(int(ours["pid"]), signal.SIGKILL)
    finally:
        bystander.kill()
        bystander.wait()


def test_a_record_that_was_cut_off_is_a_death_not_a_crash(home: Path) -> None:
    (home / "run").mkdir()
    (home / "run" / "sleeper.json").write_text('{"pid": 1')
    assert service.state(home, "sleeper") == DIED


def test_its_words_are_kept_for_the_error_message(home: Path) -> None:
    _start(home)
    assert service.tail(home, "sleeper") == "here"
