"""The stream's detector on a real database: flags are a function of the intervals, however and however often they came."""

import asyncio
import random

import numpy as np
import psycopg
import pytest

from anomaly.timescale import SlotTests
from stream.interval import Changed, State

pytestmark = pytest.mark.services

MIDNIGHT, NOON = 1_624_201_200, 1_624_242_600  # 2021-06-21 00:00 and 11:30 JST
G, E, D, FAR_E, FAR_G = range(1, 6)  # one site behind one gateway, another behind two
ENROL = """
INSERT INTO site (site, lat, lon, dc_kw, ac_kw, operation_start, exports)
VALUES ('home', 35.68, 139.65, 5, 5, '2020-04-01', true), ('split', 35.68, 139.65, 5, 5, '2020-04-01', true);
INSERT INTO gateway (gateway, site) VALUES ('gw-1', 1), ('gw-2', 2), ('gw-3', 2);
INSERT INTO meter (meter, site, gateway, register, modulus_wh, resolution_wh)
VALUES ('m-g', 1, 1, 'generation', 1000000000, 10), ('m-e', 1, 1, 'export', 1000000000, 10), ('m-d', 1, 1, 'discharge', 1000000000, 10),
       ('far-e', 2, 2, 'export', 1000000000, 10), ('far-g', 2, 3, 'generation', 1000000000, 10);
"""
PUT = """
INSERT INTO interval VALUES (%s, to_timestamp(%s), %s, to_timestamp(%s), %s, %s, %s, 'registers-1')
ON CONFLICT (meter, end_at) DO UPDATE SET start_at = EXCLUDED.start_at, energy_wh = EXCLUDED.energy_wh, state = EXCLUDED.state, code = EXCLUDED.code
"""
CONFLICT = "INSERT INTO conflict VALUES (1, 1, %s, 0, %s, to_timestamp(%s), %s, %s) ON CONFLICT DO NOTHING"
FLAGS = "SELECT meter, extract(epoch FROM end_at)::bigint, code, level, observed, bound, energy_at_stake_wh, rule_set FROM flag ORDER BY meter, end_at, code"
TOLD = "SELECT value->>'meter', value->>'code' FROM outbox WHERE topic = 'anomaly.v1' ORDER BY id"


@pytest.fixture
def enrolled(database):
    with psycopg.connect(database) as connection:
        connection.execute(ENROL)
    return database


def row(meter, start, energy_wh, *, state=State.CREDITED, code="", minutes=30, fresh=True):
    return (meter, start, start + minutes * 60, energy_wh, int(state), code, fresh)


def changed(rows, conflicts=()):
    meter, start, end, energy, state, code, fresh = zip(*rows, strict=True)
    return Changed(
        meter=np.array(meter, np.int32),
        end_at=np.array(end, np.int64),
        start_at=np.array(start, np.int64),
        register_wh=np.zeros(len(rows), np.int64),
        energy_wh=np.array(energy, np.int64),
        state=np.array(state, np.int8),
        code=np.array(code, object),
        fresh=np.array(fresh, bool),
        conflicts=tuple(conflicts),
    )


async def apply(connection, tests, rows, conflicts=()):
    """A transaction as the worker's: rows and conflicts written, then tested."""
    async with connection.transaction():
        for meter, start, end, energy, state, code, _ in rows:
            await connection.execute(PUT, (meter, end, 0, start if start >= 0 else None, energy, state, code))
        for n, (meter, at, first, other) in enumerate(conflicts):
            await connection.execute(CONFLICT, (n, meter, at, first, other))
        await tests(connection, changed(rows, conflicts))


def run(dsn, *batches):
    """The batches in order, by one worker; then the flags."""

    async def go():
        tests = SlotTests()
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            for rows, *conflicts in batches:
                await apply(connection, tests, rows, *conflicts)

    asyncio.run(go())
    return read(dsn, FLAGS)


