"""The numbered formulas, one promise each."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verification.methodology import en_r_002 as m
from verification.methodology import methodology, sampling
from verification.methodology.en_r_002 import FactorChoice, Incidental, Step, Treatment


@pytest.mark.parametrize(
    ("months", "step"), [(0, Step.MARGINAL), (11, Step.MARGINAL), (12, Step.MEAN), (29, Step.MEAN), (30, Step.ALL_SOURCE), (90, Step.ALL_SOURCE)]
)
def test_step_by_elapsed_months(months: int, step: Step) -> None:
    assert m.step(months) is step
    assert m.step(months, FactorChoice.ALL_SOURCE) is Step.ALL_SOURCE


def test_nothing_before_the_first_operation() -> None:
    with pytest.raises(ValueError, match="before the first operation"):
        m.step(-1)


@pytest.mark.parametrize(
    ("start", "day", "months"),
    [
        (date(2020, 4, 1), date(2021, 3, 31), 11),
        (date(2020, 4, 1), date(2021, 4, 1), 12),
        (date(2020, 1, 31), date(2020, 2, 29), 0),
        (date(2020, 1, 31), date(2020, 3, 1), 1),
    ],
)
def test_months_elapsed_are_whole(start: date, day: date, months: int) -> None:
    assert m.months_elapsed(start, day) == months


def test_cef_of_the_three_steps() -> None:
    factors = {"marginal": Decimal("0.6"), "all_source": Decimal("0.434")}
    assert [m.cef_kg_per_kwh(step, **factors) for step in Step] == [Decimal("0.6"), Decimal("0.517"), Decimal("0.434")]


def test_a_missing_factor_is_an_error_only_where_it_is_needed() -> None:
    assert m.cef_kg_per_kwh(Step.ALL_SOURCE, marginal=None, all_source=Decimal("0.434")) == Decimal("0.434")
    for step in (Step.MARGINAL, Step.MEAN):
        with pytest.raises(ValueError, match="marginal"):
            m.cef_kg_per_kwh(step, marginal=None, all_source=Decimal("0.434"))


def test_el_pj_is_generated_less_exported_less_loss() -> None:
    assert m.el_pj_wh(generated_wh=1000, exported_wh=400, battery_loss_wh=50) == 550
    assert m.el_pj_wh(generated_wh=1, exported_wh=3) == -2
    assert m.el_bl_wh(-2) == -2


def test_battery_loss_is_never_below_zero() -> None:
    assert (m.battery_loss_wh(100, 90), m.battery_loss_wh(90, 100)) == (10, 0)


def test_influences_have_their_limits() -> None:
    def item(treatment: Treatment, influence: str) -> Incidental:
        return Incidental(item="x", treatment=treatment, influence=Decimal(influence), basis="b")

    assert m.incidental_faults([item(Treatment.OMITTED, "0.0099")]) == ()
    assert len(m.incidental_faults([item(Treatment.OMITTED, "0.01")])) == 1
    assert m.incidental_faults([item(Treatment.DEDUCTED, "0.0499")]) == ()
    assert len(m.incidental_faults([item(Treatment.DEDUCTED, "0.025"), item(Treatment.DEDUCTED, "0.025")])) == 1


@pytest.mark.parametrize(("influence", "basis"), [(None, "b"), (Decimal("-0.1"), "b"), (Decimal(1), "b"), (Decimal("0.001"), " ")])
def test_an_item_that_is_not_monitored_states_influence_and_basis(influence: Decimal | None, basis: str) -> None:
    with pytest.raises(ValueError, match="not monitored"):
        Incidental(item="x", treatment=Treatment.OMITTED, influence=influence, basis=basis)


@given(st.dictionaries(st.integers(2000, 2100), st.decimals(min_value=-(10**30), max_value=10**30, places=12, allow_nan=False)))
def test_each_year_is_floored_exactly(kg: dict[int, Decimal]) -> None:
    tonnes = m.issued_t(kg)
    assert tonnes.keys() == kg.keys()
    assert all(t <= Fraction(kg[year]) / 1000 < t + 1 for year, t in tonnes.items())


def test_one_gram_short_of_a_tonne_is_none() -> None:
    assert m.issued_t({2021: Decimal("999." + "9" * 60), 2022: Decimal("1000")}) == {2021: 0, 2022: 1}


@pytest.mark.parametrize("kg", [Decimal("NaN"), Decimal("Infinity")])
def test_no_mass_is_refused(kg: Decimal) -> None:
    with pytest.raises(ValueError, match="no mass"):
        m.issued_t({2021: kg})


def test_a_float_is_refused() -> None:
    with pytest.raises(TypeError, match="never float"):
        m.issued_t({2021: 1.5})  # type: ignore[dict-item]


def test_methodologies_are_found_by_name() -> None:
    assert methodology("EN-R-002 Ver.3.7").issued_t is m.issued_t
    with pytest.raises(ValueError, match="no methodology"):
        methodology("EN-S-001")


@pytest.mark.parametrize("population", [-1, 2.5, "168", True])
def test_a_population_is_a_whole_number(population: object) -> None:
    with pytest.raises(ValueError, match="population"):
        sampling.size(population)  # type: ignore[arg-type]


@given(st.integers(0, 10**7))
def test_a_sample_is_never_more_than_its_population(population: int) -> None:
    assert sampling.size(population) <= population
    assert sampling.size(population) >= min(population, 1)
