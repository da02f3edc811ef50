"""`jcredit detect` writes flags as the contract says, and says what is wrong with a file it can not use."""

import pandas as pd
import pytest
import typer

from console.cli import detect as command
from console.cli.trouble import report_trouble

SITES = "site,lat,lon,dc_kw,ac_kw,pulse_wh\nhome,35.68,139.65,5,4,10\nNA,,,,,\n"
INTERVALS = """site,start,minutes,energy_wh
home,2021-06-20T15:00:00Z,30,900
home,2021-06-21 02:30:00+00:00,30,500
NA,2021-06-20T15:00:00Z,30,900
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sites.csv").write_text(SITES)
    (tmp_path / "intervals.csv").write_text(INTERVALS)
    return tmp_path


def run(folder, *more, intervals="intervals.csv", sites="sites.csv", out="flags.csv"):
    """The command's exit code."""
    app = typer.Typer(pretty_exceptions_enable=False)
    command.register(app)
    with pytest.raises(SystemExit) as end, report_trouble():
        app(["--intervals", str(folder / intervals), "--sites", str(folder / sites), "--out", str(folder / out), *more])
    return end.value.code or 0


@pytest.mark.parametrize("out", ["flags.csv", "flags.parquet"])
def test_flags_are_written_with_the_columns_of_the_contract(folder, out, capsys):
    assert run(folder, out=out) == 0
    flags = pd.read_csv(folder / out) if out.endswith("csv") else pd.read_parquet(folder / out)
    assert list(flags.columns) == ["site", "start", "level", "code", "observed", "bound", "energy_at_stake_wh", "explanation"]
    flag = flags.iloc[0].to_dict()
    explanation = flag.pop("explanation")
    assert pd.Timestamp(flag.pop("start")) == pd.Timestamp("2021-06-20T15:00:00Z")
    assert flag == {"site": "home", "level": "hold", "code": "night-generation", "observed": 900, "bound": 19, "energy_at_stake_wh": 900}
    assert "太陽が地平線下" in explanation.split(" / ")[0]
    assert "900 Wh generated with the sun below the horizon" in explanation.split(" / ")[1]
    assert len(flags) == 1
    said = capsys.readouterr().err
    assert "1 of 2 sites have no position: the night and clear-sky tests could not run there" in said
    assert "1 flags over 3 intervals of 2 sites" in said


def test_parquet_goes_in_as_csv_does(folder):
    frame = pd.read_csv(folder / "intervals.csv", keep_default_na=False).assign(start=lambda f: pd.to_datetime(f["start"], utc=True, format="ISO8601"))
    frame.to_parquet(folder / "intervals.parquet")
    assert run(folder) == run(folder, intervals="intervals.parquet", out="other.csv") == 0
    assert (folder / "flags.csv").read_bytes() == (folder / "other.csv").read_bytes()


def test_parts_of_whole_sites_give_the_same_flags(folder, monkeypatch):
    assert run(folder) == 0
    monkeypatch.setattr(command, "ROWS_AT_ONCE", 1)
    assert run(folder, out="other.csv") == 0
    assert (folder / "flags.csv").read_bytes() == (folder / "other.csv").read_bytes()


def test_no_flags_leave_a_file_with_a_header(folder):
    (folder / "intervals.csv").write_text("site,start,minutes,energy_wh\n")
    assert run(folder) == 0
    assert (folder / "flags.csv").read_text().strip() == "site,start,level,code,observed,bound,energy_at_stake_wh,explanation"


def test_a_bad_row_ends_with_2_and_a_sentence_and_writes_nothing(folder, capsys):
    (folder / "intervals.csv").write_text(INTERVALS + "away,2021-06-20T15:00:00Z,30,900\n")
    assert run(folder) == 2
    assert "intervals.csv: row 4, column site: 'away' is not in the table of sites" in capsys.readouterr().err
    assert not (folder / "flags.csv").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "can not be read as CSV"),
        (b"\xff\xfe\x00", "can not be read as CSV"),
        (b'site,start\nhome\n"', "can not be read as CSV"),
        (None, "there is no such file"),
    ],
)
def test_what_is_no_table_is_named(folder, content, says, capsys):
    (folder / "intervals.csv").unlink()
    if content is not None:
        (folder / "intervals.csv").write_bytes(content)
    assert run(folder) == 2
    assert says in capsys.readouterr().err


def test_a_broken_parquet_file_is_named(folder, capsys):
    (folder / "broken.parquet").write_bytes(b"PAR1 no")
    assert run(folder, intervals="broken.parquet") == 2
    assert "can not be read as Parquet" in capsys.readouterr().err


def test_an_out_that_can_not_be_written_is_named(folder, capsys):
    assert run(folder, out="flags.txt") == 2
    assert run(folder, out="nowhere/flags.csv") == 2
    said = capsys.readouterr().err
    assert "give --out one of these endings" in said
    assert "nowhere/flags.csv: can not be written" in said


def test_a_schedule_is_checked(folder, capsys):
    (folder / "schedule.csv").write_text("start,end\n2021-06-21T00:00:00Z,2021-06-21T03:00:00Z\n")
    assert run(folder, "--schedule", str(folder / "schedule.csv")) == 0
    (folder / "schedule.csv").write_text("start,end\n2021-06-21T03:00:00Z,2021-06-21T00:00:00Z\n")
    assert run(folder, "--schedule", str(folder / "schedule.csv")) == 2
    assert "column end" in capsys.readouterr().err
