"""Whoever changes a shared folder does it alone, by whatever path it is reached."""

import threading
from pathlib import Path

import pytest

from deploy.local import MissingError
from deploy.local.lock import alone


def hush(message: str) -> None:
    pass


def test_who_comes_second_is_told_and_waits(tmp_path: Path) -> None:
    shared = tmp_path / "programs"
    link = tmp_path / "link"
    link.symlink_to(shared)
    order: list[str] = []
    told = threading.Event()

    def say(message: str) -> None:
        order.append(message)
        told.set()

    def come_second() -> None:
        with alone(link, say):
            order.append("second")

    second = threading.Thread(target=come_second)
    with alone(shared, hush):
        second.start()
        assert told.wait(10)
        order.append("first ends")
    second.join(10)
    assert order == [f"another `jcredit up` is at work in {link}: waiting for it", "first ends", "second"]


def test_one_after_the_other_is_told_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    for _ in range(2):
        with alone(tmp_path / "cache", said.append):
            pass
    assert said == []


def test_a_folder_that_can_not_be_is_said_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MissingError, match=r"can not be written \(.+\): .+ \$JCREDIT_HOME"), alone(tmp_path / "file" / "home", hush):
        pass
