"""What is said when there is no stack, and where things are when there is one."""

from pathlib import Path

import pytest

from deploy.local import MissingError, ports, stack


def test_no_stack_is_said_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="make one with `jcredit up`"):
        stack.load(tmp_path)


@pytest.mark.parametrize("text", ["mqtt = ", 'mqtt = "127.0.0.1:1883"'])
def test_a_broken_stack_file_is_said_with_the_way_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "stack.toml").write_text(text)
    with pytest.raises(MissingError, match="remove it and run `jcredit up`"):
        stack.load(tmp_path)


def test_addresses_are_those_of_the_file(tmp_path: Path) -> None:
    held = {name: 20_000 + n for n, name in enumerate(ports.NAMES)}
    ports.write(tmp_path / "stack.toml", held)
    assert stack.load(tmp_path) == stack.Stack(
        home=tmp_path,
        mqtt="127.0.0.1:20000",
        kafka="127.0.0.1:20001",
        dsn="host=127.0.0.1 port=20003 dbname=jcredit user=jcredit",
        console="http://127.0.0.1:20004",
        registry="http://127.0.0.1:20005",
    )


def test_nothing_runs_before_the_first_start(tmp_path: Path) -> None:
    assert stack.states(tmp_path) == {"mosquitto": "stopped", "kafka": "stopped", "timescaledb": "stopped"}
    assert stack.down(tmp_path) == []
