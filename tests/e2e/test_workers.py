"""Once, although Kafka delivers at least once: workers are paused, taken over from, joined and stopped under load, and a segment is put there that is none."""

import os
import signal
from pathlib import Path

import psycopg
import pytest
from kafka import KafkaProducer

from deploy.local import processes
from deploy.local.stack import Stack
from ingest.segment import partition
from tests.e2e import programme
from tests.e2e.programme import Load, Outcome

pytestmark = pytest.mark.services

OPEN = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
UNREAD = 'SELECT partition, "offset", attempts, passed_over, body, error FROM unread'
ALARMS = "SELECT value, sent_at IS NOT NULL FROM outbox WHERE topic = 'anomaly.v1' AND value->>'code' = 'unread-segment'"
SEGMENT = "SELECT body FROM evidence WHERE partition = %s ORDER BY segment LIMIT 1"
BEHIND = 'SELECT count(*) FROM evidence WHERE partition = %s AND "offset" = %s'
GARBAGE = b"these bytes are no segment"


@pytest.mark.parametrize("moment", ["between", "within"])
def test_a_worker_that_was_paused_and_taken_over_from_doubles_nothing(product: Stack, folder: Path, quiet: Outcome, handfuls: None, moment: str) -> None:
    """Paused it says nothing, so Kafka gives its partitions to another; awake again it goes on with what it had read, until the database refuses."""
    prefix = f"paused-{moment}-"
    fleet = programme.enrolled(product, folder, prefix)
    before = programme.tally(product.dsn)
    with Load(product, fleet, prefix, pause_s=0.5) as load:
        load.reach(0.1)
        first = _paused(product, within=moment == "within")
        try:
            with programme.second_worker(product):
                if moment == "between":
                    load.moves()  # the other one works now; within a segment it waits for what the first one holds
                os.kill(first, signal.SIGCONT)
                load.settled()
        finally:
            os.kill(first, signal.SIGCONT)
    programme.counted_once(product, fleet, prefix, before)
    assert programme.outcome(product.dsn, prefix) == quiet


def test_workers_that_come_and_go_under_load_double_nothing(product: Stack, folder: Path, quiet: Outcome, handfuls: None) -> None:
    fleet = programme.enrolled(product, folder, "moved-")
    before = programme.tally(product.dsn)
    with Load(product, fleet, "moved-", pause_s=1.0) as load:
        load.reach(0.05)
        with programme.second_worker(product):
            load.moves()
            processes.stop(product.home, ["worker-0"])
            load.moves()
            programme.start(product, ("worker-0",))
            load.moves()
        load.settled()
    programme.counted_once(product, fleet, "moved-", before)
    assert programme.outcome(product.dsn, "moved-") == quiet


def sent_to(product: Stack, place: int, value: bytes) -> int:
    """Put a record into a partition of the telemetry; its offset."""
    producer = KafkaProducer(bootstrap_servers=product.kafka, acks="all")
    try:
        return int(producer.send("telemetry.v1", value, partition=place).get(30).offset)
    finally:
        producer.close()


def test_what_is_no_segment_is_kept_alarmed_and_passed_over(product: Stack, folder: Path, quiet: Outcome) -> None:
    fleet = programme.enrolled(product, folder, "broken-")
    before = programme.tally(product.dsn)
    with Load(product, fleet, "broken-") as load:
        load.reach(0.1)
        place = partition(next(iter(fleet.gateways)), 4)
        offset = sent_to(product, place, GARBAGE)
        load.settled()
    programme.counted_once(product, fleet, "broken-", before)
    assert programme.outcome(product.dsn, "broken-") == quiet
    with psycopg.connect(product.dsn, autocommit=True) as connection:
        ((*where, body, error),) = connection.execute(UNREAD).fetchall()
        assert (where, body, error.partition("(")[0]) == ([place, offset, 3, True], GARBAGE, "BrokenSegment")
        programme.wait(lambda: [sent for _, sent in connection.execute(ALARMS)] == [True], "the alarm to be told")
        ((alarm, _),) = connection.execute(ALARMS).fetchall()
        assert (alarm["partition"], alarm["offset"]) == (place, offset)
        ((again,),) = connection.execute(SEGMENT, (place,)).fetchall()
        behind = sent_to(product, place, again)
        programme.wait(lambda: connection.execute(BEHIND, (place, behind)).fetchall() == [(1,)], "a segment behind it to be done")


def test_afterwards_all_that_is_derived_can_be_made_again_from_evidence(product: Stack, quiet: Outcome) -> None:
    assert programme.difference(product.dsn) is None


def _paused(product: Stack, *, within: bool) -> int:
    """Stop the worker where we want it: with a transaction open, or with none."""
    pid = processes.pids(product.home)["worker-0"]
    with psycopg.connect(product.dsn, autocommit=True) as connection:
        for _ in range(1000):
            os.kill(pid, signal.SIGSTOP)
            programme.wait_s(0.02)  # for the database to end the statement that it was at
            (transactions,) = connection.execute(OPEN).fetchone() or (0,)
            if (transactions > 0) == within:
                return pid
            os.kill(pid, signal.SIGCONT)
            programme.wait_s(0.003)
    raise AssertionError(f"the worker was never found {'within a segment' if within else 'between segments'}")
