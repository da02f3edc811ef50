import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from nacl.signing import VerifyKey

from simulators import folder, gateway
from simulators.folder import Key, day_channels
from simulators.live import live_items, reading_wh, share_of_day
from simulators.spool import Item, Spool
from simulators.wire import GENESIS, JST, Channel, digest, public_key, sign, status, telemetry

SEED = bytes(range(32))
NOON = datetime(2021, 4, 1, 12, tzinfo=JST)
SIGNED_AT = datetime(2026, 4, 1, 0, 15, 2, 999_999, tzinfo=UTC)
CHANNEL = Channel(meter="m-1-g", register="generation", start=NOON, step_s=60, values=(1203400, 1203512, None, 1203790))


def test_a_message_is_written_as_the_wire_says() -> None:
    payload = telemetry(gateway="gw-1", seq=1842, prev="ab" * 32, sent_at=SIGNED_AT, channels=[CHANNEL])
    assert payload == (
        b'{"v":1,"gateway":"gw-1","seq":1842,"prev":"' + b"ab" * 32 + b'","sent_at":"2026-04-01T09:15:02+09:00","channels":['
        b'{"meter":"m-1-g","register":"generation","unit":"Wh","start":"2021-04-01T12:00:00+09:00","step_s":60,"values":[1203400,1203512,null,1203790]}]}'
    )


def test_a_signature_is_unpadded_base64url_of_ed25519_over_the_exact_bytes() -> None:
    signature = sign(b"payload", SEED)
    assert len(signature) == 86
    VerifyKey(public_key(SEED)).verify(b"payload", base64.urlsafe_b64decode(signature + "=="))


@pytest.mark.parametrize("value", [-1, 2**53 + 1])
def test_a_value_that_no_register_shows_is_refused(value: int) -> None:
    with pytest.raises(ValueError, match="m-1-g"):
        Channel(meter="m-1-g", register="generation", start=NOON, step_s=60, values=(value,))


def test_a_register_that_the_wire_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="'solar'"):
        Channel(meter="m-1-g", register="solar", start=NOON, step_s=60, values=(1,))


def test_a_start_without_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        Channel(meter="m-1-g", register="generation", start=datetime(2021, 4, 1), step_s=60, values=(1,))  # noqa: DTZ001


def test_a_status_says_how_much_waits() -> None:
    told = json.loads(status(gateway="gw-1", state="online", at=SIGNED_AT, version="sim-1.0", spooled=7))
    assert told == {
        "v": 1, "gateway": "gw-1", "state": "online", "at": "2026-04-01T09:15:02+09:00", "version": "sim-1.0", "spooled": 7, "clock_offset_ms": 0,
    }  # fmt: skip


def test_a_year_is_spooled_as_one_chain_a_gateway(fleet_folder: Path) -> None:
    fleet, spool = folder.load(fleet_folder), Spool(fleet_folder / "spool.db")
    assert gateway.spool_year(fleet, spool, clock=lambda: SIGNED_AT) == 6
    for name in fleet.gateways:
        messages = [spool.message(name, seq) for seq in range(spool.count(name))]
        told = [json.loads(message.payload) for message in messages]
        assert [one["seq"] for one in told] == [0, 1, 2]
        assert [one["prev"] for one in told] == [GENESIS, *(hashlib.sha256(message.payload).hexdigest() for message in messages[:-1])]
        for message in messages:
            VerifyKey(public_key(fleet.keys()[name].seed)).verify(message.payload, base64.urlsafe_b64decode(message.sig + "=="))
            assert message.kid == f"{name}-k1"


def test_the_spool_survives_and_gives_the_same_bytes(fleet_folder: Path) -> None:
    fleet, first = folder.load(fleet_folder), Spool(fleet_folder / "spool.db")
    gateway.spool_year(fleet, first, clock=lambda: SIGNED_AT)
    before = first.message("gw-0001", 2)
    first.close()
    again = Spool(fleet_folder / "spool.db")
    assert gateway.spool_year(fleet, again, clock=lambda: SIGNED_AT + timedelta(days=1)) == 0
    assert again.message("gw-0001", 2) == before


