"""The worker on the real database: the same messages give the same half hours in any order and any cut, once, however often they come."""

import asyncio
import base64
import hashlib
import itertools
import json
import random
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from ingest.enrolment import read
from ingest.segment import BrokenSegment, Message, pack
from ingest.timescale import enrol
from stream.app import Desk
from stream.interval import State
from stream.timescale import Spot, Store
from stream.work import AlreadyDone, Worker

pytestmark = pytest.mark.services

START = datetime(2021, 4, 1, tzinfo=UTC)
GATEWAYS = ("gw-a", "gw-b")
WRITTEN = "interval, message, evidence, conflict, tally, chain, position, rejected, unread, outbox"
INTERVALS = """
SELECT m.meter, extract(epoch FROM i.end_at - %s)::int / 1800, i.register_wh, extract(epoch FROM i.start_at - %s)::int / 1800, i.energy_wh, i.state, i.code
FROM interval i JOIN meter m ON m.id = i.meter ORDER BY 1, 2
"""
TALLY = "SELECT what, reason, sum(count)::int FROM tally GROUP BY what, reason"
MESSAGES = "SELECT g.gateway, m.seq, m.hash, m.refused FROM message m JOIN gateway g ON g.id = m.gateway ORDER BY 1, 2"

Readings = list[int | None]
Segments = list[list[Message]]


def tables() -> dict[str, bytes]:
    def key(kid: str) -> str:
        return base64.urlsafe_b64encode(bytes(SigningKey(hashlib.sha256(kid.encode()).digest()).verify_key)).decode()

    project = 'project = "p"\nname = "P"\nscheme = "DEMO"\nmethodology = "EN-R-002"\noperator = "o"\nregistration_applied_on = 2021-03-01\n'
    told = {
        "project.toml": project + "certified_from = 2021-04-01\ncertified_to = 2029-04-01\n",
        "sites.csv": "site,lat,lon,dc_kw,ac_kw,operation_start,exports\n" + "".join(f"s-{g},39.7,140.1,4,4,2021-03-01,yes\n" for g in GATEWAYS),
        "gateways.csv": "gateway,kid,public_key,site\n" + "".join(f"{g},k-{g},{key(g)},s-{g}\n" for g in GATEWAYS),
        "meters.csv": "meter,site,gateway,register,modulus_wh\n"
        + "".join(f"{g}-{r},s-{g},{g},{r},1000000000\n" for g in GATEWAYS for r in ("generation", "export")),
    }
    return {name: text.encode() for name, text in told.items()}


@pytest.fixture
def enrolled(database: str) -> str:
    """DSN of a database with two gateways, each with a generation and an export meter."""
    with psycopg.connect(database, autocommit=True) as connection:
        enrol(connection, read(tables()))
    return database


def message(
    gateway: str,
    seq: int,
    *,
    at: int = 0,
    generation: Readings | None = None,
    export: Readings | None = None,
    step_s: int = 1800,
    refused: str | None = None,
) -> Message:
    """A message with readings from `at` (half hours after the start) on."""
    start = (START + timedelta(minutes=30 * at)).isoformat()
    channels = [
        {"meter": f"{gateway}-{register}", "register": register, "unit": "Wh", "start": start, "step_s": step_s, "values": values}
        for register, values in (("generation", generation), ("export", export))
        if values
    ]
    fields = {"v": 1, "gateway": gateway, "seq": seq, "prev": "0" * 64, "sent_at": "2021-05-01T00:00:00Z", "channels": channels}
    payload = json.dumps(fields).encode()
    return Message(
        payload=payload,
        kid=f"k-{gateway}",
        signature=bytes(64),
        format="native",
        received_us=1_620_000_000_000_000,
        sha256=hashlib.sha256(payload).digest(),
        gateway=gateway,
        refused=refused,
    )


def spots() -> Iterator[Spot]:
    topic_id, offset = uuid4(), 0
    while True:
        yield Spot(topic_id=topic_id, partition=0, offset=offset)
        offset += 1


def with_store(dsn: str, work: Callable[[Store], Awaitable[Any]]) -> Any:
    async def go() -> Any:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            return await work(Store(connection))

    return asyncio.run(go())


def take_all(dsn: str, segments: Segments, *, forgetting: bool = False) -> None:
    """A fresh worker takes these segments of a fresh topic, or a fresh one each."""

    async def go(store: Store) -> None:
        worker = Worker()
        for spot, messages in zip(spots(), segments, strict=False):
            await (Worker() if forgetting else worker).take(store, spot, pack(messages))

    with_store(dsn, go)


def emptied(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"TRUNCATE {WRITTEN}")


