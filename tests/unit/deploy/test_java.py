"""Java is told from what it says; a Java that did not come with the machine trusts whom the machine trusts."""

import hashlib
import ssl
import struct
from pathlib import Path

import pytest

from deploy.local import java


@pytest.mark.parametrize(
    ("said", "number"),
    [('openjdk version "17.0.15" 2025-04-15', 17), ('java version "1.8.0_402"', 8), ('openjdk version "25" 2025-09-16', 25), ("no such thing", 0)],
)
def test_major_version(tmp_path: Path, said: str, number: int) -> None:
    program = tmp_path / "java"
    program.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
    program.chmod(0o755)
    assert java.version(program) == number


def test_the_trust_store_holds_every_authority_of_the_machine_under_a_right_seal(tmp_path: Path) -> None:
    bundle = ssl.get_default_verify_paths().cafile
    assert bundle, "this machine names no certificate authorities"
    held = java.trust_store(tmp_path).read_bytes()
    assert struct.unpack(">III", held[:12]) == (0xFEEDFEED, 2, Path(bundle).read_text().count("BEGIN CERTIFICATE"))
    assert held[-20:] == hashlib.sha1("changeit".encode("utf-16-be") + b"Mighty Aphrodite" + held[:-20]).digest()
