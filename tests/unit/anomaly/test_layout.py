"""Files in the benchmark's layout become rows, and a bad value is named with its row and column."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from anomaly import layout
from anomaly.column import BadTableError
from stream.interval import State

NOON = datetime(2021, 6, 21, 2, 30, tzinfo=UTC)
SITES = pd.DataFrame({"site": ["b", "a"], "lat": [35.68, None], "lon": [139.65, None], "dc_kw": [5.0, None], "ac_kw": [4.0, 4.0], "pulse_wh": [10, None]})


def table(**columns):
    size = len(next(iter(columns.values())))
    start = [pd.Timestamp(NOON) + pd.Timedelta(minutes=30 * n) for n in range(size)]
    return pd.DataFrame({"site": ["b"] * size, "start": start, "minutes": [30] * size, "energy_wh": [500] * size} | columns)


def rows(frame):
    sites = layout.sites_of(SITES)
    return layout.rows_of(layout.table_of(frame, sites), sites)


def codes(frame):
    sites = layout.sites_of(SITES)
    return [(given.strftime("%H:%M"), flag.code.value, flag.level.value) for flag, given in layout.flags_of(layout.table_of(frame, sites), sites)]


def test_a_row_after_a_missing_one_runs_over_the_gap():
    frame = table(energy_wh=[500, 600, 700, 800]).drop(1)
    got = rows(frame)
    assert (got.end_at - got.start_at).tolist() == [1800, 3600, 1800]
    assert got.state.tolist() == [State.CREDITED, State.SPREAD, State.CREDITED]


def test_a_lump_within_the_bound_of_the_gap_is_accepted_and_flagged_at_its_own_start_above_it():
    assert codes(table(energy_wh=[500, 500, 4000]).drop(1)) == []
    assert codes(table(energy_wh=[500, 500, 9000]).drop(1)) == [("03:30", "gap-lump", "hold")]


def test_a_register_that_fell_is_held_and_a_creep_is_not():
    assert rows(table(register_wh=[5000, 5500, 5490, 1000, 1500])).code.tolist() == ["", "", "", "register-fell", ""]


def test_a_rollover_at_the_modulus_is_accepted_where_it_explains_the_energy():
    assert rows(table(register_wh=[999_999_800, 300])).code.tolist() == ["", ""]
    assert rows(table(register_wh=[999_999_800, 90_300])).code.tolist() == ["", "register-fell"]


def test_a_row_stated_twice_is_disputed_on_both():
    frame = pd.concat([table(energy_wh=[500, 600]), table(energy_wh=[500, 600]).iloc[[1]]])
    assert codes(frame) == [("03:00", "duplicate", "hold"), ("03:00", "duplicate", "hold")]


def test_rows_that_overlap_are_disputed():
    assert [code for _, code, _ in codes(table(minutes=[60, 30, 30], energy_wh=[500, 500, 500]))] == ["duplicate", "duplicate"]


def test_export_is_compared_with_generation_and_null_is_not_known():
    assert codes(table(energy_wh=[500, 500, 500], export_wh=pd.array([400, None, 900], "Int64"))) == [("03:30", "export-above-generation", "hold")]


def test_two_sites_do_not_see_each_other():
    frame = table(site=["a", "b", "a", "b"], start=[NOON, NOON, NOON + pd.Timedelta("30min"), NOON + pd.Timedelta("90min")], register_wh=[9000, 10, 9500, 510])
    got = rows(frame)
    assert got.code.tolist() == [""] * 4
    assert (got.end_at - got.start_at).tolist() == [1800, 5400, 1800, 1800]  # b stands first in the table of sites


def test_the_order_of_the_file_does_not_matter():
    frame = table(energy_wh=[500, -900, 9000, 500, 3500], register_wh=[5000, 4000, 8000, 9000, 100], export_wh=[0, 900, 100, 900, 0])
    assert codes(frame.iloc[::-1]) == codes(frame) != []


def test_an_empty_table_has_no_flags():
    assert codes(table(energy_wh=[1]).iloc[:0]) == []


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("site", "c", "row 2, column site: 'c' is not in the table of sites"),
        ("site", None, "row 2, column site: .* must be filled"),
        ("start", "soon", "row 2, column start: 'soon' is no instant; write it as 2025-04-01T00:00:00Z"),
        ("start", "1066-10-14T00:00:00Z", "row 2, column start: .* is not within 1970 to 2100|no instant"),
        ("minutes", 0, "row 2, column minutes: '0' is not within 1 to 44640"),
        ("energy_wh", None, "row 2, column energy_wh: .* must be filled"),
        ("energy_wh", "many", "row 2, column energy_wh: 'many' is not a number"),
        ("energy_wh", 1.5, "row 2, column energy_wh: '1.5' is not a whole number"),
        ("energy_wh", float("inf"), "row 2, column energy_wh: 'inf' is not within"),
        ("energy_wh", 10**17, "row 2, column energy_wh: '100000000000000000' is not within"),
        ("register_wh", -1, "row 2, column register_wh: '-1' is not within"),
    ],
)
def test_a_bad_value_is_named_with_row_and_column(column, value, says):
    frame = table(energy_wh=[500, 500, 500], register_wh=[0, 500, 1000]).astype(object)
    frame.loc[1, column] = value
    with pytest.raises(BadTableError, match=says):
        layout.table_of(frame, layout.sites_of(SITES))


def test_a_missing_column_and_the_same_site_twice_are_named():
    with pytest.raises(BadTableError, match="no column energy_wh; it has site, start, minutes"):
        layout.table_of(table(energy_wh=[1]).drop(columns="energy_wh"), layout.sites_of(SITES))
    with pytest.raises(BadTableError, match="row 2, column site: 'x' stands here a second time"):
        layout.sites_of(pd.DataFrame({"site": ["x", "x"]}))
    with pytest.raises(BadTableError, match="row 1, column lat: '91' is not within -90 to 90"):
        layout.sites_of(pd.DataFrame({"site": ["x"], "lat": [91]}))


def test_a_site_with_nothing_but_a_name_is_known_and_untested():
    sites = layout.sites_of(pd.DataFrame({"site": ["x"]}))
    assert np.isnan(sites.meters.lat).all()
    assert sites.meters.resolution_wh.tolist() == [1, 1]
    assert sites.modulus_wh.tolist() == [10**9]
