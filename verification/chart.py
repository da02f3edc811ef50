"""Charts of the report as SVG text: drawn from the report's own numbers, nothing fetched, readable when printed in grey."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

SHADES = ("#f3d6d0", "#e3dca8", "#b9d3a6", "#4f8a4f")  # none, some, most, all of a day's 48 half hours
WIDE = 960
LABEL = 130


def calendar(days: Mapping[str, Sequence[int]], first: str) -> str:
    """One line an activity, one cell a day: how many of its half hours were credited."""
    count = max((len(d) for d in days.values()), default=0)
    if not count:
        return ""
    step, height = (WIDE - LABEL) / count, 12
    rows = [_line(name, values, n * height, step) for n, (name, values) in enumerate(days.items())]
    legend = "".join(
        f'<rect x="{LABEL + 150 * n}" y="{len(rows) * height + 8}" width="12" height="10" fill="{shade}"/>'
        f'<text x="{LABEL + 150 * n + 16}" y="{len(rows) * height + 17}" font-size="10">{label}</text>'
        for n, (shade, label) in enumerate(zip(SHADES, ("0 / 48", "1 - 35", "36 - 47", "48 / 48"), strict=True))
    )
    return _svg(len(rows) * height + 24, "".join(rows) + legend, f"completeness by activity and day from {first}")


def _line(name: str, values: Sequence[int], y: float, step: float) -> str:
    cells, start = [], 0
    shades = [_shade(v) for v in values]
    for n in range(1, len(shades) + 1):
        if n == len(shades) or shades[n] != shades[start]:
            cells.append(f'<rect x="{LABEL + start * step:.2f}" y="{y:g}" width="{(n - start) * step:.2f}" height="10" fill="{SHADES[shades[start]]}"/>')
            start = n
    return f'<text x="0" y="{y + 9:g}" font-size="9">{escape(name)}</text>' + "".join(cells)


def _shade(half_hours: int) -> int:
    return 0 if half_hours == 0 else 1 if half_hours < 36 else 2 if half_hours < 48 else 3


def months(rows: Sequence[Mapping[str, Any]]) -> str:
    """Generation and self-consumption a month, in MWh."""
    if not rows:
        return ""
    top = max(max(int(r["generation"]), int(r["el_pj"]), 1) for r in rows)
    width, height = (WIDE - LABEL) / len(rows), 180
    bars = []
    for n, row in enumerate(rows):
        x = LABEL + n * width
        for offset, name, fill in ((0.1, "generation", "#c9b458"), (0.5, "el_pj", "#4f8a4f")):
            tall = max(0, int(row[name])) / top * height
            bars.append(f'<rect x="{x + offset * width:.1f}" y="{height + 14 - tall:.1f}" width="{0.38 * width:.1f}" height="{tall:.1f}" fill="{fill}"/>')
            bars.append(f'<text x="{x + offset * width:.1f}" y="{height + 10 - tall:.1f}" font-size="9">{int(row[name]) / 1e6:.2f}</text>')
        bars.append(f'<text x="{x + 0.2 * width:.1f}" y="{height + 28}" font-size="10">{escape(str(row["month"]))}</text>')
    key = '<text x="0" y="20" font-size="10" fill="#8a7a20">発電 generation</text><text x="0" y="36" font-size="10" fill="#2f6a2f">自家消費 EL_PJ</text>'
    return _svg(height + 34, key + "".join(bars) + '<text x="0" y="52" font-size="10">MWh</text>', "monthly generation and self-consumption")


def bars(values: Mapping[str, int], unit: str) -> str:
    """One bar a reason."""
    if not values:
        return ""
    top = max(*values.values(), 1)
    rows = "".join(
        f'<text x="0" y="{n * 18 + 12}" font-size="10">{escape(name)}</text>'
        f'<rect x="260" y="{n * 18 + 2}" width="{max(1.0, value / top * (WIDE - 400)):.1f}" height="12" fill="#b36b4f"/>'
        f'<text x="{265 + max(1.0, value / top * (WIDE - 400)):.1f}" y="{n * 18 + 12}" font-size="10">{value:,} {escape(unit)}</text>'
        for n, (name, value) in enumerate(values.items())
    )
    return _svg(len(values) * 18 + 6, rows, "energy not credited by reason")


def _svg(height: float, body: str, title: str) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {height:g}" role="img" font-family="sans-serif">'
    return f"{head}<title>{escape(title)}</title>{body}</svg>"
