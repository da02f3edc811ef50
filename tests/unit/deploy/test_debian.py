"""Of a closure only what programs load is taken, and unpacked links stay inside the folder."""

import hashlib
import re
from pathlib import Path

import pytest

from deploy.local import debian, timescaledb


@pytest.mark.parametrize(
    "package", ["postgresql-17", "postgresql-17-timescaledb", "postgresql-client-17", "libc6", "libssl3t64", "libicu76", "libgssapi-krb5-2"]
)
def test_what_postgres_loads_is_taken(package: str) -> None:
    assert debian._is_wanted(package, timescaledb.PACKAGES, timescaledb.ALSO)


@pytest.mark.parametrize(
    "package", ["libllvm19", "libz3-4", "libperl5.40", "libjson-perl", "perl", "adduser", "locales", "libc-bin", "postgresql-common", "debconf"]
)
def test_what_it_never_loads_is_not(package: str) -> None:
    assert not debian._is_wanted(package, timescaledb.PACKAGES, timescaledb.ALSO)


def test_an_absolute_link_is_turned_to_the_folder(tmp_path: Path) -> None:
    part, target = tmp_path / "x.part", tmp_path / "x"
    (part / "usr").mkdir(parents=True)
    (part / "usr" / "conf").symlink_to("/etc/maven")
    (part / "usr" / "beside").symlink_to("../etc/maven")
    debian._settle(part, target)
    assert (part / "usr" / "conf").readlink() == target / "etc/maven"
    assert (part / "usr" / "beside").readlink() == Path("../etc/maven")


def test_what_is_whole_and_in_its_place_is_not_fetched_again(tmp_path: Path) -> None:
    target = tmp_path / "programs" / "tool"
    target.mkdir(parents=True)
    (target / ".whole").write_text(debian._mark(target, ("tool",), "bookworm"))
    said: list[str] = []
    assert debian.unpack(tmp_path, tmp_path, "tool", packages=("tool",), suite="bookworm", also=re.compile("-"), say=said.append) == target
    assert said == []


def test_homes_that_share_their_programs_by_a_link_do_not_unpack_for_each_other(tmp_path: Path) -> None:
    target = tmp_path / "programs" / "tool"
    target.mkdir(parents=True)
    (target / ".whole").write_text(debian._mark(target, ("tool",), "bookworm"))
    other = tmp_path / "other"
    other.mkdir()
    (other / "programs").symlink_to(tmp_path / "programs")
    said: list[str] = []
    assert debian.unpack(other, other, "tool", packages=("tool",), suite="bookworm", also=re.compile("-"), say=said.append) == target
    assert said == []
    assert not (other / "cache").exists()


def test_new_programs_take_the_place_of_old_ones_whole(tmp_path: Path) -> None:
    target, part, left_over = tmp_path / "tool", tmp_path / "tool.part", tmp_path / "tool.old"
    for folder, name in ((target, "old"), (part, "new"), (left_over, "older")):
        folder.mkdir()
        (folder / name).touch()
    debian._replace(target, part)
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["tool", "tool/new"]


def test_what_an_interrupted_download_had_finished_is_kept_and_what_it_had_not_is_dropped(tmp_path: Path) -> None:
    debs = [debian.Deb(file=f"{name}_1_all.deb", size=5, digest=f"SHA256:{hashlib.sha256(b'whole').hexdigest()}") for name in ("a", "b", "c")]
    part = tmp_path / "part-4711"
    part.mkdir()
    for file, text in (("a_1_all.deb", b"whole"), ("b_1_all.deb", b"who"), ("c_1_all.deb", b"other"), ("stranger_1_all.deb", b"whole")):
        (part / file).write_bytes(text)
    debian._rescue(tmp_path, debs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a_1_all.deb"]
