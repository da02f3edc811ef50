"""The ledger's entries hash in a chain; a book that is broken anywhere is named at the first break."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from verification import ledger, supply
from verification.ledger import Entry, EntryError, Kind, Span
from verification.supply import Book, Certified, StoredBlock

AT = datetime(2022, 6, 1, 3, 0, tzinfo=UTC)
BLOCK = {"first": "DEMO-JC-2021-000000001", "last": "DEMO-JC-2021-000000017", "tonnes": 17}


def chained(*steps: tuple[str, str, Mapping[str, Any]]) -> tuple[Entry, ...]:
    """Entries as the edge appends them."""
    made: list[Entry] = []
    for number, (kind, claim, value) in enumerate(steps, start=1):
        previous = made[-1].hash if made else ledger.FIRST_PREVIOUS
        entry = Entry(entry=number, kind=Kind(kind), claim=claim, round=0, value=value, at=AT, previous=previous, hash=b"")
        made.append(replace(entry, hash=entry.computed_hash()))
    return tuple(made)


def issue(claim: str = "c-1", tonnes: int = 17, block: Mapping[str, Any] = BLOCK) -> list[tuple[str, str, dict[str, Any]]]:
    """The three steps of an honest claim."""
    years = {"2021": tonnes}
    return [
        ("reduction verified", claim, {"tonnes": years}),
        ("batch approved", claim, {"tonnes": years}),
        ("credits issued", claim, {"tonnes": years, "blocks": [block]}),
    ]


def move(kind: str, first: int, last: int, claim: str = "c-1") -> tuple[str, str, dict[str, Any]]:
    return kind, claim, {"blocks": [{"first": f"DEMO-JC-2021-{first:09d}", "last": f"DEMO-JC-2021-{last:09d}", "tonnes": last - first + 1}]}


def book(*steps: tuple[str, str, Mapping[str, Any]], certified: tuple[Certified, ...] = ()) -> Book:
    entries = chained(*steps)
    stored = tuple(StoredBlock(span=span, claim=e.claim, entry=e.entry) for e in entries if e.kind is Kind.ISSUED for span in ledger.blocks(e.value))
    return Book(entries=entries, blocks=stored, certified=certified)


def rules_broken(seen: Book) -> list[tuple[str, int]]:
    return [(b.rule, b.entry) for b in supply.check(seen)]


def test_an_honest_book_has_no_break_and_adds_up() -> None:
    seen = book(*issue(), move("transferred", 1, 5), move("invalidated", 3, 4), move("cancelled", 17, 17))

    assert supply.check(seen) == ()
    assert supply.supply(seen) == supply.Supply(verified=17, issued=17, held=11, transferred=3, invalidated=2, cancelled=1)


def test_an_empty_ledger_is_whole() -> None:
    assert supply.check(Book(entries=())) == ()
    assert supply.supply(Book(entries=())).issued == 0


def test_a_changed_value_is_named_at_its_entry() -> None:
    entries = list(chained(*issue()))
    entries[0] = replace(entries[0], value={"tonnes": {"2021": 18}})

    assert rules_broken(Book(entries=tuple(entries), blocks=book(*issue()).blocks)) == [("chain is whole", 1)]


@pytest.mark.parametrize(("field", "other"), [("claim", "c-2"), ("at", AT.replace(year=2023)), ("round", 1), ("kind", Kind.CORRECTED)])
def test_every_field_is_under_the_hash(field: str, other: Any) -> None:
    entry = chained(*issue())[0]

    assert replace(entry, **{field: other}).computed_hash() != entry.hash


def test_an_entry_taken_out_is_named() -> None:
    entries = chained(*issue(), move("transferred", 1, 5))

    assert ("chain is whole", 4) in rules_broken(replace(book(*issue()), entries=(*entries[:2], entries[3])))


def test_entries_swapped_are_named() -> None:
    one, two, three = chained(*issue())

    assert ("chain is whole", 2) in rules_broken(replace(book(*issue()), entries=(two, one, three)))


def test_an_edit_that_hashes_itself_anew_breaks_the_entry_after_it() -> None:
    one, two, three = chained(*issue())
    forged = replace(one, value={"tonnes": {"2021": 18}})
    forged = replace(forged, hash=forged.computed_hash())

    assert rules_broken(replace(book(*issue()), entries=(forged, two, three)))[0] == ("chain is whole", 2)


def test_a_value_that_can_not_be_read_is_a_break_and_no_crash() -> None:
    entries = list(chained(*issue()))
    entries[2] = replace(entries[2], value={"tonnes": {"2021": 1.5}})

    found = supply.check(Book(entries=tuple(entries)))

    assert (found[0].rule, found[0].entry) == ("entries can be read", 3)


@pytest.mark.parametrize(
    ("steps", "broken"),
    [
        (issue(tonnes=17)[2:], ("each step has the one before", 1)),
        (issue()[1:], ("each step has the one before", 1)),
        ([issue(tonnes=16)[0], *issue()[1:]], ("never more than verified", 2)),
        ([*issue(tonnes=18)[:2], ("credits issued", "c-1", {"tonnes": {"2021": 18}, "blocks": [BLOCK]})], ("blocks hold the tonnes", 3)),
        ([*issue(), issue()[2]], ("entered once", 4)),
        ([*issue(), *issue("c-2")], ("each serial issued once", 6)),
        ([*issue(), move("transferred", 17, 18)], ("supply balances", 4)),
        ([*issue(), move("invalidated", 1, 1), move("invalidated", 1, 1)], ("supply balances", 5)),
        ([*issue(), move("invalidated", 1, 1), move("transferred", 1, 1)], ("supply balances", 5)),
        ([*issue(), move("cancelled", 1, 1, claim="c-2")], ("supply balances", 4)),
        ([*issue(), ("corrected", "c-1", {"sets_aside": [1], "reason": "late"})], ("entered once", 4)),
        ([*issue(), ("corrected", "c-2", {"sets_aside": [1], "reason": "not mine"})], ("entered once", 4)),
        ([*issue(), ("corrected", "c-1", {"tonnes": {"2021": -1}, "reason": "meter read low"})], ("never more than verified", 3)),
    ],
)
def test_each_rule_names_what_breaks_it(steps: list[tuple[str, str, dict[str, Any]]], broken: tuple[str, int]) -> None:
    assert broken in rules_broken(book(*steps))


def test_cancelling_what_a_correction_takes_away_heals_the_book() -> None:
    seen = book(*issue(), ("corrected", "c-1", {"tonnes": {"2021": -1}, "reason": "meter read low"}), move("cancelled", 17, 17))

    assert supply.check(seen) == ()


def test_a_claim_set_aside_may_be_verified_and_approved_anew() -> None:
    again = issue(tonnes=16, block={**BLOCK, "last": "DEMO-JC-2021-000000016", "tonnes": 16})
    seen = book(*issue()[:2], ("corrected", "c-1", {"sets_aside": [1, 2], "reason": "returned"}), *again)

    assert supply.check(seen) == ()
    assert supply.supply(seen).verified == 16


def test_what_may_be_issued_is_what_stands_approved_and_verified() -> None:
    aside = ("corrected", "c-1", {"sets_aside": [1, 2], "reason": "returned"})

    assert supply.issuable(book(*issue()[:2]), "c-1") == {2021: 17}
    assert supply.issuable(book(*issue()[:1]), "c-1") == {}
    assert supply.issuable(book(*issue()[:2], aside), "c-1") == {}
    assert supply.issuable(book(issue(tonnes=16)[0], issue()[1]), "c-1") == {}
    assert supply.issuable(book(*issue()), "c-1") == {}


def test_a_block_in_one_place_only_is_named() -> None:
    seen = book(*issue())
    other = StoredBlock(span=Span(series="DEMO-JC-2021", first=18, last=20), claim="c-1", entry=3)

    assert rules_broken(replace(seen, blocks=())) == [("stored blocks were issued", 3)]
    assert rules_broken(replace(seen, blocks=(*seen.blocks, other))) == [("stored blocks were issued", 3)]


def test_an_activity_certified_twice_is_named_and_a_touching_end_is_none() -> None:
    year = Certified(activity="a-1", start=date(2021, 4, 1), end=date(2022, 4, 1), claim="c-1")
    after = replace(year, start=date(2022, 4, 1), end=date(2023, 4, 1))
    twice = replace(year, start=date(2022, 3, 31), end=date(2022, 5, 1))

    assert rules_broken(book(*issue(), certified=(year, after))) == []
    assert rules_broken(book(*issue(), certified=(year, twice))) == [("certified once", 0)]
    assert rules_broken(Book(entries=(), certified=(year,))) == [("certified once", 0)]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.VERIFIED, {}),
        (Kind.VERIFIED, {"tonnes": 17}),
        (Kind.VERIFIED, {"tonnes": {"2021": -1}}),
        (Kind.VERIFIED, {"tonnes": {"21": 1}}),
        (Kind.VERIFIED, {"tonnes": {"2021": True}}),
        (Kind.VERIFIED, {"tonnes": {"2021": 17}, "mwh": 41.2}),
        (Kind.VERIFIED, {"tonnes": {"2021": 2**53}}),
        (Kind.ISSUED, {"tonnes": {"2021": 17}}),
        (Kind.ISSUED, {"tonnes": {"2021": 17}, "blocks": []}),
        (Kind.ISSUED, {"tonnes": {"2021": 17}, "blocks": [{**BLOCK, "tonnes": 16}]}),
        (Kind.ISSUED, {"tonnes": {"2021": 17}, "blocks": [{**BLOCK, "last": "DEMO-JC-2022-000000017"}]}),
        (Kind.CANCELLED, {"blocks": [{**BLOCK, "first": "17"}]}),
        (Kind.CORRECTED, {"sets_aside": [1]}),
        (Kind.CORRECTED, {"reason": "because"}),
        (Kind.CORRECTED, {"reason": "because", "sets_aside": ["1"]}),
    ],
)
def test_a_value_that_its_kind_can_not_have_is_refused(kind: Kind, value: dict[str, Any]) -> None:
    with pytest.raises(EntryError):
        ledger.checked_value(kind, value)


def test_decimals_and_dates_are_entered_as_text() -> None:
    value = {"tonnes": {2021: 17}, "mwh": Decimal("41.200000"), "start": date(2021, 4, 1)}

    assert ledger.checked_value(Kind.VERIFIED, value) == {"tonnes": {"2021": 17}, "mwh": "41.200000", "start": "2021-04-01"}
