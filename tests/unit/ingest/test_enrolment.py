"""What the enrolment tables promise: every bad row is named, alone and together with the others; nothing doubtful gets in."""

import base64
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from ingest.enrolment import BadRow, Enrolment, EnrolmentErrors, Known, read


def key(n: int) -> str:
    return base64.urlsafe_b64encode(bytes(SigningKey(bytes([n]) * 32).verify_key)).decode().rstrip("=")


PROJECT = """project = "demo-fy2021"
name = "デモ"
scheme = "DEMO"
methodology = "EN-R-002"
operator = "op"
registration_applied_on = 2021-03-01
certified_from = 2021-04-01
certified_to = 2029-04-01
"""
SITES = "site,lat,lon,dc_kw,ac_kw,operation_start,exports\ns-1,39.74,140.1,5.5,4.9,2021-03-01,yes\ns-2,35,139,5.5,4.9,2021-03-01,no\n"
MEMBERS = "member,activity,site,applied_on,consented_on\nmb-1,a-1,s-1,2021-03-01,2021-03-01\nmb-2,a-2,s-2,2021-03-01,2021-03-01\n"
GATEWAYS = f"gateway,kid,public_key,site\ngw-1,k-1,{key(1)},s-1\ngw-2,k-2,{key(2)},s-2\n"
METERS = "meter,site,gateway,register,modulus_wh\nm-1,s-1,gw-1,generation,1000000000\nm-2,s-1,gw-1,export,1000000000\n"
EVENTS = "meter,at,kind,closing_wh,opening_wh,serial\nm-1,2021-06-01T09:00:00+09:00,swap,500,0,B2\n"
ALL = {"project.toml": PROJECT, "sites.csv": SITES, "members.csv": MEMBERS, "gateways.csv": GATEWAYS, "meters.csv": METERS, "events.csv": EVENTS}


def taken(tables: dict[str, str | bytes], known: Known | None = None) -> Enrolment:
    return read({name: text if isinstance(text, bytes) else text.encode() for name, text in tables.items()}, known)


def errors(tables: dict[str, str | bytes], known: Known | None = None) -> list[str]:
    with pytest.raises(EnrolmentErrors) as caught:
        taken(tables, known)
    return [str(error) for error in caught.value.errors]


def with_cell(table: str, column: str, cell: str) -> str:
    """The table with one cell of its first row changed, the column added where it is not there."""
    header, first, *rest = table.splitlines()
    names, cells = header.split(","), first.split(",")
    if column not in names:
        names, cells, rest = [*names, column], [*cells, ""], [f"{line}," for line in rest]
    cells[names.index(column)] = cell
    return "\n".join([",".join(names), ",".join(cells), *rest]) + "\n"


def test_all_tables_together_make_an_enrolment() -> None:
    got = taken(ALL)
    assert [len(rows) for rows in (got.projects, got.sites, got.members, got.gateways, got.meters, got.events)] == [1, 2, 2, 2, 2, 1]
    assert got.projects[0].certified_to == date(2029, 4, 1)
    assert (got.members[0].project, got.members[0].line) == ("demo-fy2021", 2)
    assert got.gateways[0].public_key == bytes(SigningKey(bytes([1]) * 32).verify_key)
    assert got.events[0].at == datetime(2021, 6, 1, tzinfo=UTC)
    assert (got.meters[0].resolution_wh, got.meters[0].two_way, got.meters[0].specified) == (1, False, None)
    assert (got.sites[0].exports, got.sites[1].exports) == (True, False)


def test_a_mark_of_byte_order_carriage_returns_and_blank_lines_change_nothing() -> None:
    windows = {name: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() for name, text in ALL.items()}
    assert taken(windows) == taken(ALL)
    assert taken({"sites.csv": SITES + "\n\n"}) == taken({"sites.csv": SITES})