def rows(dsn: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(INTERVALS, [START, START]).fetchall()


def brief(dsn: str, meter: str) -> list[tuple[int, int | None, int | None, str, str]]:
    """End and start (half hours), energy, state and code of a meter's rows."""
    return [(end, start, wh, State(state).name.lower(), code) for name, end, _, start, wh, state, code in rows(dsn) if name == meter]


def counted(dsn: str) -> dict[tuple[str, str], int]:
    with psycopg.connect(dsn) as connection:
        return {(what, reason): count for what, reason, count in connection.execute(TALLY)}


def chains(dsn: str) -> dict[int, tuple[int, bytes, dict[int, bytes]]]:
    async def read_all(store: Store) -> dict[int, tuple[int, bytes, dict[int, bytes]]]:
        known, _ = await store.gateways(GATEWAYS)
        found = await store.chains([one.id for one in known.values()])
        return {number: (chain.seq, chain.hash, chain.beyond) for number, chain in found.items()}

    return with_store(dsn, read_all)  # type: ignore[no-any-return]


def outcome(dsn: str) -> tuple[Any, ...]:
    """What may not depend on order: half hours, messages, chains, and the counts but that of repeats."""
    with psycopg.connect(dsn) as connection:
        messages = connection.execute(MESSAGES).fetchall()
    counts = {key: count for key, count in counted(dsn).items() if key[0] != "repeated"}
    return rows(dsn), messages, chains(dsn), counts


def spoilt(register: list[int], faults: random.Random) -> Readings:
    """A register as a reader sees it that misses some, says 0 and leaps now and then."""
    return [faults.choice([wh, wh, wh, wh, wh, None, 0, wh + 90_000]) for wh in register]


@st.composite
def traffic(draw: st.DrawFn) -> tuple[list[Message], Segments]:
    """Messages in order, and the same in some order, some of them again, cut into segments."""
    faults, sent = draw(st.randoms(use_true_random=False)), []
    for gateway in GATEWAYS:
        at, generation, export = 0, 5000, 100
        for seq in range(draw(st.integers(1, 7))):
            count, at = faults.choice([1, 3, 10]), at + faults.choice([0, 0, 0, 40])
            made = [generation := generation + faults.choice([0, 300, 2000]) for _ in range(count)]
            out = [export := export + faults.choice([0, 100]) for _ in range(count)]
            refused = faults.choice([None, None, None, "wrong-meter"])
            sent.append(message(gateway, seq, at=at, generation=spoilt(made, faults), export=spoilt(out, faults), refused=refused))
            at += count
    order = [*draw(st.permutations(sent)), *draw(st.lists(st.sampled_from(sent), max_size=4))]
    cuts = sorted(draw(st.sets(st.integers(1, len(order)), max_size=6)) | {0, len(order)})
    return sent, [order[a:b] for a, b in itertools.pairwise(cuts) if a < b]


@given(case=traffic())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_order_cuts_and_repeats_do_not_show(enrolled: str, case: tuple[list[Message], Segments]) -> None:
    sent, segments = case
    emptied(enrolled)
    take_all(enrolled, [sent])
    plain = outcome(enrolled)
    emptied(enrolled)
    take_all(enrolled, segments)
    assert outcome(enrolled) == plain
    repeats = sum(map(len, segments)) - len(sent)
    assert counted(enrolled).get(("repeated", ""), 0) == repeats
    emptied(enrolled)
    take_all(enrolled, segments, forgetting=True)
    assert outcome(enrolled) == plain, "a worker that forgets everything after each segment comes to other rows"


def test_a_day_of_readings_becomes_half_hours(enrolled: str) -> None:
    take_all(enrolled, [[message("gw-a", 0, generation=[100, 300, None, 700, 800], export=[10, 20, 30, 40, 50])]])
    assert brief(enrolled, "gw-a-generation") == [
        (0, None, None, "opening", ""),
        (1, 0, 200, "credited", ""),
        (3, 1, 400, "spread", ""),
        (4, 3, 100, "credited", ""),
    ]
    assert [row[2] for row in brief(enrolled, "gw-a-export")] == [None, 10, 10, 10, 10]


def test_minutes_become_the_half_hours_they_touch(enrolled: str) -> None:
    take_all(enrolled, [[message("gw-a", 0, generation=list(range(0, 610, 10)), step_s=60)]])
    assert brief(enrolled, "gw-a-generation") == [(0, None, None, "opening", ""), (1, 0, 300, "credited", ""), (2, 1, 300, "credited", "")]


def test_the_same_record_again_changes_nothing(enrolled: str) -> None:
    body, spot = pack([message("gw-a", 0, generation=[100, 300])]), next(spots())

    async def twice(store: Store) -> None:
        worker = Worker()
        assert await worker.take(store, spot, body) == {"gw-a"}
        with pytest.raises(AlreadyDone):
            await worker.take(store, spot, body)
        with pytest.raises(AlreadyDone):
            await Worker().take(store, spot, body)

    with_store(enrolled, twice)
    assert counted(enrolled) == {("accepted", ""): 1}
    assert len(rows(enrolled)) == 2


def test_the_same_messages_in_another_record_are_repeats(enrolled: str) -> None:
    sent = [message("gw-a", seq, at=seq, generation=[100 + seq]) for seq in range(3)]
    take_all(enrolled, [sent, sent])
    assert counted(enrolled) == {("accepted", ""): 3, ("repeated", ""): 3}
    assert [row[2] for row in brief(enrolled, "gw-a-generation")] == [None, 1, 1]


def three(gateway: str = "gw-a") -> list[bytes]:
    return [pack([message(gateway, seq, at=2 * seq, generation=[1000 + 200 * seq, 1100 + 200 * seq])]) for seq in range(3)]


def three_in_order(dsn: str) -> tuple[Any, ...]:
    take_all(dsn, [[message("gw-a", seq, at=2 * seq, generation=[1000 + 200 * seq, 1100 + 200 * seq])] for seq in range(3)])
    plain = outcome(dsn)
    emptied(dsn)
    return plain


def test_a_worker_that_slept_while_another_went_on_writes_nothing_wrong(enrolled: str) -> None:
    plain = three_in_order(enrolled)
    (first, second, third), at = three(), spots()
    one, two, last = next(at), next(at), next(at)

    async def share(store: Store) -> None:
        sleepy, awake = Worker(), Worker()
        await sleepy.take(store, one, first)
        await awake.take(store, two, second)
        with pytest.raises(AlreadyDone):
            await sleepy.take(store, two, second)
        await sleepy.take(store, last, third)

    with_store(enrolled, share)
    assert outcome(enrolled) == plain


def test_nor_does_one_that_is_not_told_what_the_other_did(enrolled: str) -> None:
    plain = three_in_order(enrolled)
    (first, second, third), at = three(), spots()
    one, two, last = next(at), next(at), next(at)

    async def share(store: Store) -> None:
        sleepy = Worker()
        await sleepy.take(store, one, first)
        await Worker().take(store, two, second)
        await sleepy.take(store, last, third)

    with_store(enrolled, share)
    assert outcome(enrolled) == plain


def test_other_bytes_under_a_taken_number_are_a_conflict_and_the_first_stays(enrolled: str) -> None:
    first, other = message("gw-a", 0, generation=[100, 300]), message("gw-a", 0, generation=[100, 900])
    for segments in ([[first], [other]], [[first, other]]):
        emptied(enrolled)
        take_all(enrolled, segments)
        assert counted(enrolled) == {("accepted", ""): 1, ("conflicting", ""): 1}
        assert [row[2] for row in brief(enrolled, "gw-a-generation")] == [None, 200]
        with psycopg.connect(enrolled) as connection:
            assert connection.execute("SELECT seq, place, meter, at FROM conflict").fetchall() == [(0, len(segments[0]) - 1, None, None)]


def test_a_reading_told_twice_holds_both_neighbours_whichever_came_first(enrolled: str) -> None:
    whole, other = message("gw-a", 0, generation=[100, 300, 500, 700]), message("gw-a", 1, at=1, generation=[350])
    for segments in ([[whole], [other]], [[other], [whole]], [[whole, other]], [[other, whole]]):
        emptied(enrolled)
        take_all(enrolled, segments)
        assert [(state, code) for _, _, _, state, code in brief(enrolled, "gw-a-generation")] == [
            ("opening", ""),
            ("held", "conflict"),
            ("held", "conflict"),
            ("credited", ""),
        ]
        with psycopg.connect(enrolled) as connection:
            ((values,),) = connection.execute("SELECT ARRAY[first_wh, other_wh] FROM conflict").fetchall()
        assert sorted(values) == [300, 350]


def test_a_conflict_on_the_first_reading_of_a_meter_is_not_forgotten(enrolled: str) -> None:
    sent = [message("gw-a", 0, generation=[100]), message("gw-a", 1, generation=[150]), message("gw-a", 2, at=1, generation=[300, 400])]
    take_all(enrolled, [[one] for one in sent])
    assert [(state, code) for _, _, _, state, code in brief(enrolled, "gw-a-generation")] == [("opening", ""), ("held", "conflict"), ("credited", "")]


def test_a_refused_message_keeps_its_place_and_earns_nothing(enrolled: str) -> None:
    sent = [message("gw-a", 0, generation=[100]), message("gw-a", 1, at=1, generation=[200], refused="wrong-meter"), message("gw-a", 2, at=2, generation=[300])]
    take_all(enrolled, [[sent[0]], [sent[2]], [sent[1]]])
    assert counted(enrolled) == {("accepted", ""): 2, ("refused", "wrong-meter"): 1}
    assert [chain for chain in chains(enrolled).values() if chain[0] >= 0] == [(2, sent[2].sha256, {})]
    assert brief(enrolled, "gw-a-generation") == [(0, None, None, "opening", ""), (2, 0, 200, "spread", "")]
    with psycopg.connect(enrolled) as connection:
        assert connection.execute("SELECT seq, refused FROM message ORDER BY seq").fetchall() == [(0, None), (1, "wrong-meter"), (2, None)]


def test_a_gap_in_the_chain_stops_the_chain_and_nothing_else(enrolled: str) -> None:
    sent = [message("gw-a", seq, at=seq, generation=[100 + seq]) for seq in (0, 2, 3)]
    take_all(enrolled, [sent])
    assert [chain for chain in chains(enrolled).values() if chain[0] >= 0] == [(0, sent[0].sha256, {2: sent[1].sha256, 3: sent[2].sha256})]
    assert [row[2] for row in brief(enrolled, "gw-a-generation")] == [None, 2, 1]


def test_a_chain_is_found_again_after_many_bookmarks(enrolled: str) -> None:
    sent = [message("gw-a", seq, at=seq, generation=[100 + seq]) for seq in range(300)]
    take_all(enrolled, [sent[:100], sent[100:250], sent[251:300]])
    expected = (249, sent[249].sha256, {seq: sent[seq].sha256 for seq in range(251, 300)})
    assert [chain for chain in chains(enrolled).values() if chain[0] >= 0] == [expected]


def test_bytes_that_are_no_segment_write_nothing(enrolled: str) -> None:
    async def broken(store: Store) -> None:
        with pytest.raises(BrokenSegment):
            await Worker().take(store, next(spots()), b"not a segment")

    with_store(enrolled, broken)
    with psycopg.connect(enrolled) as connection:
        assert connection.execute("SELECT count(*) FROM position").fetchone() == (0,)


def test_a_segment_that_fails_halfway_leaves_nothing_and_can_be_done_again(enrolled: str) -> None:
    good, stranger = message("gw-a", 0, generation=[100, 300]), message("gw-unknown", 0, generation=[1])
    spot = next(spots())

    async def fail_and_repeat(store: Store) -> None:
        worker = Worker()
        with pytest.raises(KeyError):
            await worker.take(store, spot, pack([good, stranger]))
        await worker.take(store, spot, pack([good]))

    with_store(enrolled, fail_and_repeat)
    assert counted(enrolled) == {("accepted", ""): 1}
    with psycopg.connect(enrolled) as connection:
        assert connection.execute("SELECT count(*) FROM evidence").fetchone() == (1,)


def test_evidence_is_kept_as_it_came(enrolled: str) -> None:
    body = pack([message("gw-a", 0, generation=[100])])
    spot = next(spots())
    with_store(enrolled, lambda store: Worker().take(store, spot, body))
    with psycopg.connect(enrolled) as connection:
        kept = connection.execute('SELECT topic_id, partition, "offset", messages, body FROM evidence').fetchall()
    assert kept == [(spot.topic_id, 0, 0, 1, body)]


def test_rejected_messages_are_kept_and_counted_once_beside_segments(enrolled: str) -> None:
    segments, refusals = spots(), Spot(topic_id=UUID(int=7), partition=2, offset=5)

    async def both() -> None:
        worker = Worker()
        desk, back_desk = Desk(enrolled, worker), Desk(enrolled, worker)
        row = ("bad-signature", "not signed by key k-gw-a", "jcredit/v1/gw-a/telemetry", 1_620_000_000_000_000, b"{}")
        work = [desk.segment(next(segments), pack([message("gw-a", seq, at=seq, generation=[100 + seq])])) for seq in range(1)]
        await asyncio.gather(*work, back_desk.rejected(refusals, row), return_exceptions=False)
        await back_desk.rejected(refusals, row)
        for one in (desk, back_desk):
            await (await one.store()).connection.close()

    asyncio.run(both())
    assert counted(enrolled) == {("accepted", ""): 1, ("refused", "bad-signature"): 1}
    with psycopg.connect(enrolled) as connection:
        assert connection.execute('SELECT partition, "offset", reason, origin, value FROM rejected').fetchall() == [
            (2, 5, "bad-signature", "jcredit/v1/gw-a/telemetry", b"{}")
        ]
