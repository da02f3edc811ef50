"""The second count and its bundle: equal for an honest claim, and one flipped byte anywhere is found."""

import ast
import gzip
import io
import json
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from verification import recompute
from verification.evidence import bundle
from verification.methodology.en_r_002 import FactorChoice
from verification.methodology.factors import Factor, FactorTable, Kind
from verification.recompute.__main__ import answer
from verification.recompute.bundle import MAGIC, BrokenBundleError, read


def records(small: Any, claim: Any = None, kept: Any = None) -> list[dict[str, Any]]:
    claim = claim or small.claim()
    kept = kept or small.messages(claim)
    case = small.case(claim)
    messages = [bundle.message_record(c, kept.messages[c.place]) for c in kept.counted]
    return [bundle.claim_record(claim, case.factors), *(bundle.key_record(k) for k in kept.keys), *messages, bundle.numbers_record(case)]


def written(tmp_path: Path, lines: list[dict[str, Any]]) -> Path:
    path = tmp_path / "claim.jcb"
    with path.open("wb") as file:
        bundle.write(lines, file)
    return path


def test_an_honest_bundle_is_equal(small: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(written(tmp_path, records(small))) == 0
    said = capsys.readouterr()
    assert said.out == "EQUAL\n"
    assert "taken on trust: enrolment" in said.err


def test_it_runs_alone_with_the_standard_library(small: Any, tmp_path: Path) -> None:
    path = written(tmp_path, records(small))
    root = Path(recompute.__file__).parents[2]
    run = subprocess.run([sys.executable, "-S", "-m", "verification.recompute", str(path)], cwd=root, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "EQUAL\n")


def test_it_imports_nothing_but_the_standard_library_and_itself() -> None:
    for path in Path(recompute.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.startswith("verification.recompute") or name.split(".")[0] in sys.stdlib_module_names, f"{path.name} imports {name}"


def test_a_number_that_differs_is_named(small: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = records(small)
    lines[-1]["members"]["act-2"]["el_pj_wh"] += 1
    assert answer(written(tmp_path, lines)) == 1
    assert capsys.readouterr().out.startswith("DIFFERENT member act-2, el_pj_wh: stated ")


def test_a_message_that_was_changed_is_named(small: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = records(small)
    place = next(n for n, line in enumerate(lines) if line["kind"] == "message")
    lines[place] = {**lines[place], "payload": lines[place + 1]["payload"]}
    assert answer(written(tmp_path, lines)) == 1
    assert "SHA-256" in capsys.readouterr().out


def test_tonnes_are_counted_again(small: Any, tmp_path: Path) -> None:
    lines = records(small)
    lines[-1]["years"]["2021"]["tonnes"] = 1
    assert answer(written(tmp_path, lines)) == 1


def test_one_flipped_byte_anywhere_is_found(small: Any, tmp_path: Path) -> None:
    path = written(tmp_path, records(small))
    whole = path.read_bytes()
    for place in {0, len(MAGIC), len(whole) - 1, len(whole) - 30, *range(1, len(whole), max(1, len(whole) // 60))}:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert answer(path) == 2, place


@pytest.mark.parametrize("cut", [0, 5, 17, 60, 1000])
def test_a_cut_bundle_is_broken(small: Any, tmp_path: Path, cut: int) -> None:
    path = written(tmp_path, records(small))
    path.write_bytes(path.read_bytes()[:cut])
    assert answer(path) == 2


def test_a_whole_bundle_of_nonsense_is_broken_not_a_crash(tmp_path: Path) -> None:
    for lines in ([], [{"kind": "claim"}], [{"kind": "numbers"}]):
        assert answer(written(tmp_path, lines)) in (1, 2)
    path = tmp_path / "text.jcb"
    with path.open("wb") as file:
        import hashlib

        body = MAGIC + gzip.compress(b"[1]\n")
        file.write(body + hashlib.sha256(body).hexdigest().encode() + b"\n")
    assert answer(path) == 2
    with pytest.raises(BrokenBundleError, match="No such file"):
        list(read(tmp_path / "none"))


def test_the_same_records_give_the_same_bytes(small: Any) -> None:
    first, second = io.BytesIO(), io.BytesIO()
    lines = records(small)
    assert bundle.write(lines, first) == bundle.write(json.loads(json.dumps(lines)), second)
    assert first.getvalue() == second.getvalue()


def test_both_counts_agree_on_windows_holds_gaps_steps_and_batteries(small: Any) -> None:
    activities = (
        small.activity(1, battery=True, joined_on=date(2021, 5, 3), operation_start=date(2020, 5, 8)),
        small.activity(2, left_on=date(2021, 5, 10), operation_start=date(2018, 11, 9), applied_on=date(2020, 11, 1)),
    )
    rng = np.random.default_rng(5)
    wh = {10: 300, 11: 100, 12: 80, 13: 70, 20: 300, 21: 120}
    series = {n: small.series(rng.integers(0, top, 14 * 48), opening=10**9 - 40_000) for n, top in wh.items()}
    series = {n: replace(s, register_wh=s.register_wh % 10**9) for n, s in series.items()}
    claim = small.claim(activities=activities, series=series)
    at = int(series[10].end_s[200])
    claim = replace(claim, flags=(small.flag(10, at, at + 5400), small.flag(21, at, at + 1800)), plan=replace(claim.plan, factor=FactorChoice.STEPPED))
    marginal = Factor(fiscal_year=2021, kind=Kind.MARGINAL, kg_per_kwh=small.table.factors[0].kg_per_kwh * 2 - 0, source="s", file_sha256="b")
    case = small.case(claim, table=FactorTable(factors=(*small.table.factors, marginal)))
    assert case.reduction.years[0].wh_by_step.keys() == {"marginal", "mean", "all_source"}
    assert small.recount(claim, small.messages(claim), case).differences == ()
