"""The product's processes under their keeper: kept up, stopped by name, found again when the keeper was killed. The commands here are stand-ins."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import MissingError, ports, processes, service

STAND_IN = """
import os, pathlib, socket, sys, time, tomllib
home = pathlib.Path(os.environ["JCREDIT_HOME"])
name = "-".join([sys.argv[2], *sys.argv[4:]])  # worker --number 0
if (home / "broken").exists() and name == "jobs":
    sys.exit("no jobs today")
if name in ("console", "registry"):
    server = socket.create_server(("127.0.0.1", tomllib.loads((home / "stack.toml").read_text())["ports"][name]))
else:
    (home / "run" / f"{name}.ready").write_text(str(os.getpid()))
time.sleep(60)
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    package = tmp_path / "root" / "console" / "cli"
    package.mkdir(parents=True)
    for path in (package.parent / "__init__.py", package / "__init__.py"):
        path.touch()
    (package / "__main__.py").write_text(STAND_IN)
    monkeypatch.setattr(processes, "ROOT", tmp_path / "root")
    home = tmp_path / "home"
    home.mkdir()
    ports.write(home / "stack.toml", ports.choose({}, ours=()))
    yield home
    processes.stop(home)


def test_they_start_come_back_when_killed_and_stop(home: Path) -> None:
    processes.start(home)
    assert set(processes.states(home).values()) == {"running"}
    before = processes.pids(home)["bridge-0"]
    os.kill(before, signal.SIGKILL)
    until = time.monotonic() + 10
    while processes.pids(home).get("bridge-0", before) == before and time.monotonic() < until:
        time.sleep(0.05)
    assert processes.pids(home)["bridge-0"] != before
    assert processes.stop(home, ["bridge-1"]) == ["bridge-1"]
    assert processes.states(home)["bridge-1"] == "stopped"
    assert set(processes.stop(home)) == set(processes.COMMANDS) - {"bridge-1"}
    assert set(processes.states(home).values()) == {"stopped"}


def test_what_a_killed_keeper_left_running_is_ended_before_it_is_started_again(home: Path) -> None:
    processes.start(home, ["worker-0", "jobs"])
    left = processes.pids(home)["worker-0"]
    os.kill(service.pid(home, processes.KEEPER) or 0, signal.SIGKILL)
    time.sleep(0.2)
    assert processes.states(home)["worker-0"] == "died"
    processes.start(home, ["worker-0"])
    assert processes.pids(home)["worker-0"] != left
    assert not Path(f"/proc/{left}/cmdline").exists() or Path(f"/proc/{left}/cmdline").read_bytes() == b""


def test_one_that_does_not_stay_up_is_named_with_its_last_words(home: Path) -> None:
    (home / "broken").touch()
    with pytest.raises(MissingError, match=r"(?s)^jobs is not ready.*no jobs today"):
        processes.start(home, ["jobs"], patience_s=1.5)


def test_a_name_that_there_is_not_is_refused(home: Path) -> None:
    with pytest.raises(ValueError, match="there is no process bridge-7"):
        processes.start(home, ["bridge-7"])


def test_a_socket_path_too_long_for_the_kernel_goes_elsewhere(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 90)
    assert len(str(processes._socket(deep))) < processes.SOCKET_PATH_LIMIT
    assert processes._socket(Path("/srv/j")) == Path("/srv/j/run/supervisor.sock")