def read(dsn, query):
    with psycopg.connect(dsn) as connection:
        return connection.execute(query).fetchall()


def brief(flags):
    return [(meter, end, code, level) for meter, end, code, level, *_ in flags]


def test_a_night_interval_is_flagged_with_its_numbers_and_told_once(enrolled):
    batch = ([row(G, MIDNIGHT, 900), row(G, NOON, 900)],)
    assert run(enrolled, batch) == [(G, MIDNIGHT + 1800, "night-generation", "hold", 900, 20, 900, "slot-1")]
    again = ([row(G, MIDNIGHT, 900, fresh=False)],)
    assert len(run(enrolled, again, again)) == 1
    assert read(enrolled, TOLD) == [("m-g", "night-generation")]


def test_a_row_that_is_made_again_loses_the_flag_that_no_longer_holds(enrolled):
    assert run(enrolled, ([row(G, MIDNIGHT, 900)],), ([row(G, MIDNIGHT, 0, fresh=False)],)) == []


def test_a_warning_that_grows_into_a_hold_is_told(enrolled):
    run(enrolled, ([row(G, MIDNIGHT, 15)],))
    assert read(enrolled, TOLD) == []
    run(enrolled, ([row(G, MIDNIGHT, 900, fresh=False)],))
    assert read(enrolled, TOLD) == [("m-g", "night-generation")]


def test_nothing_found_writes_nothing(enrolled):
    assert run(enrolled, ([row(G, NOON, 900), row(E, NOON, 300)],), ([row(G, NOON + 1800, 900, fresh=False)],)) == []
    assert read(enrolled, TOLD) == []


@pytest.mark.parametrize("first", [0, 1])
def test_export_above_generation_is_found_whichever_register_comes_last(enrolled, first):
    batches = [([row(G, NOON, 100)],), ([row(E, NOON, 900)],)]
    flags = run(enrolled, batches[first], batches[1 - first])
    assert brief(flags) == [(G, NOON + 1800, "export-above-generation", "hold")]


def test_discharge_that_comes_later_takes_the_night_flag_away(enrolled):
    assert brief(run(enrolled, ([row(G, MIDNIGHT, 400)],))) == [(G, MIDNIGHT + 1800, "night-generation", "hold")]
    assert run(enrolled, ([row(D, MIDNIGHT, 400)],)) == []


def test_a_conflict_holds_both_neighbours_that_were_written_before(enrolled):
    run(enrolled, ([row(G, NOON, 900), row(G, NOON + 1800, 900)],))
    edge = (G, NOON + 1800, 5000, 5100)
    held = [row(G, NOON, 900, state=State.HELD, code="conflict", fresh=False)]
    flags = run(enrolled, (held, [edge]))
    assert brief(flags) == [(G, NOON + 1800, "duplicate", "hold"), (G, NOON + 3600, "duplicate", "hold")]
    assert [flag[4:6] for flag in flags] == [(5100, 5000), (5100, 5000)]


def test_a_row_that_comes_after_the_conflict_is_held_too_and_by_another_worker(enrolled):
    edge = (G, NOON + 1800, 5000, 5100)
    run(enrolled, ([row(G, NOON, 900, state=State.HELD, code="conflict")], [edge]))
    flags = run(enrolled, ([row(G, NOON + 1800, 900, state=State.HELD, code="conflict")],))
    assert brief(flags) == [(G, NOON + 1800, "duplicate", "hold"), (G, NOON + 3600, "duplicate", "hold")]


def test_a_conflict_inside_an_interval_warns(enrolled):
    spread = row(G, NOON, 900, state=State.SPREAD, minutes=120)
    run(enrolled, ([spread],))
    assert brief(run(enrolled, ([row(E, NOON, 10)], [(G, NOON + 1800, 5000, 5100)]))) == [(G, NOON + 7200, "duplicate", "warn")]
    assert brief(run(enrolled, ([(*spread[:-1], False)],))) == [(G, NOON + 7200, "duplicate", "warn")]


