"""A swap or reset that is recorded after its readings: the rows are judged again, and equal those made with the record known from the start."""

import asyncio
import base64
import json
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from nacl.signing import SigningKey

from ingest import enrolment, timescale
from ingest.segment import Message, pack
from simulators.wire import sign
from stream import rebuild_timescale
from stream.timescale import Spot, Store
from stream.work import Worker

pytestmark = pytest.mark.services

SCHEMA = Path(__file__).parents[2] / "deploy" / "migrations" / "0002_stream.sql"
KEY = SigningKey(bytes(range(32)))
TABLES = {
    "project.toml": b'project="p"\nname="P"\nscheme="DEMO"\nmethodology="EN-R-002"\noperator="o"\n'
    b"registration_applied_on=2021-04-01\ncertified_from=2021-04-01\ncertified_to=2029-04-01\n",
    "members.csv": b"member,activity,site,applied_on,consented_on\nmb,a,s,2021-04-01,2021-04-01\n",
    "sites.csv": b"site,lat,lon,dc_kw,ac_kw,operation_start,exports\ns,35,139,5.5,4.9,2021-03-01,yes\n",
    "meters.csv": b"meter,site,gateway,register,modulus_wh\nm,s,gw,generation,1000000000\n",
}
# 09:00 to 12:00 JST; the register is reset at 10:15, after it had counted to 5700.
VALUES = [5000, 5400, 5600, 300, 800, 1300, 1700]
RESET = """
INSERT INTO meter_event (meter, at, kind, closing_wh, opening_wh)
SELECT id, '2021-06-01T10:15+09:00', 'reset', 5700, 0 FROM meter WHERE meter = 'm'
"""
ROWS = "SELECT extract(epoch FROM end_at - '2021-06-01T00:00Z')::int / 1800, energy_wh, state, code FROM interval ORDER BY end_at"


def enrol(dsn: str) -> None:
    key = base64.urlsafe_b64encode(KEY.verify_key.encode()).rstrip(b"=")
    files = TABLES | {"gateways.csv": b"gateway,kid,public_key,site\ngw,gw-1," + key + b",s\n"}
    with psycopg.connect(dsn) as connection:
        timescale.enrol(connection, enrolment.read(files, timescale.known(connection)))


def segment() -> bytes:
    channel = {"meter": "m", "register": "generation", "unit": "Wh", "start": "2021-06-01T09:00:00+09:00", "step_s": 1800, "values": VALUES}
    body = {"v": 1, "gateway": "gw", "seq": 0, "prev": "0" * 64, "sent_at": "2021-06-01T12:00:01+09:00", "channels": [channel]}
    payload = json.dumps(body).encode()
    signature = sign(payload, bytes(range(32))).encode()
    return pack([Message(payload, "gw-1", signature, "native", 1_622_516_402_000_000, bytes(32), "gw")])


async def taken(dsn: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await Worker().take(Store(connection), Spot(topic_id=UUID(int=1), partition=0, offset=0), segment())


async def taken_up(dsn: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        store = Store(connection)
        for gateway, meter in await store.new_events():
            await Worker().take_up(store, Spot(topic_id=UUID(int=1), partition=0, offset=-1), gateway, meter)


def rows(dsn: str) -> list[tuple[int, int | None, int, str]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(ROWS).fetchall()


def test_a_reset_that_is_recorded_late_frees_what_was_held(database: str) -> None:
    enrol(database)
    asyncio.run(taken(database))
    assert [(place, state, code) for place, _, state, code in rows(database)][3:] == [(n, 3, "register-fell") for n in (3, 4, 5, 6)]
    with psycopg.connect(database) as connection:
        connection.execute(RESET)
    asyncio.run(taken_up(database))
    assert rows(database) == [(0, None, 0, ""), (1, 400, 1, ""), (2, 200, 1, ""), (3, 400, 1, "reset"), (4, 500, 1, ""), (5, 500, 1, ""), (6, 400, 1, "")]
    assert asyncio.run(rebuild_timescale.check(database, SCHEMA.read_text(), None)) is None


def test_a_record_is_taken_up_once(database: str) -> None:
    test_a_reset_that_is_recorded_late_frees_what_was_held(database)
    before = rows(database)
    asyncio.run(taken_up(database))
    assert rows(database) == before
