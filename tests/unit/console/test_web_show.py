"""How values are written, and the text of /metrics."""

from datetime import UTC, datetime
from decimal import Decimal

from console.web.metrics import Family, exposition
from console.web.show import jst, kwh, number, span


def test_times_are_japans() -> None:
    assert [jst(datetime(2021, 3, 31, 15, 30, tzinfo=UTC)), jst(None)] == ["2021-04-01 00:30", "–"]


def test_energies_keep_every_wh() -> None:
    assert [kwh(1_234_567), kwh(0), kwh(-5), kwh(None)] == ["1,234.567", "0.000", "-0.005", "–"]


def test_numbers_are_grouped_and_keep_their_digits() -> None:
    assert [number(1234567), number(2938.5), number(3.0), number(Decimal("2.224859")), number(None)] == ["1,234,567", "2,938.5", "3", "2.224859", "–"]


def test_a_span_is_said_in_two_units() -> None:
    assert [span(s, "d", "h", "min") for s in (None, -5, 59, 3599, 4800, 273_600)] == ["–", "0 min", "0 min", "59 min", "1 h 20 min", "3 d 4 h"]


def test_metrics_are_prometheus_text_whatever_a_label_says() -> None:
    family = Family(name="m_total", kind="counter", text="Messages.", samples=(({"reason": 'a"b\\c\nd'}, 3), ({}, 1234567890123)))
    assert exposition([family]) == '# HELP m_total Messages.\n# TYPE m_total counter\nm_total{reason="a\\"b\\\\c\\nd"} 3\nm_total 1234567890123\n'
