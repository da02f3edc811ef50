"""What is remembered of meters: sites whole, who is compared with whom, never more than the bound."""

import pytest

from anomaly.enrolled import Enrolled, Enrolment
from anomaly.row import EXPORT, GENERATION


def meter(number, site, register, gateway=1):
    return Enrolment(meter=number, site=site, register=register, resolution_wh=10, two_way=False, lat=35.0, lon=139.0, dc_kw=5.0, ac_kw=4.0, gateway=gateway)


def learnt(*meters, limit=100):
    enrolled = Enrolled(limit)
    enrolled.learn(meters)
    return enrolled


def test_generation_export_and_discharge_of_a_site_are_compared_and_others_not():
    enrolled = learnt(meter(1, 1, "generation"), meter(2, 1, "export"), meter(3, 1, "discharge"), meter(4, 1, "pcs"), meter(5, 2, "generation"))
    assert [enrolled.partners(number) for number in (1, 2, 3, 4, 5)] == [(2, 3), (1, 3), (1, 2), (), ()]


def test_a_site_is_split_where_its_registers_come_through_several_gateways():
    enrolled = learnt(meter(1, 7, "generation", 1), meter(2, 7, "export", 2), meter(3, 8, "generation", 3), meter(4, 8, "export", 3))
    assert [enrolled.split_site(number) for number in (1, 2, 3, 4)] == [7, 7, None, None]


def test_the_table_has_a_row_a_meter_at_its_place():
    enrolled = learnt(*(meter(n, n // 2, "export" if n % 2 else "generation") for n in range(200)), limit=1000)
    table, places = enrolled.table(), enrolled.places([0, 1, 199])
    assert table.register[places].tolist() == [GENERATION, EXPORT, EXPORT]
    assert table.site[places].tolist() == [0, 0, 99]
    assert len(table.site) == 200


def test_learning_again_changes_in_place():
    enrolled = learnt(meter(1, 1, "generation"))
    enrolled.learn([meter(1, 1, "generation")._replace(resolution_wh=1000), meter(2, 1, "export")])
    assert enrolled.table().resolution_wh.tolist() == [1000, 10]
    assert enrolled.partners(1) == (2,)


def test_only_what_is_not_known_is_asked_for_and_past_the_bound_everything():
    enrolled = learnt(meter(1, 1, "generation"), meter(2, 1, "export"), limit=3)
    assert enrolled.unknown([1, 2]) == set()
    assert enrolled.unknown([1, 2, 3]) == {3}
    assert enrolled.unknown([1, 3, 4]) == {1, 3, 4}
    assert len(enrolled.table().site) == 0


def test_a_meter_that_was_never_enrolled_is_named():
    with pytest.raises(LookupError, match="meter 9 "):
        learnt(meter(1, 1, "generation")).places([1, 9])