def test_japanese_names_with_their_wide_space_are_kept() -> None:
    members = with_cell(with_cell(MEMBERS, "name", "秋田　太郎"), "address", '"秋田県, 1-2"')
    person = taken(ALL | {"members.csv": members}).members[0]
    assert (person.name, person.address) == ("秋田　太郎", "秋田県, 1-2")
    assert "太郎" not in repr(person)


@pytest.mark.parametrize(
    ("file", "column", "cell", "said"),
    [
        ("sites.csv", "lat", "90.1", "must be a number from -90 to 90"),
        ("sites.csv", "lat", "nan", "must be a number"),
        ("sites.csv", "lat", "1_0", "must be a number"),
        ("sites.csv", "lon", "-180.5", "must be a number from -180 to 180"),
        ("sites.csv", "dc_kw", "0", "above 0 kW"),
        ("sites.csv", "ac_kw", "-4", "above 0 kW"),
        ("sites.csv", "dc_kw", "inf", "must be a number"),
        ("sites.csv", "operation_start", "12", "write YYYY-MM-DD"),
        ("sites.csv", "operation_start", "2021-02-30", "not in the calendar"),
        ("sites.csv", "operation_start", "2021/03/01", "write YYYY-MM-DD"),
        ("sites.csv", "operation_start", "0001-01-01", "not between 1970 and 2200"),
        ("sites.csv", "exports", "true", "one of yes, no"),
        ("sites.csv", "exports", "", "must be filled"),
        ("sites.csv", "region", "x" * 501, "at most 500"),
        ("sites.csv", "region", "a\x00b", "without control characters"),
        ("sites.csv", "region", "a\u202eb", "without control characters"),
        ("sites.csv", "tilt", "91", "must be a number from 0 to 90"),
        ("members.csv", "activity", "a/1", "is no id"),
        ("members.csv", "member", "山田", "is no id"),
        ("members.csv", "left_on", "2021-03-01", "must lie beyond applied_on"),
        ("gateways.csv", "gateway", "gw 1", "is no id"),
        ("gateways.csv", "kid", "k" * 65, "is no id"),
        ("gateways.csv", "public_key", "AAAA", "base64url of 32 bytes"),
        ("gateways.csv", "public_key", key(1).replace("-", "+").replace("_", "/")[:-1] + "+", "base64url of 32 bytes"),
        ("meters.csv", "register", "Generation", "must be one of generation"),
        ("meters.csv", "modulus_wh", "0", "whole number from 1 to"),
        ("meters.csv", "modulus_wh", "9007199254740993", "whole number from 1 to 9007199254740992"),
        ("meters.csv", "modulus_wh", "1e9", "whole number"),
        ("meters.csv", "modulus_wh", "１０００", "whole number"),
        ("meters.csv", "resolution_wh", "0", "whole number from 1"),
        ("meters.csv", "verified_until", "2029-13", "not in the calendar"),
        ("meters.csv", "two_way", "1", "one of yes, no"),
        ("events.csv", "at", "2021-06-01T09:00:00", "date, time and offset"),
        ("events.csv", "at", "1622505600", "date, time and offset"),
        ("events.csv", "kind", "stolen", "one of swap, reset"),
        ("events.csv", "closing_wh", "-1", "whole number from 0"),
        ("events.csv", "opening_wh", "1000000000", "not below the meter's modulus_wh"),
    ],
)
def test_a_bad_cell_is_named_with_file_line_and_column(file: str, column: str, cell: str, said: str) -> None:
    told = errors(ALL | {file: with_cell(ALL[file], column, cell)})
    assert [line for line in told if line.startswith(f"{file}:2: {column}: ") and said in line], told


def test_what_must_come_first_comes_first() -> None:
    coarse = with_cell(METERS, "resolution_wh", "1000000000")
    assert errors(ALL | {"meters.csv": coarse}) == ["meters.csv:2: modulus_wh: 1000000000 must lie beyond resolution_wh, 1000000000"]


