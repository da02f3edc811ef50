"""The published numbers of the domain page, to the last digit."""

from decimal import Decimal

import pytest

from verification.methodology import en_r_002, sampling

FORECAST_T = {2021: "97.3", 2022: "300.5", 2023: "453.1", 2024: "605.4", 2025: "751.9", 2026: "901.3", 2027: "1050.7", 2028: "1140.3"}


def test_eight_years_floored_sum_to_5297() -> None:
    kg = {year: Decimal(t) * 1000 for year, t in FORECAST_T.items()}
    assert sum(en_r_002.issued_t(kg).values()) == 5297


def test_361_0_less_252_7_is_108() -> None:
    kg = en_r_002.er_kg(Decimal("361000"), Decimal("252700"))
    assert en_r_002.issued_t({2021: kg}) == {2021: 108}


@pytest.mark.parametrize(("population", "size"), [(168, 49), (288, 56), (408, 59), (528, 61), (648, 62), (768, 63), (888, 64), (1008, 64)])
def test_published_sample_sizes(population: int, size: int) -> None:
    assert sampling.size(population) == size


def test_influence_of_the_pcs_is_0_6_percent() -> None:
    assert round(en_r_002.influence(Decimal("3.1"), Decimal("479")) * 100, 1) == Decimal("0.6")


def test_all_source_fy2021_in_kg() -> None:
    assert en_r_002.em_bl_kg(1_000_000, Decimal("0.434")) == Decimal("434")
