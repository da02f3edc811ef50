"""`jcredit intervals` on small files: what counts, what is held, and what is refused."""

from pathlib import Path

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from console.cli import intervals
from console.cli.trouble import Trouble

METERS = "meter,rated_w,modulus_wh,serial\nm-1,5000,1000000,A1\n"


@pytest.fixture
def run(tmp_path: Path):
    """Write the tables given as text, run the command, read what it wrote."""

    def go(registers: str, *, meters: str = METERS, events: str | None = None, out: str = "out.csv") -> pd.DataFrame:
        tables = {"registers.csv": registers, "meters.csv": meters} | ({"events.csv": events} if events else {})
        for name, text in tables.items():
            (tmp_path / name).write_text(text)
        given = [arg for name in tables for arg in (f"--{Path(name).stem}", str(tmp_path / name))]
        app = typer.Typer()
        intervals.register(app)
        result = CliRunner().invoke(app, [*given, "--out", str(tmp_path / out)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return pd.read_parquet(tmp_path / out) if out.endswith(".parquet") else pd.read_csv(tmp_path / out, keep_default_na=False)

    return go


def brief(table: pd.DataFrame) -> list[tuple[str, str, int, str, str]]:
    return [(row.start[11:16], row.end[11:16], row.energy_wh, row.state, row.code) for row in table.itertuples()]


def test_half_hours_run_between_the_edges_that_were_read(run) -> None:
    table = run(
        "meter,at,register_wh\nm-1,2021-04-01T00:00:00Z,100\nm-1,2021-04-01T00:10:00Z,150\nm-1,2021-04-01T00:30:00Z,300\nm-1,2021-04-01T01:00:00Z,450\n"
    )
    assert list(table.columns) == ["meter", "start", "end", "energy_wh", "state", "code", "explanation"]
    assert brief(table) == [("00:00", "00:30", 200, "credited", ""), ("00:30", "01:00", 150, "credited", "")]


def test_an_edge_that_was_not_read_makes_one_spread_row(run) -> None:
    table = run("meter,at,register_wh\nm-1,2021-04-01T00:00:00Z,100\nm-1,2021-04-01T00:30:00Z,\nm-1,2021-04-01T01:00:00Z,450\n")
    assert brief(table) == [("00:00", "01:00", 350, "spread", "")]


def test_coarser_input_gives_coarser_rows(run) -> None:
    table = run("meter,at,register_wh\nm-1,2021-04-01T00:00:00Z,100\nm-1,2021-04-01T06:00:00Z,4100\n")
    assert brief(table) == [("00:00", "06:00", 4000, "spread", "")]


def test_order_in_the_file_and_offsets_do_not_matter(run) -> None:
    table = run("meter,at,register_wh\nm-1,2021-04-01T09:30:00+09:00,300\nm-1,2021-04-01T01:00:00Z,450\nm-1,2021-04-01T09:00:00+09:00,100\n")
    assert brief(table) == [("00:00", "00:30", 200, "credited", ""), ("00:30", "01:00", 150, "credited", "")]


def test_an_edge_stated_twice_with_different_values_holds_both_neighbours_and_the_first_received_stays(run) -> None:
    table = run(
        "meter,at,register_wh,received_at\n"
        "m-1,2021-04-01T00:00:00Z,100,2021-04-01T00:00:05Z\n"
        "m-1,2021-04-01T00:30:00Z,900,2021-04-02T00:00:00Z\n"
        "m-1,2021-04-01T00:30:00Z,300,2021-04-01T00:30:05Z\n"
        "m-1,2021-04-01T01:00:00Z,450,2021-04-01T01:00:05Z\n"
        "m-1,2021-04-01T01:30:00Z,500,\n"
    )
    assert brief(table) == [("00:00", "00:30", 200, "held", "conflict"), ("00:30", "01:00", 150, "held", "conflict"), ("01:00", "01:30", 50, "credited", "")]


def test_the_same_reading_twice_counts_once(run) -> None:
    table = run("meter,at,register_wh\n" + "m-1,2021-04-01T00:00:00Z,100\n" * 2 + "m-1,2021-04-01T00:30:00Z,300\n" * 3)
    assert brief(table) == [("00:00", "00:30", 200, "credited", "")]


def test_a_rollover_at_the_registered_modulus_is_counted(run) -> None:
    table = run("meter,at,register_wh\nm-1,2021-04-01T00:00:00Z,999900\nm-1,2021-04-01T00:30:00Z,100\n")
    assert brief(table) == [("00:00", "00:30", 200, "credited", "rollover")]


def test_a_recorded_swap_counts_both_meters(run) -> None:
    table = run(
        "meter,at,register_wh,serial\nm-1,2021-04-01T00:00:00Z,1000,A1\nm-1,2021-04-01T00:30:00Z,70,B2\nm-1,2021-04-01T01:00:00Z,170,B2\n",
        events="meter,at,kind,closing_wh,opening_wh,serial\nm-1,2021-04-01T00:20:00Z,swap,1200,20,B2\n",
    )
    assert brief(table) == [("00:00", "00:30", 250, "credited", "swap"), ("00:30", "01:00", 100, "credited", "")]


def test_another_serial_without_a_record_is_held(run) -> None:
    table = run("meter,at,register_wh,serial\nm-1,2021-04-01T00:00:00Z,1000,A1\nm-1,2021-04-01T00:30:00Z,1100,B2\n")
    assert [(state, code) for _, _, _, state, code in brief(table)] == [("held", "swap-unrecorded")]
    assert "計器番号" in table["explanation"][0]
    assert "without a recorded swap" in table["explanation"][0]


def test_more_than_the_rating_allows_is_held_with_what_would_be_claimed(run) -> None:
    table = run("meter,at,register_wh\nm-1,2021-04-01T00:00:00Z,0\nm-1,2021-04-01T00:30:00Z,50000\nm-1,2021-04-01T01:00:00Z,50100\n")
    assert brief(table) == [("00:00", "00:30", 50000, "held", "above-cap"), ("00:30", "01:00", 100, "credited", "")]


def test_meters_do_not_mix(run) -> None:
    table = run(
        "meter,at,register_wh\nm-2,2021-04-01T00:30:00Z,7\nm-1,2021-04-01T00:00:00Z,100\nm-2,2021-04-01T00:00:00Z,5\nm-1,2021-04-01T00:30:00Z,300\n",
        meters=METERS + "m-2,5000,1000000,\n",
    )
    assert [(row.meter, row.energy_wh) for row in table.itertuples()] == [("m-1", 200), ("m-2", 2)]


def test_parquet_in_and_out_gives_aware_instants(run) -> None:
    table = run("meter,at,register_wh\nm-1,2021-04-01T00:00:00Z,100\nm-1,2021-04-01T00:30:00Z,300\n", out="out.parquet")
    assert table["start"][0] == pd.Timestamp("2021-04-01T00:00:00Z")
    assert table["energy_wh"].dtype == "int64"


def test_no_reading_gives_an_empty_table_with_its_columns(run) -> None:
    table = run("meter,at,register_wh\nm-1,2021-04-01T00:00:00Z,\n")
    assert len(table) == 0
    assert "energy_wh" in table.columns


@pytest.mark.parametrize(
    ("registers", "meters", "events", "said"),
    [
        ("meter,at\nm-1,2021-04-01T00:00:00Z\n", METERS, None, "no column register_wh"),
        ("meter,at,register_wh\nm-9,2021-04-01T00:00:00Z,1\n", METERS, None, "row 1, column meter: 'm-9' is not in the table of meters"),
        ("meter,at,register_wh\nm-1,2021-04-01T00:00:00Z,1\nm-1,yesterday,1\n", METERS, None, "row 2, column at: 'yesterday' is no instant"),
        ("meter,at,register_wh\nm-1,2021-04-01T00:00:00Z,1.5\n", METERS, None, "row 1, column register_wh: '1.5' is not a whole number"),
        ("meter,at,register_wh\nm-1,2021-04-01T00:00:00Z,-1\n", METERS, None, "row 1, column register_wh: '-1' is not within 0 to"),
        ("meter,at,register_wh\n", "meter,rated_w,modulus_wh,serial\nm-1,0,10,\n", None, "row 1, column rated_w: '0' must be above 0"),
        ("meter,at,register_wh\n", METERS + "m-1,1,10,\n", None, "row 2, column meter: 'm-1' is there twice"),
        ("meter,at,register_wh\n", METERS, "meter,at,kind\nm-1,2021-04-01T00:00:00Z,stolen\n", "row 1, column kind: 'stolen' must be one of swap, reset"),
        ("meter,at,register_wh\n", METERS, "meter,at,kind\nm-7,2021-04-01T00:00:00Z,swap\n", "column meter: 'm-7' is not in"),
        (
            "meter,at,register_wh,received_at\nm-1,2021-04-01T00:00:00Z,1,\nm-1,2021-04-01T00:00:00Z,1,never\n",
            METERS,
            None,
            "row 2, column received_at: 'never'",
        ),
    ],
)
def test_what_is_wrong_is_said_with_row_and_column(run, registers: str, meters: str, events: str | None, said: str) -> None:
    with pytest.raises(Trouble, match=said.replace("(", r"\(")) as trouble:
        run(registers, meters=meters, events=events)
    assert trouble.value.code == 2


def test_an_ending_that_is_neither_is_refused_before_any_work(run) -> None:
    with pytest.raises(Trouble, match=r"\.parquet or \.csv"):
        run("meter,at,register_wh\n", out="out.xlsx")