def test_openings_and_untrue_readings_have_no_flags(enrolled):
    rows = [(G, -1, MIDNIGHT, 0, int(State.OPENING), "", True), (G, -1, MIDNIGHT + 1800, 0, int(State.UNTRUE), "below-mark", True)]
    assert run(enrolled, (rows,)) == []


def test_a_register_that_was_never_enrolled_is_a_bug_and_says_so(enrolled):
    with pytest.raises(LookupError, match="meter 99 has intervals but is not enrolled"):
        run(enrolled, ([row(99, NOON, 1)],))


def test_a_meter_enrolled_later_is_compared_from_then_on(enrolled):
    async def go():
        tests = SlotTests()
        async with await psycopg.AsyncConnection.connect(enrolled, autocommit=True) as connection:
            await connection.execute("DELETE FROM meter WHERE id IN (2, 3)")
            await apply(connection, tests, [row(G, NOON, 100)])
            await connection.execute(
                "INSERT INTO meter (meter, site, gateway, register, modulus_wh) OVERRIDING SYSTEM VALUE VALUES ('late', 1, 1, 'export', 1000000000)"
            )
            await connection.execute(PUT, (6, NOON + 3600, 0, NOON + 1800, 900, 1, ""))
            await apply(connection, tests, [row(G, NOON + 1800, 100)])

    asyncio.run(go())
    assert brief(read(enrolled, FLAGS)) == [(G, NOON + 3600, "export-above-generation", "hold")]


WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = %s)"


async def transaction(dsn, rows, tested, may_commit):
    """Another worker's transaction: `tested` is set when its slot tests are done, and it commits when it may."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection, connection.transaction():
        for meter, start, end, energy, state, code, _ in rows:
            await connection.execute(PUT, (meter, end, 0, start, energy, state, code))
        await SlotTests()(connection, changed(rows))
        tested.set()
        await may_commit.wait()


@pytest.mark.timeout(60)
def test_two_workers_that_write_the_two_halves_at_once_still_find_it(enrolled):
    run(enrolled, ([row(FAR_G, NOON - 1800, 0)],))  # the chunk is there: making one locks the table until commit

    async def both():
        first_tested, first_may, second_tested, second_may = (asyncio.Event() for _ in range(4))
        first = asyncio.create_task(transaction(enrolled, [row(FAR_G, NOON, 100)], first_tested, first_may))
        await first_tested.wait()
        second = asyncio.create_task(transaction(enrolled, [row(FAR_E, NOON, 900)], second_tested, second_may))
        async with await psycopg.AsyncConnection.connect(enrolled, autocommit=True) as watch:
            while not second_tested.is_set() and not (await (await watch.execute(WAITING, (watch.info.dbname,))).fetchone())[0]:
                await asyncio.sleep(0.01)
        assert not second_tested.is_set()
        first_may.set()
        second_may.set()
        await asyncio.gather(first, second)

    asyncio.run(both())
    assert brief(read(enrolled, FLAGS)) == [(FAR_G, NOON + 1800, "export-above-generation", "hold")]


@pytest.mark.parametrize("seed", range(4))
def test_any_order_and_any_batches_give_the_same_flags(enrolled, seed):
    chance = random.Random(7)
    rows = [row(m, MIDNIGHT + 1800 * k, chance.choice([0, 12, 40, 700, 2400, 9000, -300])) for m in (G, E, D, FAR_E, FAR_G) for k in range(30)]
    whole = run(enrolled, (rows,))
    assert len(whole) > 30
    with psycopg.connect(enrolled) as connection:
        connection.execute("DELETE FROM flag")
        connection.execute("DELETE FROM interval")
    random.Random(seed).shuffle(rows)
    assert run(enrolled, *((rows[n : n + 7],) for n in range(0, len(rows), 7))) == whole