def test_every_bad_row_of_every_file_is_listed_and_no_other() -> None:
    sites = SITES + "s-3,1,1,1,1,2021-03-01,perhaps\n" + "s-4,1,1,1,1,2021-03-01\n"
    told = errors(ALL | {"sites.csv": sites, "meters.csv": METERS + "m-3,s-1,gw-1,pcs,none\nm-4,s-3,gw-1,pcs,5\n"})
    assert [line.split(": ")[0] for line in told] == ["meters.csv:4", "meters.csv:5", "sites.csv:4", "sites.csv:5"]


def test_a_message_never_repeats_a_name_or_an_address() -> None:
    told = errors(ALL | {"members.csv": with_cell(MEMBERS, "name", "秋田\x07太郎")})
    assert len(told) == 1
    assert "太郎" not in told[0]


def test_lines_are_counted_where_a_row_begins() -> None:
    gap = SITES.replace("s-2,35", '\n"s-2",99')
    assert errors({"sites.csv": gap})[0].startswith("sites.csv:4: lat: ")
    quoted = 'site,lat,lon,dc_kw,ac_kw,operation_start,exports,region\ns-1,1,1,1,1,2021-03-01,yes,"two\nlines"\ns-2,99,1,1,1,2021-03-01,yes,\n'
    assert [line.split(": ")[0] for line in errors({"sites.csv": quoted})] == ["sites.csv:2", "sites.csv:4"]


# Keys.

SMALL_ORDER = (  # the eight small-order points and their other encodings
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
)


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_a_small_order_key_is_refused(point: str) -> None:
    cell = base64.urlsafe_b64encode(bytes.fromhex(point)).decode()
    assert "is no Ed25519 public key" in errors(ALL | {"gateways.csv": with_cell(GATEWAYS, "public_key", cell)})[0]


def test_bytes_that_are_no_point_are_refused() -> None:
    cell = base64.urlsafe_b64encode(b"\x02" + bytes(31)).decode()
    assert "is no Ed25519 public key" in errors(ALL | {"gateways.csv": with_cell(GATEWAYS, "public_key", cell)})[0]


def test_padding_of_a_key_is_optional_but_its_encoding_is_one() -> None:
    assert taken(ALL | {"gateways.csv": with_cell(GATEWAYS, "public_key", key(1) + "=")}).gateways[0].public_key == taken(ALL).gateways[0].public_key
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    loose = key(1)[:-1] + alphabet[alphabet.index(key(1)[-1]) + 1]  # the same 32 bytes with spare bits set
    assert "base64url of 32 bytes" in errors(ALL | {"gateways.csv": with_cell(GATEWAYS, "public_key", loose)})[0]


def test_a_gateway_may_have_two_keys_but_no_key_two_gateways() -> None:
    assert len(taken(ALL | {"gateways.csv": GATEWAYS + f"gw-1,k-1b,{key(3)},s-1\n"}).gateways) == 3
    assert "the same public_key is in gateways.csv:2" in errors(ALL | {"gateways.csv": GATEWAYS + f"gw-3,k-3,{key(1)},s-1\n"})[0]
    assert "the same kid is in gateways.csv:2" in errors(ALL | {"gateways.csv": GATEWAYS + f"gw-3,k-1,{key(3)},s-1\n"})[0]
    assert "gateways.csv:4: site: is not what gateways.csv:2 says" in errors(ALL | {"gateways.csv": GATEWAYS + f"gw-1,k-1b,{key(3)},s-2\n"})[0]


# Rows together.


