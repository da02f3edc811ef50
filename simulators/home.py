"""A household behind the meter: what it uses, what its battery does, what is left for the grid.

Energies are integer Wh a half hour, so that sums are exact: generated = used at home + charged + exported in every half hour.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from simulators.sky import SLOTS_A_DAY, winterness

Energies = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """A home battery that charges from solar surplus only. Half of the loss falls on the way in, half on the way out."""

    capacity_wh: int
    most_wh: int
    one_way: float = 0.95


def load_wh(*, start: datetime, days: int, yearly_kwh: float, rng: np.random.Generator) -> Energies:
    """What a household uses by the half hour: morning and evening peaks, cold and hot seasons, busier weekends, its own noise."""
    slots = days * SLOTS_A_DAY
    hour = np.arange(slots) % SLOTS_A_DAY / 2 + 0.25
    weekend = (np.arange(slots) // SLOTS_A_DAY + start.weekday()) % 7 >= 5
    shape = 0.6 + 0.8 * _peak(hour, 7, 1.0) + 1.4 * _peak(hour, 19.5, 2.2) + 0.25 * _peak(hour, 13, 3) * (1 + weekend)
    winter = winterness(start, days)
    shape *= 0.75 + 0.45 * winter + 0.25 * _peak(winter, 0, 0.15)
    shape *= rng.lognormal(-0.06, 0.35, slots)
    expected = yearly_kwh * 1000 * days / 365.25
    return np.asarray(np.rint(shape * (expected / shape.sum())), dtype=np.int64)


def _peak(at: npt.NDArray[np.float64], middle: float, width: float) -> npt.NDArray[np.float64]:
    return np.asarray(np.exp(-0.5 * ((at - middle) / width) ** 2))


def flows(generated_wh: Energies, used_wh: Energies, battery: Battery | None) -> Mapping[str, Energies]:
    """Energy through each register by the half hour: generation and export, and with a battery charge and discharge too."""
    surplus = np.maximum(generated_wh - used_wh, 0)
    if battery is None:
        return {"generation": generated_wh, "export": surplus}
    charged, discharged = _cycle(surplus, np.maximum(used_wh - generated_wh, 0), battery)
    return {"generation": generated_wh, "export": surplus - charged, "charge": charged, "discharge": discharged}


def _cycle(surplus_wh: Energies, wanted_wh: Energies, battery: Battery) -> tuple[Energies, Energies]:
    """Charge what is left over, give back what is wanted, within capacity and power."""
    held = 0.0
    charged, discharged = np.zeros_like(surplus_wh), np.zeros_like(surplus_wh)
    for slot, (surplus, wanted) in enumerate(zip(surplus_wh.tolist(), wanted_wh.tolist(), strict=True)):
        put = min(surplus, battery.most_wh, int((battery.capacity_wh - held) / battery.one_way))
        got = min(wanted, battery.most_wh, int(held * battery.one_way))
        held += put * battery.one_way - got / battery.one_way
        charged[slot], discharged[slot] = put, got
    return charged, discharged


def register_wh(energies: Energies, *, opening_wh: int, modulus_wh: int, resolution_wh: int) -> Energies:
    """What the meter shows at every half-hour edge: opening plus all since, cut to its resolution, rolled over at its modulus."""
    total = opening_wh + np.concatenate([[0], np.cumsum(energies)])
    return np.asarray(total // resolution_wh * resolution_wh % modulus_wh, dtype=np.int64)
