"""The product under its keeper in `.local/kill`, which a test may break; and what a fleet comes to there when nobody does."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.stack import Stack
from deploy.migrate import migrate
from simulators import delivery
from tests import scratch

pytest.register_assert_rewrite("tests.e2e.programme")
from tests.e2e import programme  # noqa: E402
from tests.e2e.programme import Load, Outcome  # noqa: E402


@pytest.fixture(scope="module")
def product() -> Iterator[Stack]:
    """The services and the product, without anything of an earlier run."""
    try:
        stack = scratch.anew("kill", _say)
        migrate(stack.dsn, _say)
        programme.start(stack)
        yield stack
    finally:
        scratch.down("kill")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the fleets of a module lie."""
    return tmp_path_factory.mktemp("fleets")


@pytest.fixture(scope="module")
def quiet(product: Stack, folder: Path) -> Outcome:
    """What the same fleet comes to when nobody disturbs it."""
    fleet = programme.enrolled(product, folder, "quiet-")
    with Load(product, fleet, "quiet-") as load:
        load.settled()
    programme.counted_once(product, fleet, "quiet-", dict.fromkeys(programme.COUNTED, 0))
    return programme.outcome(product.dsn, "quiet-")


@pytest.fixture
def handfuls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gateway sends two messages at a time, so that a load with pauses is a steady one."""
    monkeypatch.setattr(delivery, "BURST", 2)


def _say(message: str) -> None:
    print(message, file=sys.stderr)
