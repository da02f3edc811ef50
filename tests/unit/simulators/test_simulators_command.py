import json
from pathlib import Path

import pytest

from simulators.__main__ import main

STATEMENT = {"@context": ["https://www.w3.org/ns/credentials/v2"], "type": ["VerifiableCredential"], "credentialSubject": {"claim": "demo-fy2021-001"}}


def test_fleet_prints_the_tables_to_enrol(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", "--out", str(tmp_path / "f"), "--members", "2", "--days", "1"]) == 0
    printed = capsys.readouterr().out.split()
    assert [Path(path).name for path in printed] == ["project.toml", "members.csv", "sites.csv", "gateways.csv", "meters.csv"]
    assert all(Path(path).exists() for path in printed)


def test_a_fleet_of_nobody_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", "--out", str(tmp_path / "f"), "--members", "0"]) == 2
    assert "at least 1 member" in capsys.readouterr().err


def test_the_body_signs_a_file_with_the_key_whose_did_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "statement.json").write_text(json.dumps(STATEMENT))
    assert main(["body", "--key", str(tmp_path / "key")]) == 0
    did = capsys.readouterr().out.strip()
    assert main(["sign", "--key", str(tmp_path / "key"), "--in", str(tmp_path / "statement.json"), "--out", str(tmp_path / "signed.json")]) == 0
    proof = json.loads((tmp_path / "signed.json").read_bytes())["proof"]
    assert proof["verificationMethod"].startswith(f"{did}#z6Mk")


def test_a_statement_that_is_not_there_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sign", "--key", str(tmp_path), "--in", str(tmp_path / "none.json"), "--out", str(tmp_path / "o")]) == 2
    assert "none.json" in capsys.readouterr().err


def test_publishing_a_folder_without_a_fleet_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["publish", "--fleet", str(tmp_path), "--mqtt", "127.0.0.1:1"]) == 2
    assert "holds no fleet" in capsys.readouterr().err
