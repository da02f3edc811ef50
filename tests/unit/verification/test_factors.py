"""A factor table: taken whole, or every bad row named."""

from datetime import date
from decimal import Decimal

import pytest

from verification.methodology.en_r_002 import Step
from verification.methodology.factors import Factor, FactorFileError, FactorTable, Kind, MissingFactorError, parse

HEAD = b"fiscal_year,kind,kg_per_kwh,source\n"


def test_a_table_is_read_with_its_hash() -> None:
    (factor,) = parse("f.csv", HEAD + "2021,all_source,0.434,環境省\n".encode(), loaded_by="op")
    assert (factor.fiscal_year, factor.kind, factor.kg_per_kwh, factor.source) == (2021, Kind.ALL_SOURCE, Decimal("0.434"), "環境省")
    assert len(factor.file_sha256) == 64
    assert not factor.confirmed


def test_every_bad_row_is_named_and_nothing_is_taken() -> None:
    rows = b"2021,all_source,0.000434,s\n2021,marginal,1.01,s\n21,marginal,0.5,s\n2021,other,0.5,s\n2021,marginal,half,s\n2021,marginal,0.5,\n2021,marginal\n"
    with pytest.raises(FactorFileError) as caught:
        parse("f.csv", HEAD + rows)
    assert [fault.split(":")[0] for fault in caught.value.faults] == [f"line {n}" for n in range(2, 9)]
    assert "t-CO2/kWh" in caught.value.faults[0]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-0.4", "1e9"])
def test_no_number_is_no_factor(value: str) -> None:
    with pytest.raises(FactorFileError):
        parse("f.csv", HEAD + f"2021,all_source,{value},s\n".encode())


@pytest.mark.parametrize("content", [b"", HEAD, b"a,b\n1,2\n", b"\xff\xfe", HEAD + b"2021,marginal,0.5,s\n2021,marginal,0.6,s\n"])
def test_what_is_no_table_is_refused(content: bytes) -> None:
    with pytest.raises(FactorFileError):
        parse("f.csv", content)


def test_a_year_that_has_not_begun_waits() -> None:
    with pytest.raises(FactorFileError, match="has not begun"):
        parse("f.csv", HEAD + b"2027,marginal,0.5,s\n", today=date(2026, 11, 22))


def test_a_missing_factor_is_an_error_never_a_default() -> None:
    table = FactorTable(factors=(factor("all_source"),))
    assert table.cef(2021, Step.ALL_SOURCE) == Decimal("0.434")
    for year, step, kind in ((2021, Step.MEAN, "marginal"), (2022, Step.ALL_SOURCE, "all_source")):
        with pytest.raises(MissingFactorError, match=f"no {kind} factor of fiscal year {year}"):
            table.cef(year, step)


def test_one_person_does_not_confirm_alone() -> None:
    assert not factor("all_source", confirmed_by="op").confirmed
    assert factor("all_source", confirmed_by="second").confirmed


def factor(kind: str, confirmed_by: str | None = None) -> Factor:
    return Factor(fiscal_year=2021, kind=Kind(kind), kg_per_kwh=Decimal("0.434"), source="s", file_sha256="a", loaded_by="op", confirmed_by=confirmed_by)
