"""From credited half hours to tonnes, in literal numbers."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from verification.disposition import dispose
from verification.methodology.en_r_002 import FactorChoice, Incidental, Step, Treatment
from verification.methodology.factors import Factor, FactorTable, Kind
from verification.period import Period
from verification.reduction import reduce, share

DAYS = 14


def reduced(claim: Any, table: Any) -> Any:
    return reduce(claim, dispose(claim), table)


def flat(small: Any, claim: Any, generation: int, export: int, **more: int) -> Any:
    """The same energy in each of the 672 half hours."""
    wh = {10: generation, 11: export, **{int(k[1:]): v for k, v in more.items()}}
    return replace(claim, activities=claim.activities[:1], series={n: small.series(np.full(DAYS * 48, e), start_s=claim.period.start_s) for n, e in wh.items()})


def test_energy_mass_and_tonnes_of_one_site(small: Any) -> None:
    claim = replace(flat(small, small.claim(), 5000, 1000), plan=replace(small.claim().plan, incidental=()))
    found = reduced(claim, small.table)
    assert found.el_pj_wh == 672 * 4000
    assert found.years[0].er_kg == Decimal("1166.592")
    assert found.tonnes == 1
    assert found.mwh_by_year() == {2021: Decimal("2.688")}


def test_a_deducted_item_takes_its_influence(small: Any) -> None:
    item = Incidental(item="PCS", treatment=Treatment.DEDUCTED, influence=Decimal("0.0065"), basis="published")
    claim = replace(flat(small, small.claim(), 5000, 1000), plan=replace(small.claim().plan, incidental=(item,)))
    year = reduced(claim, small.table).years[0]
    assert (year.em_pj_incidental_kg, year.er_kg) == (Decimal("7.5828480"), Decimal("1159.0091520"))


def test_negative_intervals_stay_negative_in_the_sum(small: Any) -> None:
    energies = np.tile([10, 30], 336)
    claim = flat(small, small.claim(), 0, 20)
    claim = replace(claim, series={**claim.series, 10: small.series(energies)})
    assert reduced(claim, small.table).el_pj_wh == 0


def test_battery_loss_is_of_the_claim_and_never_below_zero(small: Any) -> None:
    claim = small.claim(activities=(small.activity(1, battery=True), small.activity(2)))
    lossy = reduced(flat(small, claim, 500, 0, m12=100, m13=90), small.table)
    gaining = reduced(flat(small, claim, 500, 0, m12=90, m13=100), small.table)
    assert (lossy.el_pj_wh, gaining.el_pj_wh) == (672 * 490, 672 * 500)
    assert lossy.members[0].loss_wh.tolist() == [480] * DAYS


@pytest.mark.parametrize(("total", "weights", "parts"), [(10, [1, 1, 1], [3, 3, 4]), (0, [1], [0]), (7, [0, 0], [0, 0]), (5, [0, 2, 3], [0, 2, 3])])
def test_shares_sum_to_the_whole(total: int, weights: list[int], parts: list[int]) -> None:
    assert share(total, np.array(weights)).tolist() == parts


def test_a_claim_over_two_fiscal_years_is_floored_in_each(small: Any) -> None:
    period = Period(start=date(2022, 3, 25), end=date(2022, 4, 8))
    second = Factor(fiscal_year=2022, kind=Kind.ALL_SOURCE, kg_per_kwh=Decimal("0.5"), source="s", file_sha256="b")
    claim = flat(small, small.claim(period=period), 15_000, 1_000)
    found = reduced(claim, FactorTable(factors=(*small.table.factors, second)))
    assert [(y.fiscal_year, y.el_pj_wh, y.tonnes) for y in found.years] == [(2021, 336 * 14_000, 2), (2022, 336 * 14_000, 2)]
    assert found.tonnes == 4


def test_a_missing_factor_gives_no_tonnes_and_says_which(small: Any) -> None:
    found = reduced(small.claim(), FactorTable(factors=()))
    assert (found.tonnes, found.years[0].er_kg) == (None, None)
    assert "no all_source factor of fiscal year 2021" in found.missing_factors[0]


def test_steps_take_their_own_factor(small: Any) -> None:
    marginal = Factor(fiscal_year=2021, kind=Kind.MARGINAL, kg_per_kwh=Decimal("0.6"), source="s", file_sha256="b")
    claim = flat(small, small.claim(activities=(small.activity(1, operation_start=date(2020, 5, 8)),)), 5000, 1000)
    claim = replace(claim, plan=replace(claim.plan, factor=FactorChoice.STEPPED, incidental=()))
    year = reduced(claim, FactorTable(factors=(*small.table.factors, marginal))).years[0]
    assert year.wh_by_step == {Step.MARGINAL: 7 * 48 * 4000, Step.MEAN: 7 * 48 * 4000}
    assert year.em_bl_kg == Decimal(7 * 48 * 4) * (Decimal("0.6") + Decimal("0.517"))
