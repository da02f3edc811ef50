"""Nothing is lost: whatever is killed (kill -9) while gateways send, and whenever, every message counts once and the half hours are those of a quiet run.

The product's processes are started again by their keeper; a service by `jcredit up`.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local import stack as local
from deploy.local.stack import Stack
from tests.e2e import programme
from tests.e2e.programme import Load, Outcome

pytestmark = pytest.mark.services

VICTIMS: dict[str, Callable[[Stack], None]] = {
    "bridges": lambda stack: programme.kill_processes(stack, "bridge-0", "bridge-1"),
    "worker": lambda stack: programme.kill_processes(stack, "worker-0"),
    "kafka": lambda stack: programme.kill_service(stack, "kafka"),
    "mosquitto": lambda stack: programme.kill_service(stack, "mosquitto"),
    "timescaledb": lambda stack: programme.kill_service(stack, "timescaledb"),
}
QUICK = ("bridges", "kafka", "mosquitto")  # a burst would be past them before much of it is committed
PAUSE_S = 0.1
MOMENTS = {"early": 0.1, "middle": 0.5, "late": 0.85}  # by the messages that are committed


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("victim", VICTIMS)
def test_every_message_counts_once_whatever_is_killed(product: Stack, folder: Path, quiet: Outcome, handfuls: None, victim: str, moment: str) -> None:
    prefix = f"{victim}-{moment}-"
    fleet = programme.enrolled(product, folder, prefix)
    before = programme.tally(product.dsn)
    with Load(product, fleet, prefix, pause_s=PAUSE_S if victim in QUICK else 0.0) as load:
        load.reach(MOMENTS[moment])
        VICTIMS[victim](product)
        local.up(product.home, _say)
        load.settled()
    programme.counted_once(product, fleet, prefix, before)
    assert programme.outcome(product.dsn, prefix) == quiet


def test_afterwards_all_that_is_derived_can_be_made_again_from_evidence(product: Stack, quiet: Outcome) -> None:
    assert programme.difference(product.dsn) is None


def _say(message: str) -> None:
    print(message, file=sys.stderr)