def test_a_crash_while_signing_leaves_no_half_chain(fleet_folder: Path) -> None:
    fleet, spool = folder.load(fleet_folder), Spool(fleet_folder / "spool.db")
    signings = iter([SIGNED_AT, SIGNED_AT])
    with pytest.raises(StopIteration):
        spool.extend("gw-0001", Key(kid="k", seed=SEED), _days(fleet), clock=lambda: next(signings))
    assert spool.count("gw-0001") == 0
    assert spool.extend("gw-0001", Key(kid="k", seed=SEED), _days(fleet), clock=lambda: SIGNED_AT) == 3


def test_what_is_added_later_goes_on_in_the_chain(fleet_folder: Path) -> None:
    fleet, spool = folder.load(fleet_folder), Spool(fleet_folder / "spool.db")
    gateway.spool_year(fleet, spool, clock=lambda: SIGNED_AT)
    items = live_items(fleet, fleet.registers(), now=SIGNED_AT, messages=2, readings_each=15)
    assert spool.extend("gw-0001", fleet.keys()["gw-0001"], items, clock=lambda: SIGNED_AT) == 2
    told = json.loads(spool.message("gw-0001", 3).payload)
    assert told["prev"] == digest(spool.message("gw-0001", 2).payload)
    assert told["channels"][0]["start"] == "2026-04-01T08:46:00+09:00"
    assert told["channels"][0]["step_s"] == 60


def test_a_message_that_was_never_made_is_named(fleet_folder: Path) -> None:
    with pytest.raises(KeyError, match="gw-0001 has no message 5"):
        Spool(fleet_folder / "spool.db").message("gw-0001", 5)


def test_a_live_reading_is_of_the_past_never_falls_and_never_differs(fleet_folder: Path) -> None:
    fleet = folder.load(fleet_folder)
    readings, end = fleet.registers()["m-0001-g"], fleet.start + timedelta(days=3)
    minutes = [end + timedelta(days=5, minutes=minute) for minute in range(2880)]
    values = [reading_wh(readings, modulus_wh=10**9, days=3, end=end, at=minute) for minute in minutes]
    assert values == sorted(values)
    assert values[0] == values[8 * 60]  # dark until 08:00
    assert values[1440] - values[0] == pytest.approx((readings[-1] - readings[0]) / 3, abs=2)
    items = live_items(fleet, fleet.registers(), now=SIGNED_AT, messages=5, readings_each=1)
    again = live_items(fleet, fleet.registers(), now=SIGNED_AT, messages=5, readings_each=1)
    assert [(what, make()) for what, make in items] == [(what, make()) for what, make in again]
    assert items[-1][1]()[0].start <= SIGNED_AT


def test_a_live_reading_within_the_simulated_year_is_refused(fleet_folder: Path) -> None:
    fleet = folder.load(fleet_folder)
    with pytest.raises(ValueError, match="simulated year"):
        reading_wh(fleet.registers()["m-0001-g"], modulus_wh=10**9, days=3, end=fleet.start + timedelta(days=3), at=fleet.start)


def test_a_day_of_sun_runs_from_eight_to_four() -> None:
    assert [share_of_day(hour) for hour in (0.0, 8.0, 16.0, 23.9)] == [0.0, 0.0, 1.0, 1.0]
    assert share_of_day(12.0) == pytest.approx(0.5)


def test_a_day_without_a_reading_has_no_message(fleet_folder: Path) -> None:
    spool = Spool(fleet_folder / "spool.db")
    assert spool.extend("gw-0001", Key(kid="k", seed=SEED), [("day:0", tuple), ("day:1", lambda: [CHANNEL])], clock=lambda: SIGNED_AT) == 1
    assert json.loads(spool.message("gw-0001", 0).payload)["channels"][0]["meter"] == "m-1-g"


def _days(fleet: folder.Fleet) -> list[Item]:
    registers = fleet.registers()
    return [(f"day:{day}", partial(day_channels, fleet, registers, "gw-0001", day)) for day in range(3)]