@pytest.mark.parametrize(
    ("file", "row", "said"),
    [
        ("sites.csv", "s-1,1,1,1,1,2021-03-01,yes", "sites.csv:4: site: the same site is in sites.csv:2"),
        ("members.csv", "mb-3,a-1,s-9,2021-03-01,2021-03-01", "members.csv:4: activity: the same activity is in members.csv:2"),
        ("members.csv", "mb-3,a-3,s-1,2021-03-01,2021-03-01", "members.csv:4: site: the same site is in members.csv:2"),
        ("members.csv", "mb-3,a-3,s-9,2021-03-01,2021-03-01", "members.csv:4: site: 's-9' is neither in the files nor enrolled"),
        ("gateways.csv", f"gw-3,k-3,{key(3)},s-9", "gateways.csv:4: site: 's-9' is neither in the files nor enrolled"),
        ("meters.csv", "m-1,s-1,gw-1,pcs,10", "meters.csv:4: meter: the same meter is in meters.csv:2"),
        ("meters.csv", "m-3,s-9,gw-1,pcs,10", "meters.csv:4: site: 's-9' is neither in the files nor enrolled"),
        ("meters.csv", "m-3,s-1,gw-9,pcs,10", "meters.csv:4: gateway: 'gw-9' is neither in the files nor enrolled"),
        ("meters.csv", "m-3,s-1,gw-2,pcs,10", "meters.csv:4: gateway: 'gw-2' is at site 's-2', the meter at 's-1'"),
        ("events.csv", "m-9,2021-06-01T09:00:00+09:00,reset,,,", "events.csv:3: meter: 'm-9' is neither in the files nor enrolled"),
        ("events.csv", "m-1,2021-06-01T00:00:00Z,reset,,,", "events.csv:3: at: the same meter and at is in events.csv:2"),
    ],
)
def test_rows_that_do_not_fit_together_are_named(file: str, row: str, said: str) -> None:
    assert said in errors(ALL | {file: ALL[file] + row + "\n"})


def test_a_duplicate_across_two_files_is_named() -> None:
    told = errors(ALL | {"more/sites.csv": "site,lat,lon,dc_kw,ac_kw,operation_start,exports\ns-2,1,1,1,1,2021-03-01,yes\n"})
    assert told == ["more/sites.csv:2: site: the same site is in sites.csv:3"]


def test_what_is_known_may_be_referred_to() -> None:
    known = Known(projects=frozenset({"p"}), sites=frozenset({"s-1", "s-2"}), gateways={"gw-1": "s-1"}, meters={"m-1": 1000})
    got = taken({"members.csv": MEMBERS, "meters.csv": METERS, "events.csv": EVENTS}, known)
    assert got.members[0].project == "p"
    assert "gateway: 'gw-1' is at site 's-1'" in errors({"meters.csv": METERS.replace("s-1", "s-2")}, known)[0]
    assert "not below the meter's modulus_wh, 1000" in errors({"events.csv": EVENTS.replace("500", "1000")}, known)[0]


def test_members_need_exactly_one_project() -> None:
    tables = {"sites.csv": SITES, "members.csv": MEMBERS}
    assert errors(tables) == ["members.csv:1: whose members are they? Give one project.toml with them (0 given, 0 enrolled)"]
    assert "(0 given, 2 enrolled)" in errors(tables, Known(projects=frozenset({"p", "q"})))[0]
    two = tables | {"project.toml": PROJECT, "b/project.toml": PROJECT.replace("demo-fy2021", "other")}
    assert "(2 given" in errors(two)[0]
    assert taken(tables | {"project.toml": PROJECT}, Known(projects=frozenset({"p", "q"}))).members[0].project == "demo-fy2021"


def test_one_mistake_is_told_once() -> None:
    """A site that could not be read is still the site that others name."""
    assert len(errors(ALL | {"sites.csv": with_cell(SITES, "lat", "91")})) == 1
    assert len(errors(ALL | {"sites.csv": b"\xff" + SITES.encode()})) == 1


# Files.


def test_a_table_is_told_by_its_name_or_else_by_its_header() -> None:
    assert len(taken({"akita-2021.csv": SITES}).sites) == 2
    assert "is no table that is known" in errors({"akita-2021.csv": "site,lat\ns-1,1\n"})[0]
    assert "sites.csv:1: exports: the column is missing" in errors({"sites.csv": "site,lat,lon,dc_kw,ac_kw,operation_start\n"})


