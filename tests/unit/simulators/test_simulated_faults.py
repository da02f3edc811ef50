import numpy as np
import pytest

from simulators import fault
from simulators.fault import NOT_READ

READINGS = np.array([100, 110, 120, 130, 140, 150])


def test_booked_energy_stays_in_the_register() -> None:
    assert fault.booked(READINGS, edge=2, energy_wh=1000, modulus_wh=10_000).tolist() == [100, 110, 1120, 1130, 1140, 1150]


def test_booked_energy_may_roll_the_register_over() -> None:
    assert fault.booked(READINGS, edge=4, energy_wh=60, modulus_wh=200).tolist() == [100, 110, 120, 130, 0, 10]


def test_booked_nightly_adds_up() -> None:
    assert fault.booked_nightly(READINGS, edges=range(1, 3), energy_wh=5, modulus_wh=10_000).tolist() == [100, 115, 130, 140, 150, 160]


def test_a_register_creeps_back() -> None:
    assert fault.crept_back(READINGS, edges=range(2, 4), energy_wh=30, modulus_wh=10_000).tolist() == [100, 110, 90, 70, 80, 90]


def test_a_glitch_is_one_zero() -> None:
    assert fault.glitched(READINGS, edge=3).tolist() == [100, 110, 120, 0, 140, 150]


def test_a_reset_counts_from_zero() -> None:
    assert fault.reset(READINGS, edge=3, modulus_wh=10_000).tolist() == [100, 110, 120, 0, 10, 20]


def test_a_reset_needs_an_edge_that_was_read() -> None:
    with pytest.raises(ValueError, match="edge 1 was not read"):
        fault.reset(np.array([5, NOT_READ, 7]), edge=1, modulus_wh=10)


def test_unread_edges_are_missing_and_the_next_brings_the_lump() -> None:
    assert fault.unread(READINGS, edges=range(1, 4)).tolist() == [100, NOT_READ, NOT_READ, NOT_READ, 140, 150]


def test_what_was_not_read_stays_unread_under_every_fault() -> None:
    holed = np.array([100, NOT_READ, 120])
    assert fault.booked(holed, edge=1, energy_wh=7, modulus_wh=1000).tolist() == [100, NOT_READ, 127]


def test_readings_are_never_changed_in_place() -> None:
    before = READINGS.copy()
    fault.booked(READINGS, edge=0, energy_wh=1, modulus_wh=1000)
    fault.glitched(READINGS, edge=0)
    fault.unread(READINGS, edges=range(6))
    assert np.array_equal(READINGS, before)
