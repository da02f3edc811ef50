"""Nothing is lost: whatever is killed (kill -9) while gateways send, and whenever, every message counts once and the half hours are those of a quiet run.

The services have a home of their own, `.local/kill`. The product's processes are started again by their keeper; a service by `jcredit up`.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from anomaly.timescale import SlotTests
from console.cli.rebuild import SCHEMA
from deploy.local import stack as local
from deploy.local.stack import Stack
from deploy.migrate import migrate
from stream import rebuild_timescale
from tests import scratch
from tests.e2e import programme
from tests.e2e.programme import Load, Outcome

pytestmark = pytest.mark.services

VICTIMS: dict[str, Callable[[Stack], None]] = {
    "bridges": lambda stack: programme.kill_process(stack, "bridge-0", "bridge-1"),
    "worker": lambda stack: programme.kill_process(stack, "worker-0"),
    "kafka": lambda stack: programme.kill_service(stack, "kafka"),
    "mosquitto": lambda stack: programme.kill_service(stack, "mosquitto"),
    "timescaledb": lambda stack: programme.kill_service(stack, "timescaledb"),
}
MOMENTS = {"early": 0.1, "middle": 0.5, "late": 0.85}


@pytest.fixture(scope="module")
def product() -> Iterator[Stack]:
    """The services and the product, without anything of an earlier run."""
    stack = scratch.anew("kill", _say)
    try:
        migrate(stack.dsn, _say)
        programme.start(stack)
        yield stack
    finally:
        scratch.down("kill")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fleets")


@pytest.fixture(scope="module")
def quiet(product: Stack, folder: Path) -> Outcome:
    """What the same fleet comes to when nobody disturbs it."""
    fleet = programme.enrolled(product, folder, "quiet-")
    with Load(product, fleet, "quiet-") as load:
        load.settled()
    assert set(programme.stored(product.dsn, "quiet-")) == programme.made(fleet)
    return programme.outcome(product.dsn, "quiet-")


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("victim", VICTIMS)
def test_every_message_counts_once_whatever_is_killed(product: Stack, folder: Path, quiet: Outcome, victim: str, moment: str) -> None:
    prefix = f"{victim}-{moment}-"
    fleet = programme.enrolled(product, folder, prefix)
    before = programme.tally(product.dsn)
    with Load(product, fleet, prefix) as load:
        load.reach(MOMENTS[moment])
        VICTIMS[victim](product)
        local.up(product.home, _say)
        load.settled()
    _counted_once(product, fleet, prefix, before)
    assert programme.outcome(product.dsn, prefix) == quiet


def test_afterwards_all_that_is_derived_can_be_made_again_from_evidence(product: Stack, quiet: Outcome) -> None:
    assert _difference(product) is None


def _counted_once(product: Stack, fleet: programme.Fleet, prefix: str, before: dict[str, int]) -> None:
    """Exactly the messages that were made are stored, each once and under its hash, and the counts say the same."""
    made, stored = programme.made(fleet), programme.stored(product.dsn, prefix)
    assert (len(stored), set(stored)) == (len(made), made)
    after = programme.tally(product.dsn)
    assert {what: after[what] - before[what] for what in ("accepted", "conflicting", "refused")} == {"accepted": len(made), "conflicting": 0, "refused": 0}


def _difference(product: Stack) -> str | None:
    return asyncio.run(rebuild_timescale.check(product.dsn, SCHEMA.read_text(), SlotTests()))


def _say(message: str) -> None:
    print(message, file=sys.stderr)
