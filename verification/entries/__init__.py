"""The 50 entries that the system fills. An entry is a function of a case: a value, its source, and whether its rule is met.

An entry whose rule is not met counts as a failed check; one whose source does not exist answers *could not run*. Its name begins with its id.
"""

from collections.abc import Callable

from verification.case import Case
from verification.entries import application, calculation, equipment, members, monitoring
from verification.item import Result

Entry = Callable[[Case], Result]

ENTRIES: tuple[Entry, ...] = (
    application.e01_project,
    application.e02_operator,
    application.e03_methodology,
    application.e04_form,
    application.e05_period,
    application.e06_join,
    application.e07_report_form,
    application.e08_change,
    members.e09_count,
    members.e10_mandatory,
    members.e11_consent,
    members.e12_two_years,
    members.e13_window,
    members.e14_area,
    members.e15_same_methodology,
    members.e16_classes,
    members.e17_duplicates,
    members.e18_other_projects,
    members.e19_leavers,
    equipment.e20_specification,
    equipment.e21_additionality,
    equipment.e22_monitoring_points,
    equipment.e23_verification_expiry,
    equipment.e24_calibration,
    equipment.e25_ownership,
    equipment.e26_gateways,
    equipment.e27_seams,
    equipment.e28_export_point,
    equipment.e29_battery,
    monitoring.e30_symbols,
    monitoring.e31_frequency,
    monitoring.e32_persons,
    monitoring.e33_data_flow,
    monitoring.e34_retention,
    monitoring.e35_capture,
    monitoring.e36_edits,
    monitoring.e37_anomalies,
    monitoring.e38_build,
    calculation.e39_generation,
    calculation.e40_export,
    calculation.e41_el_pj,
    calculation.e42_el_bl,
    calculation.e43_factor,
    calculation.e44_em_bl,
    calculation.e45_main,
    calculation.e46_incidental,
    calculation.e47_years,
    calculation.e48_total,
    calculation.e49_mwh,
    calculation.e50_planned,
)
