import csv
import stat
import tomllib
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from simulators import fleet, folder
from simulators.fault import NOT_READ
from simulators.folder import Fleet, FleetError, day_channels
from simulators.home import Battery, flows, register_wh
from simulators.sky import KUMAMOTO, SAITAMA, Plant, power_w, weather
from simulators.wire import JST

MAY = datetime(2021, 5, 1, tzinfo=JST)
ROOF = Plant(lat=35.86, lon=139.65, alt=15, dc_kw=5.0, ac_kw=4.0, tilt=25, azimuth=180)
FALLS = {"register-glitch", "negative", "register-reset"}


def rows(fleet: Fleet, name: str) -> list[dict[str, str]]:
    with (fleet.folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_same_seed_gives_the_same_registers_and_tables(tmp_path: Path, small_fleet: Fleet) -> None:
    again = fleet.build(tmp_path / "again", members=20, days=30, seed=1)
    first, second = small_fleet.registers(), again.registers()
    assert list(first) == list(second)
    assert all(np.array_equal(first[meter], second[meter]) for meter in first)
    for name in ("enrolment/sites.csv", "enrolment/members.csv", "enrolment/meters.csv", "enrolment/project.toml", "labels.csv"):
        assert (small_fleet.folder / name).read_bytes() == (again.folder / name).read_bytes()


def test_another_seed_gives_other_registers(tmp_path: Path, fleet_folder: Path) -> None:
    other = fleet.build(tmp_path / "other", members=2, days=3, seed=2).registers()
    assert any(not np.array_equal(readings, other[meter]) for meter, readings in folder.load(fleet_folder).registers().items())


def test_a_bigger_fleet_holds_the_smaller_one(tmp_path: Path, fleet_folder: Path) -> None:
    bigger = fleet.build(tmp_path / "bigger", members=3, days=3, seed=1).registers()
    assert all(np.array_equal(readings, bigger[meter]) for meter, readings in folder.load(fleet_folder).registers().items())


def test_a_prefix_changes_every_name_and_no_register(tmp_path: Path) -> None:
    plain = fleet.build(tmp_path / "plain", members=4, days=2, seed=1)
    other = fleet.build(tmp_path / "other", members=4, days=2, seed=1, prefix="p-")
    assert list(other.gateways) == ["gw-p-0001", "gw-p-0002", "gw-p-real-serf-east", "gw-p-real-pvdaq-50"]
    for file, columns in (("members.csv", ("member", "activity", "site")), ("gateways.csv", ("gateway", "kid")), ("meters.csv", ("meter",))):
        before, after = rows(plain, f"enrolment/{file}"), rows(other, f"enrolment/{file}")
        assert not {row[name] for row in before for name in columns} & {row[name] for row in after for name in columns}
    pairs = zip(plain.registers().values(), other.registers().values(), strict=True)
    assert all(np.array_equal(first, second) for first, second in pairs)


def test_built_again_it_keeps_its_keys_and_touches_nothing(fleet_folder: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in fleet_folder.iterdir()}
    fleet.build(fleet_folder, members=2, days=3, seed=1)
    assert {path.name: path.stat().st_mtime_ns for path in fleet_folder.iterdir()} == before


def test_an_interrupted_build_keeps_the_keys_it_had_made(fleet_folder: Path) -> None:
    keys = folder.load(fleet_folder).keys()
    (fleet_folder / "fleet.json").unlink()
    assert fleet.build(fleet_folder, members=2, days=3, seed=1).keys() == keys


def test_a_folder_with_another_fleet_is_left_alone(fleet_folder: Path) -> None:
    with pytest.raises(FleetError, match="choose another folder"):
        fleet.build(fleet_folder, members=2, days=3, seed=7)


@pytest.mark.parametrize(("members", "days"), [(0, 3), (2, 0), (2, 367)])
def test_a_fleet_of_nothing_is_refused(tmp_path: Path, members: int, days: int) -> None:
    with pytest.raises(FleetError, match="at least 1 member"):
        fleet.build(tmp_path / "none", members=members, days=days)


def test_keys_are_readable_by_their_owner_alone(fleet_folder: Path) -> None:
    assert stat.S_IMODE((fleet_folder / "keys.json").stat().st_mode) == 0o600


def test_the_project_is_the_demo(small_fleet: Fleet) -> None:
    project = tomllib.loads((small_fleet.folder / "enrolment/project.toml").read_text(encoding="utf-8"))
    assert (project["project"], project["scheme"], project["methodology"]) == ("demo-fy2021", "DEMO", "EN-R-002")
    days = (project["registration_applied_on"], project["certified_from"], project["certified_to"])
    assert days == (date(2021, 3, 1), date(2021, 4, 1), date(2029, 4, 1))


def test_every_member_applied_within_two_years_of_operation(small_fleet: Fleet) -> None:
    started = {row["site"]: date.fromisoformat(row["operation_start"]) for row in rows(small_fleet, "enrolment/sites.csv")}
    for member in rows(small_fleet, "enrolment/members.csv"):
        applied = date.fromisoformat(member["applied_on"])
        assert applied <= date(2021, 3, 31)
        assert 0 < (applied - started[member["site"]]).days < 730


def test_every_site_has_generation_and_export_under_its_own_meter_ids(small_fleet: Fleet) -> None:
    meters = rows(small_fleet, "enrolment/meters.csv")
    assert len({row["meter"] for row in meters}) == len(meters)
    for site in {row["site"] for row in meters}:
        assert {"generation", "export"} <= {row["register"] for row in meters if row["site"] == site}


def test_a_home_with_a_battery_meters_it(small_fleet: Fleet) -> None:
    with_battery = {row["site"] for row in rows(small_fleet, "enrolment/sites.csv") if row["battery"]}
    charging = {row["site"] for row in rows(small_fleet, "enrolment/meters.csv") if row["register"] in {"charge", "discharge"}}
    assert len(with_battery) == 3
    assert charging == with_battery


def test_a_meter_that_is_not_specified_states_its_calibration(small_fleet: Fleet) -> None:
    meters = rows(small_fleet, "enrolment/meters.csv")
    assert {row["specified"] for row in meters} == {"yes", "no"}
    assert all(bool(row["verified_until"]) == (row["specified"] == "yes") and bool(row["calibration"]) == (row["specified"] == "no") for row in meters)


def test_registers_fall_only_where_a_label_says_so(small_fleet: Fleet) -> None:
    labelled = {row["meter"] for row in rows(small_fleet, "labels.csv") if row["kind"] in FALLS}
    modulus = {meter.meter: meter.modulus_wh for meters in small_fleet.gateways.values() for meter in meters}
    for meter, readings in small_fleet.registers().items():
        read = readings[readings != NOT_READ]
        steps = np.diff(read) % modulus[meter]
        assert (steps > modulus[meter] // 2).any() == (meter in labelled)


def test_export_is_above_generation_only_where_a_label_says_so(small_fleet: Fleet) -> None:
    labelled = {row["site"] for row in rows(small_fleet, "labels.csv") if row["kind"] in {*FALLS, "export-above-generation"}}
    meters = {(row["site"], row["register"]): row for row in rows(small_fleet, "enrolment/meters.csv")}
    registers = small_fleet.registers()
    above = set()
    for site in {site for site, _ in meters}:
        generation, export = meters[site, "generation"], meters[site, "export"]
        made, sold = registers[generation["meter"]], registers[export["meter"]]
        more = np.where(_both_read(made) & _both_read(sold), np.diff(sold) - np.diff(made), 0)
        if (more > int(generation["resolution_wh"]) + int(export["resolution_wh"])).any():
            above.add(site)
    assert above <= labelled
    assert "site-0014" in above


def _both_read(readings: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray((readings[1:] != NOT_READ) & (readings[:-1] != NOT_READ))


def test_at_most_six_sites_have_faults_and_every_kind_is_there(small_fleet: Fleet) -> None:
    faults = [row for row in rows(small_fleet, "labels.csv") if row["kind"] != "simulated-export"]
    assert len({row["site"] for row in faults}) == 6
    assert {row["kind"] for row in faults} == {
        "night-generation", "above-rating", "register-glitch", "negative", "register-reset",
        "gap", "export-above-generation", "silent", "other-value",
    }  # fmt: skip


def test_what_is_simulated_of_a_measured_plant_is_said(small_fleet: Fleet) -> None:
    simulated = {row["site"] for row in rows(small_fleet, "labels.csv") if row["kind"] == "simulated-export"}
    assert simulated == {"real-serf-east", "real-pvdaq-50"}
    models = [row["pcs_model"] for row in rows(small_fleet, "enrolment/sites.csv") if row["site"] in simulated]
    assert all("measured plant" in model and "MIT" in model and "simulated" in model for model in models)


def test_a_silent_week_has_no_message(small_fleet: Fleet) -> None:
    registers = small_fleet.registers()
    told = [day for day in range(30) if day_channels(small_fleet, registers, "gw-0017", day)]
    assert [day for day in range(30) if day not in told] == list(range(10, 17))


def test_a_day_has_48_readings_and_the_last_one_its_closing_midnight(small_fleet: Fleet) -> None:
    registers = small_fleet.registers()
    first = day_channels(small_fleet, registers, "gw-0001", 0)
    last = day_channels(small_fleet, registers, "gw-0001", 29)
    assert [len(channel.values) for channel in first] == [48, 48]
    assert [len(channel.values) for channel in last] == [49, 49]
    assert first[0].start.isoformat() == "2021-04-01T00:00:00+09:00"


def test_other_values_come_a_day_later_in_a_channel_of_their_own(small_fleet: Fleet) -> None:
    registers = small_fleet.registers()
    channels = day_channels(small_fleet, registers, "gw-0017", 22)
    assert [channel.start.isoformat() for channel in channels] == ["2021-04-23T00:00:00+09:00"] * 2 + ["2021-04-22T11:00:00+09:00"]
    true = registers["m-0017-g"][21 * 48 + 22 : 21 * 48 + 24]
    assert list(channels[2].values) == [int(value) + 500 for value in true]


def test_homes_of_a_region_share_its_weather_and_regions_do_not() -> None:
    def generated(region_seed: int, home_seed: int) -> npt.NDArray[Any]:
        sky = weather(SAITAMA, start=MAY, days=40, rng=np.random.default_rng(region_seed))
        return np.asarray(power_w(ROOF, sky, rng=np.random.default_rng(home_seed)).reshape(40, 48).sum(axis=1))

    mates = np.corrcoef(generated(1, 10), generated(1, 11))[0, 1]
    strangers = np.corrcoef(generated(1, 10), generated(2, 11))[0, 1]
    assert mates > 0.98
    assert abs(strangers) < 0.5


def test_power_is_clipped_at_the_inverter_and_nothing_at_night() -> None:
    sky = weather(KUMAMOTO, start=MAY, days=10, rng=np.random.default_rng(3))
    power = power_w(replace(ROOF, ac_kw=3.0), sky, rng=np.random.default_rng(4)).reshape(10, 48)
    assert power.max() == pytest.approx(3000, rel=0.001)
    assert power[:, :9].max() == 0  # to 04:30 JST
    assert power[:, 39:].max() == 0  # from 19:30 JST


def test_a_battery_takes_surplus_and_gives_back_less() -> None:
    generated, used = np.array([3000, 3000, 0, 0, 0]), np.array([500, 500, 900, 900, 900])
    through = flows(generated, used, Battery(capacity_wh=2000, most_wh=1500, one_way=0.9))
    assert through["charge"].tolist() == [1500, 722, 0, 0, 0]
    assert through["export"].tolist() == [1000, 1778, 0, 0, 0]
    assert through["discharge"].tolist() == [0, 0, 900, 899, 0]


def test_a_register_is_cut_to_its_resolution_and_rolls_over_at_its_modulus() -> None:
    readings = register_wh(np.array([260, 250, 250]), opening_wh=9_480, modulus_wh=10_000, resolution_wh=100)
    assert readings.tolist() == [9_400, 9_700, 9_900, 200]