def test_columns_that_are_unknown_or_there_twice_are_named() -> None:
    assert errors({"sites.csv": with_cell(SITES, "colour", "red")})[0].startswith("sites.csv:1: colour: no such column")
    assert "sites.csv:1: site: is there twice" in errors({"sites.csv": "site," + SITES.replace("\ns-", "\nx,s-")})
    assert errors({"members.csv": with_cell(MEMBERS, "project", "p"), "sites.csv": SITES, "project.toml": PROJECT})[0].startswith(
        "members.csv:1: project: no such"
    )
    assert "\x1b" not in errors({"sites.csv": with_cell(SITES, "\x1b[31m", "x")})[0]


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("sites.csv", b"", "sites.csv:1: is empty"),
        ("sites.csv", SITES.encode() + b"\x82\xa0,1\n", "sites.csv:4: is not UTF-8"),
        ("sites.csv", SITES.encode() + b'"s-3,1\n', "sites.csv:4: is not CSV from here on"),
        ("sites.csv", SITES.encode() + b"s-3,1\n", "sites.csv:4: has 2 cells, the header 7"),
        ("sites.csv", SITES.encode() + b"x" * 200_000, "sites.csv:4: is not CSV from here on: field larger"),
        ("project.toml", PROJECT.encode() + b"area = \n", "project.toml:9: is not TOML"),
        ("project.toml", b"[" * 100_000, "project.toml:1: is not TOML"),
        ("project.toml", PROJECT.encode() + b"colour = 1\n", "project.toml:9: colour: no such key"),
        ("project.toml", PROJECT.encode() + b"area = 1\n", "project.toml:9: area: must be text in quotes, or a date"),
        ("project.toml", PROJECT.replace("2029-04-01", "2021-04-01").encode(), "project.toml:8: certified_to: 2021-04-01 must lie beyond certified_from"),
        ("project.toml", PROJECT.replace("2021-03-01", "2021-03-01T00:00:00").encode(), "project.toml:6: registration_applied_on: must be text"),
        ("project.toml", PROJECT.replace("demo-fy2021", "").encode(), "project.toml:1: project: must be filled"),
        ("project.toml", PROJECT.replace("operator", "operater").encode(), "operator: must be filled"),
    ],
)
def test_a_file_that_can_not_be_read_is_named_with_its_line(file: str, content: bytes, said: str) -> None:
    told = errors({file: content})
    assert [line for line in told if said in line], told


def test_rows_before_the_place_where_a_file_breaks_are_judged_too() -> None:
    told = errors({"sites.csv": with_cell(SITES, "lat", "91") + '"s-3,1\n'})
    assert [line.split(": ")[0] for line in told] == ["sites.csv:2", "sites.csv:4"]


def test_a_project_that_can_not_be_read_is_told_once_not_again_by_its_members() -> None:
    assert len(errors(ALL | {"project.toml": PROJECT + "area = \n"})) == 1


@pytest.mark.parametrize(("stated", "until"), [("2029-03", date(2029, 4, 1)), ("2029-12", date(2030, 1, 1)), ("2029-03-15", date(2029, 4, 1))])
def test_a_verification_holds_to_the_end_of_its_month(stated: str, until: date) -> None:
    assert taken(ALL | {"meters.csv": with_cell(METERS, "verified_until", stated)}).meters[0].verified_until == until


def test_what_is_sound_can_be_looked_at_further() -> None:
    with pytest.raises(EnrolmentErrors) as caught:
        taken(ALL | {"sites.csv": with_cell(SITES, "lat", "91")})
    assert [site.site for site in caught.value.sound.sites] == ["s-2"]


@given(st.sampled_from(list(ALL)), st.binary(max_size=200), st.integers(0, 400))
def test_no_bytes_end_in_anything_but_an_enrolment_or_its_errors(file: str, noise: bytes, place: int) -> None:
    content = ALL[file].encode()
    found: tuple[BadRow, ...] = ()
    try:
        taken(ALL | {file: content[:place] + noise + content[place:]})
    except EnrolmentErrors as error:
        found = error.errors or (BadRow(file="", line=0, column="", reason=""),)
    assert all(e.file in ALL and e.line >= 1 and e.reason for e in found)
