"""The homes of a fleet as rows of the enrolment tables, with their keys. People are invented; supply points begin with the area's digits and are zeros."""

from collections.abc import Mapping, Sequence
from datetime import date

from simulators.enrolment import Gateway, Member, Meter, Row, Site
from simulators.folder import Key
from simulators.household import HomeMeter, Household
from simulators.wire import base64url, public_key

FIRMWARE = "sim-1.0"
VERIFIED_UNTIL = date(2029, 4, 30)  # the stated month is the last in which the meter is good
CALIBRATION = "meter of the power conditioner, calibrated by its maker against a class 0.5 reference, good 2020-11-16/2027-11-15, record in the plant file"
SURPLUS_ONLY = "kWh; control mode: solar surplus only, no charging from the grid (installer's setting sheet in the plant file)"
SIMULATED_LOAD = "generation is measured, the household behind it and so its export are simulated"


def tables(homes: Sequence[Household], keys: Mapping[str, Key]) -> dict[str, list[Row]]:
    """The rows of each table by its file's name."""
    return {
        "members.csv": [_member(home, number) for number, home in enumerate(homes, 1)],
        "sites.csv": [_site(home) for home in homes],
        "gateways.csv": [_gateway(home, keys[home.gateway]) for home in homes],
        "meters.csv": [_meter(home, meter) for home in homes for meter in home.meters],
    }


def _member(home: Household, number: int) -> Member:
    return Member(
        member=f"member-{home.name}",
        activity=f"act-{home.name}",
        site=home.site,
        applied_on=home.applied_on,
        consented_on=home.applied_on,
        joined_on=home.measured.joined_on if home.measured else None,
        left_on=home.measured.left_on if home.measured else None,
        name=f"架空 {number:04d}",
        address=f"架空県見本市 {home.region.name} {number}",
    )


def _site(home: Household) -> Site:
    plant = home.plant
    return Site(
        site=home.site,
        lat=plant.lat,
        lon=plant.lon,
        dc_kw=plant.dc_kw,
        ac_kw=plant.ac_kw,
        operation_start=home.operation_start,
        exports="yes",
        alt=plant.alt,
        tilt=plant.tilt,
        azimuth=plant.azimuth,
        region=home.region.name,
        pcs_maker="NREL, PVDAQ" if home.measured else "Simulated",
        pcs_model=f"{home.measured.title}; {SIMULATED_LOAD}" if home.measured else f"SIM-{plant.ac_kw}",
        pcs_serial=f"PCS{home.number:07d}",
        supply_point=f"{home.region.supply_prefix}{home.number:020d}",
        battery=f"{home.battery.capacity_wh / 1000} {SURPLUS_ONLY}" if home.battery else "",
    )


def _gateway(home: Household, key: Key) -> Gateway:
    return Gateway(gateway=home.gateway, kid=key.kid, public_key=base64url(public_key(key.seed)), site=home.site, firmware=FIRMWARE)


def _meter(home: Household, meter: HomeMeter) -> Meter:
    return Meter(
        meter=meter.meter,
        site=home.site,
        gateway=home.gateway,
        register=meter.register,
        modulus_wh=meter.modulus_wh,
        serial=meter.serial,
        resolution_wh=meter.resolution_wh,
        specified="yes" if meter.specified else "no",
        verified_until=VERIFIED_UNTIL if meter.specified else None,
        calibration="" if meter.specified else CALIBRATION,
        two_way="no",
    )
