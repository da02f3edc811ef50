"""Ports are chosen once, kept, and chosen again only where somebody else has taken one."""

import socket
from pathlib import Path

from deploy.local import ports


def test_every_name_gets_a_free_port_of_its_own() -> None:
    chosen = ports.choose({}, ours=())
    assert list(chosen) == list(ports.NAMES)
    assert len(set(chosen.values())) == len(ports.NAMES)
    assert all(ports.LOWEST <= port <= ports.HIGHEST and ports.is_free(port) for port in chosen.values())


def test_ports_survive_a_restart(tmp_path: Path) -> None:
    chosen = ports.choose({}, ours=())
    ports.write(tmp_path / "stack.toml", chosen)
    assert ports.choose(ports.read(tmp_path / "stack.toml"), ours=()) == chosen


def test_a_port_that_somebody_took_is_chosen_again_and_the_others_stay() -> None:
    chosen = ports.choose({}, ours=())
    with socket.create_server((ports.HOST, chosen["mqtt"])):
        again = ports.choose(chosen, ours=())
    assert again["mqtt"] != chosen["mqtt"]
    assert {**again, "mqtt": 0} == {**chosen, "mqtt": 0}


def test_a_port_that_our_own_service_holds_stays() -> None:
    chosen = ports.choose({}, ours=())
    with socket.create_server((ports.HOST, chosen["mqtt"])):
        assert ports.choose(chosen, ours={"mqtt"}) == chosen


def test_before_the_first_start_there_are_none(tmp_path: Path) -> None:
    assert ports.read(tmp_path / "stack.toml") == {}


def test_answers_tells_a_listener_from_nobody() -> None:
    with socket.create_server((ports.HOST, 0)) as server:
        port = server.getsockname()[1]
        assert ports.answers(port)
    assert not ports.answers(port)
