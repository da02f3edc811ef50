"""The main job as a person runs it, twice, in a home of its own (`.local/demo-test`); then what the summary tells them to look at."""

import contextlib
import hashlib
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import scratch

pytestmark = [pytest.mark.services, pytest.mark.timeout(1200)]

BLOCK = re.compile(r"serial block +(\S+) to (\S+), both ends included: (\d+) t-CO2 \(scheme DEMO, not official\)")
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True, slots=True)
class Demo:
    """A home in which `jcredit demo` was said twice, and what it answered."""

    home: Path
    first: Done
    second: Done

    def jcredit(self, *arguments: str) -> Done:
        return jcredit(self.home, *arguments)

    def json(self, *arguments: str) -> Any:
        done = self.jcredit(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def jcredit(home: Path, *arguments: str) -> Done:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JCREDIT_")} | {"JCREDIT_HOME": str(home), "COLUMNS": "160"}
    command = [sys.executable, "-m", "console.cli", *arguments]
    return subprocess.run(command, cwd=scratch.ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    home = scratch.emptied("demo-test")
    try:
        yield Demo(home, jcredit(home, "demo"), jcredit(home, "demo"))
    finally:
        scratch.down("demo-test")


@pytest.fixture(scope="module")
def claim(demo: Demo) -> str:
    """The demo's one claim."""
    (only,) = demo.json("claim", "list")
    return str(only["id"])


def test_it_ends_with_a_serial_block_and_the_second_time_with_the_same(demo: Demo) -> None:
    assert (demo.first.returncode, demo.second.returncode) == (0, 0), demo.first.stderr + demo.second.stderr
    first, second = BLOCK.findall(demo.first.stdout), BLOCK.findall(demo.second.stdout)
    assert len(first) == 1, demo.first.stdout
    assert int(first[0][2]) > 0
    assert second == first


def test_it_prints_what_the_person_wants_to_know(demo: Demo) -> None:
    said = [line.split("  ")[0].strip() for line in demo.first.stdout.splitlines()]
    assert [name for name in ("messages", "intervals", "flag", "69 items", "serial block", "energy", "report", "look further") if name not in said] == []


def test_nothing_is_issued_twice(demo: Demo, claim: str) -> None:
    (block,) = demo.json("ledger", "serials")
    ((first, last, tonnes),) = BLOCK.findall(demo.first.stdout)
    assert block == {"first": first, "last": last, "tonnes": int(tonnes), "claim": claim}
    checked = demo.jcredit("ledger", "check")
    assert (checked.returncode, "every rule holds" in checked.stdout) == (0, True), checked.stderr


def test_status_says_what_runs_and_counts_each_message_once(demo: Demo) -> None:
    status = demo.json("status")
    assert set(status) == {"mqtt", "kafka", "dsn", "console", "registry", "services", "messages"}
    assert {name: one["state"] for name, one in status["services"].items() if one["state"] != "running"} == {}
    with contextlib.closing(sqlite3.connect(demo.home / "demo" / "fleet" / "spool.db")) as spool:
        ((made,),) = spool.execute("SELECT count(*) FROM message").fetchall()
    assert status["messages"]["accepted"] == made > 8000
    assert (status["messages"]["conflicting"], status["messages"]["refused"]) == (0, {})


def test_the_claim_is_issued_with_the_tonnes_of_the_block(demo: Demo) -> None:
    (only,) = demo.json("claim", "list")
    ((_, _, tonnes),) = BLOCK.findall(demo.first.stdout)
    assert (only["state"], only["tonnes"]) == ("issued", int(tonnes))


def test_the_report_has_69_items_with_a_verdict(demo: Demo) -> None:
    folder = demo.home / "demo" / "report"
    document = json.loads((folder / "report.json").read_bytes())
    assert sum(document["verdicts"].values()) == 69
    assert "DEMO" in (folder / "report.html").read_text()


def test_all_that_is_derived_can_be_made_again_from_evidence(demo: Demo) -> None:
    done = demo.jcredit("rebuild", "--check")
    assert (done.returncode, done.stdout[:5]) == (0, "EQUAL"), done.stderr


def test_a_second_count_of_the_bundle_is_equal_and_one_flipped_bit_is_found(demo: Demo, claim: str, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    assert demo.jcredit("bundle", claim, "--out", str(bundle)).returncode == 0
    counted = demo.jcredit("recompute", str(bundle))
    assert (counted.returncode, "EQUAL" in counted.stdout) == (0, True), counted.stdout + counted.stderr
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    bundle.write_bytes(content)
    flipped = demo.jcredit("recompute", str(bundle))
    assert (flipped.returncode, "EQUAL" in flipped.stdout) == (2, False), flipped.stdout + flipped.stderr


def test_bad_input_exits_2_and_a_service_that_is_away_3(demo: Demo, tmp_path: Path) -> None:
    assert demo.jcredit("verify", "claim-that-is-none", "--as", "somebody").returncode == 2
    assert demo.jcredit("recompute", str(tmp_path / "no-bundle")).returncode == 2
    away = jcredit(tmp_path / "no-home", "claim", "list")
    assert (away.returncode, "`jcredit up`" in away.stderr) == (3, True), away.stderr


def test_the_report_on_disk_is_the_one_that_was_signed(demo: Demo) -> None:
    (only,) = demo.json("claim", "list")
    assert hashlib.sha256((demo.home / "demo" / "report" / "report.json").read_bytes()).hexdigest() == only["report_sha256"]
