"""The host's own mirror and keyring are found in either of apt's formats, and nobody else's repository is taken for Debian's."""

from pathlib import Path

import pytest

from deploy.local import MissingError, sources

DEB822 = """Types: deb
# a remark
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""
OTHERS = """Types: deb
URIs: https://tool.example/apt
Suites: bookworm
Components: main
"""


def _apt(folder: Path, **files: str) -> Path:
    (folder / "sources.list.d").mkdir()
    for name, text in files.items():
        path = folder / "sources.list" if name == "list" else folder / "sources.list.d" / f"{name}.sources"
        path.write_text(text)
    return folder


def test_deb822_with_its_keyring(tmp_path: Path) -> None:
    apt = _apt(tmp_path, debian=DEB822)
    assert sources.mirror(apt) == ("http://mirror.example/debian", "/usr/share/keyrings/debian-archive-keyring.gpg")


def test_another_makers_repository_is_passed_over(tmp_path: Path) -> None:
    assert sources.mirror(_apt(tmp_path, aaa=OTHERS, debian=DEB822))[0] == "http://mirror.example/debian"


@pytest.mark.parametrize(
    ("line", "keyring"),
    [
        ("deb http://mirror.example/debian/ bookworm main contrib", None),
        ("deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian/ bookworm main", "/k.gpg"),
    ],
)
def test_one_line_format(tmp_path: Path, line: str, keyring: str | None) -> None:
    apt = _apt(tmp_path, list=f"# deb http://old.example/debian woody main\ndeb-src http://mirror.example/debian bookworm main\n{line}\n")
    assert sources.mirror(apt) == ("http://mirror.example/debian/", keyring)


def test_a_disabled_entry_does_not_count(tmp_path: Path) -> None:
    apt = _apt(tmp_path, debian="Enabled: no\n" + DEB822.split("\n\n")[0])
    with pytest.raises(MissingError, match="no Debian mirror is named"):
        sources.mirror(apt)


def test_the_stanza_names_the_suite_asked_for(tmp_path: Path) -> None:
    assert sources.stanza("trixie", _apt(tmp_path, debian=DEB822)).splitlines() == [
        "Types: deb",
        "URIs: http://mirror.example/debian",
        "Suites: trixie",
        "Components: main",
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg",
    ]


def test_the_release_is_the_hosts(tmp_path: Path) -> None:
    file = tmp_path / "os-release"
    file.write_text('ID=debian\nVERSION_CODENAME=bookworm\nVERSION="12 (bookworm)"\n')
    assert sources.release(file) == "bookworm"


def test_a_host_that_does_not_say_its_release_is_told_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"Docker with `deploy/compose.yaml`"):
        sources.release(tmp_path / "os-release")
