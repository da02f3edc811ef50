"""A serial has one spelling, and a block holds both its ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_client import serial
from registry_client.serial import LARGEST, Block, Kind, Serial, SerialError, Series

SERIES = Series(scheme="DEMO", kind=Kind.JC, vintage=2021)
serials = st.builds(
    Serial,
    series=st.builds(Series, scheme=st.from_regex(serial.SCHEME, fullmatch=True), kind=st.sampled_from(Kind), vintage=st.integers(2000, 2999)),
    number=st.integers(1, LARGEST),
)


@given(serials)
def test_what_is_spelled_is_parsed_again(one: Serial) -> None:
    assert serial.parse(str(one)) == one


def test_a_serial_explains_itself() -> None:
    one = serial.parse("DEMO-JCL-2021-000000017")

    assert (one.series.scheme, one.series.kind, one.series.vintage, one.number) == ("DEMO", Kind.JCL, 2021, 17)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "DEMO-JC-2021-17",
        "DEMO-JC-2021-0000000017",
        "DEMO-JC-2021-000000000",
        "DEMO-JX-2021-000000017",
        "demo-JC-2021-000000017",
        "DEMO-JC-2021-000000017\n",
        " DEMO-JC-2021-000000017",
        "DEMO-JC-２０２１-000000017",
        "DEMO-JC-2021-٠٠٠٠٠٠٠١٧",
        "DEMO-JC-1021-000000017",
        "-JC-2021-000000017",
        "DEMO-JC-2021--00000017",
        "ABCDEFGHIJKLMNOPQ-JC-2021-000000017",
    ],
)
def test_nothing_else_is_a_serial(text: str) -> None:
    with pytest.raises(SerialError):
        serial.parse(text)


def test_a_block_holds_both_its_ends() -> None:
    assert serial.block("DEMO-JC-2021-000000001", "DEMO-JC-2021-000000017").tonnes == 17
    assert serial.block("DEMO-JC-2021-000000005", "DEMO-JC-2021-000000005").tonnes == 1


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("DEMO-JC-2021-000000002", "DEMO-JC-2021-000000001"),
        ("DEMO-JC-2021-000000001", "DEMO-JC-2022-000000002"),
        ("DEMO-JC-2021-000000001", "DEMO-JCL-2021-000000002"),
    ],
)
def test_ends_that_hold_nothing_are_no_block(first: str, last: str) -> None:
    with pytest.raises(SerialError, match="is no block"):
        serial.block(first, last)


@given(st.tuples(st.integers(1, 40), st.integers(1, 40)).map(sorted), st.tuples(st.integers(1, 40), st.integers(1, 40)).map(sorted))
def test_blocks_overlap_if_a_serial_is_in_both(one: list[int], other: list[int]) -> None:
    left, right = (Block(first=Serial(series=SERIES, number=a), last=Serial(series=SERIES, number=b)) for a, b in (one, other))
    both = [n for n in range(1, 41) if Serial(series=SERIES, number=n) in left and Serial(series=SERIES, number=n) in right]

    assert left.overlaps(right) == right.overlaps(left) == bool(both)


def test_the_last_number_of_nine_digits_is_one() -> None:
    assert str(Serial(series=SERIES, number=LARGEST)) == "DEMO-JC-2021-999999999"
    with pytest.raises(SerialError):
        Serial(series=SERIES, number=LARGEST + 1)
