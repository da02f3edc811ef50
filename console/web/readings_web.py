"""The operator's pages, and those that the verification body shares: gateways, missing half hours, flags."""

from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from console.web import days_timescale, flag_timescale, fleet_timescale, strip
from console.web.desk import Open, RefusedError, guest, sitting
from console.web.page import SEEING_READINGS, page
from console.web.show import JST
from verification.walk import Role

router = APIRouter(include_in_schema=False)
OPERATOR = Depends(sitting(Role.OPERATOR))
READERS = Depends(sitting(*SEEING_READINGS))
WINDOWS_H = (1, 2, 6, 26, 50, 170)
A_DAY_LATE_H = 26
Skip = Annotated[int, Query(ge=0, le=10_000_000)]
Hours = Annotated[int, Query(ge=1, le=24 * 366)]
Month = Annotated[str, Query(pattern=r"^(20\d\d-(0[1-9]|1[0-2]))?$")]
Year = Annotated[int | None, Query(ge=2000, le=2098)]


@router.get("/gateways", dependencies=[OPERATOR])
def gateways(request: Request, connection: Open, hours: Hours = A_DAY_LATE_H, standing: str | None = None, skip: Skip = 0) -> HTMLResponse:
    """Which gateways are silent, since when, and what each last said of itself."""
    wanted = standing if standing in fleet_timescale.STANDINGS else None
    return page(
        request,
        "gateways.html",
        now=days_timescale.now(connection),
        counts=fleet_timescale.counts(connection, hours),
        gateways=fleet_timescale.gateways(connection, hours=hours, standing=wanted, skip=skip),
        rejected=fleet_timescale.rejected(connection),
        hours=hours,
        windows=sorted({*WINDOWS_H, hours}),
        standing=wanted,
        size=fleet_timescale.A_PAGE,
        skip=skip,
    )


@router.get("/gateways/{gateway}", dependencies=[OPERATOR])
def gateway(request: Request, gateway: str, connection: Open, hours: Hours = A_DAY_LATE_H) -> HTMLResponse:
    found = fleet_timescale.gateway(connection, gateway, hours)
    if found is None:
        raise RefusedError(404, f"ゲートウェイ {gateway} は登録されていません。", f"There is no gateway {gateway}.")
    return page(request, "gateway.html", g=found, **fleet_timescale.detail(connection, found))


@router.get("/sites", dependencies=[READERS])
def sites(request: Request, connection: Open, month: Month = "", skip: Skip = 0) -> HTMLResponse:
    """Missing half hours of a month, a strip a site; the newest month with readings unless one is named."""
    now = days_timescale.now(connection)
    first = date.fromisoformat(f"{month}-01") if month else _last_day(days_timescale.newest(connection) or now).replace(day=1)
    days, found = strip.month(first), days_timescale.sites(connection, skip=skip)
    seen = days_timescale.days(connection, found, first, strip.next_month(first))
    rows = [(site, strip.cells(days, seen[site.id], site.expected(now))) for site in found]
    return page(
        request,
        "sites.html",
        days=days,
        rows=rows,
        before=first - timedelta(days=1),
        after=strip.next_month(first),
        year=strip.fiscal_year_of(first),
        size=days_timescale.A_PAGE,
        skip=skip,
    )


@router.get("/sites/{site}", dependencies=[READERS])
def site(request: Request, site: str, connection: Open, year: Year = None) -> HTMLResponse:
    """A fiscal year of one site, a row a month."""
    found, now = _site(connection, site), days_timescale.now(connection)
    shown = year or strip.fiscal_year_of(_last_day(days_timescale.newest(connection) or now))
    months = strip.fiscal_year(shown)
    seen = days_timescale.days(connection, [found], months[0][0], strip.next_month(months[-1][0]))[found.id]
    cells = [strip.cells(days, seen, found.expected(now)) for days in months]
    holder = guest(request)
    return page(request, "site.html", site=found, months=cells, year=shown, gateways_open=holder is not None and holder.role is Role.OPERATOR)


@router.get("/sites/{site}/{day}", dependencies=[READERS])
def day(request: Request, site: str, day: date, connection: Open) -> HTMLResponse:
    """Every interval of one site that ends in a day."""
    if not 2000 <= day.year <= 2098:
        raise RefusedError(404, "その日はありません。", "There is no such day here.")
    found = _site(connection, site)
    rows = days_timescale.one_day(connection, found, day)
    near = timedelta(days=1)
    return page(request, "day.html", site=found, day=day, rows=rows, before=day - near, after=day + near, year=strip.fiscal_year_of(day))


@router.get("/flags", dependencies=[READERS])
def flags(request: Request, connection: Open, code: str | None = None, level: str | None = None, site: str | None = None, skip: Skip = 0) -> HTMLResponse:
    """Flags by code, then each, the most at stake first."""
    known = level if level in ("hold", "warn") else None
    rows = flag_timescale.flags(connection, code=code or None, level=known, site=site or None, skip=skip)
    for row in rows:
        row["day"] = _last_day(row["end_at"])
    chosen = {"code": code or "", "level": known or "", "site": site or ""}
    address = str(request.url.replace(scheme="", netloc="").replace_query_params(**{k: v for k, v in chosen.items() if v}))
    return page(
        request,
        "flags.html",
        by_code=flag_timescale.by_code(connection),
        flags=rows,
        code=chosen["code"],
        level=chosen["level"],
        site=chosen["site"],
        size=flag_timescale.A_PAGE,
        skip=skip,
        address=address + ("&" if any(chosen.values()) else "?"),
    )


def _site(connection: Open, name: str) -> days_timescale.Site:
    found = days_timescale.sites(connection, site=name)
    if not found:
        raise RefusedError(404, f"サイト {name} は登録されていません。", f"There is no site {name}.")
    return found[0]


def _last_day(end: datetime) -> date:
    """The day (JST) that the half hour before an instant lies in."""
    return (end - timedelta(minutes=30)).astimezone(JST).date()
