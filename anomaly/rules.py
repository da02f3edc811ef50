"""The limits of the detectors, published and named: a rule set has an id, and every flag says which one found it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """Limits of the slot tests. Noise is the resolution, a fixed power and a share of the rating: beyond it a warn, beyond the hold limits a hold."""

    id: str = "slot-1"
    noise_w: float = 5.0  # a power conditioner's standby
    noise_share: float = 0.0005
    hold_w: float = 10.0
    hold_share: float = 0.002
    negative_share: float = 0.01  # by day: more than a plant under snow draws
    meter_tolerance: float = 0.04  # two meters of 2 %, each off to its own side


RULES = Rules()
