"""What processes cost, read from /proc: CPU seconds and memory of a process and all that it started."""

import os
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    cpu_s: float
    rss_mb: float


def tree(pid: int) -> list[int]:
    """The process and its descendants."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def cost(pid: int) -> Cost:
    """CPU so far and resident memory now, of the whole tree (shared pages of Postgres counted once, by PSS)."""
    cpu_s = rss_mb = 0.0
    for one in tree(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            cpu_s += (sum(int(fields[i]) for i in (11, 12))) / TICKS
            rss_mb += _pss_mb(one)
        except OSError:
            continue
    return Cost(cpu_s, rss_mb)


def _pss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0
